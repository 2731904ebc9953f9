"""Which arguments of a command line are secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_lite.masking import MASK, register
from lightning_lite.runs.recorded_command import mask_command

SECRET_OPTIONS = (
    "--password --db-password --db_password --dbPassword --DB_PASSWORD -password --passwd "
    "--passphrase --token --api-token --HFToken --authtoken --api-key --apikey --apiKey "
    "--APIKey --wandb_api_key --secret --client-secret --secret-access-key --access-key "
    "--private-key --account_key --credentials --model.login.password --cookie "
    "--db-pass DB_PASS --dbPass --pass --mysql.pass --api-keys --apikeys --openai-key --wandb-key --bearer "
    "--hftoken --accesskey --access-token --refresh_token --session-token --id-token --hub_token --gh-token "
    "GITHUB_TOKEN --gitlab-token --WandbToken --slack-token --bot_token --personal-token --deploy-token "
    "--user-token --login-token --security_token --csrf-token --jwt-token --oauth-token --secret_token "
    "--model.token --token_ MYSQL_PWD --db-pwd --passwords --X-Auth-Token"
)

OTHER_OPTIONS = (
    "--rate -p -t -k --key --sort-key --max-tokens --token-limit --tokenizer --pad-token "
    "--eos_token --password-file --password-stdin --no-password --ask-password --use-token "
    "--secretary --passes --monkey --api-key-name --author --access-key-id --compass "
    "--placeholder_token --initializer_token --max_token --modifier_token --class_token --instance-token "
    "--trigger_token --first_token --num-token --price-per-token --audio-token --tool_token --newline_token "
    "--lora_token --model.tokenizer_token --pwd PWD --first-pass --low-pass --bypass --tokens --user-tokens "
    "--keys --sort-keys --authority"
)


def masked(*words: str) -> list[str]:
    """Return the command line as it is stored, and check the positions."""
    shown, places = mask_command(words)
    assert places == [place for place, word in enumerate(words) if word != shown[place]]
    return shown


def test_the_value_of_an_option_is_masked():
    for name in (name for name in SECRET_OPTIONS.split() if name[0] == "-"):
        assert masked("app.py", name, "value", "next") == ["app.py", name, MASK, "next"]
        assert masked("app.py", name, "-value") == ["app.py", name, MASK]
        assert masked("app.py", f"{name}=value", "next") == ["app.py", f"{name}={MASK}", "next"]
        assert masked(f"{name.lstrip('-')}=a=b c\nd") == [f"{name.lstrip('-')}={MASK}"]
        assert masked(name, "--rate", "1") == [name, "--rate", "1"]
        assert masked(name) == [name]


def test_the_value_of_a_variable_is_masked():
    for name in (name for name in SECRET_OPTIONS.split() if name[0] != "-"):
        assert masked("app.py", f"{name}=X", "next") == ["app.py", f"{name}={MASK}", "next"]


def test_other_options_are_left_alone():
    for name in OTHER_OPTIONS.split():
        for words in (["app.py", name, "value"], [f"{name}=value"], [name]):
            assert masked(*words) == words


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("postgres://me:pw@host/db", f"postgres://me:{MASK}@host/db"),
        ("--db=postgres://me:p@w:2@host:5432/db", f"--db=postgres://me:{MASK}@host:5432/db"),
        ("redis://:pw@host", f"redis://:{MASK}@host"),
        ("a=http://u:p@x b=https://u:q@y", f"a=http://u:{MASK}@x b=https://u:{MASK}@y"),
        ("https://host/?token=abc&page=2", f"https://host/?token={MASK}&page=2"),
        (
            "https://host/a?page=2&api_key=abc#access_token=x",
            f"https://host/a?page=2&api_key={MASK}#access_token={MASK}",
        ),
        ("Server=x;Password=abc;Port=1", f"Server=x;Password={MASK};Port=1"),
        ("+trainer.login.api_key=abc", f"+trainer.login.api_key={MASK}"),
        ("Authorization: Bearer abc", f"Authorization: {MASK}"),
        ("X-Api-Key:abc", f"X-Api-Key:{MASK}"),
        ("HF_TOKEN=abc", f"HF_TOKEN={MASK}"),
        ("-DdbPassword=abc", f"-DdbPassword={MASK}"),
        ("--env=API_KEY=abc", f"--env=API_KEY={MASK}"),
        ("--header=Authorization: Bearer abc", f"--header=Authorization: {MASK}"),
        ('{"user": "me", "password": "a\\"b", "n": 1}', f'{{"user": "me", "password": "{MASK}", "n": 1}}'),
        ('--login={"api_key":"abc"}', f'--login={{"api_key":"{MASK}"}}'),
        ("--db=Pwd=abc;Server=x", f"--db=Pwd={MASK};Server=x"),
        ("Server=x; Pwd='a;b'; Port=1", f"Server=x; Pwd='{MASK}'; Port=1"),
        ('Server=x;Pwd="ab', f"Server=x;Pwd={MASK}"),
        ('{"db": "Server=x;Pwd=abc"}', f'{{"db": "Server=x;Pwd={MASK}"}}'),
        ("host=db user=me password=X", f"host=db user=me password={MASK}"),
        ("host=db password='X y' user=me", f"host=db password='{MASK}' user=me"),
        ("host=db password=X;y user=me", f"host=db password={MASK} user=me"),
        ("python x.py --password=X --rate=1", f"python x.py --password={MASK} --rate=1"),
        ("--opts=a=1,password=X", f"--opts=a=1,password={MASK}"),
        ("--opts=a=1,password=X,y,b=2", f"--opts=a=1,password={MASK},b=2"),
        ("connect(host=db, password='X, y', port=1)", f"connect(host=db, password='{MASK}', port=1)"),
        ("db={password:X,user:y}", f"db={{password:{MASK},user:y}}"),
        ("+db={user:y, db_pass: X}", f"+db={{user:y, db_pass: {MASK}}}"),
        ("{'password': 'X'}", f"{{'password': '{MASK}'}}"),
        ("{'a': {'token': 'X', 'b': 1}}", f"{{'a': {{'token': '{MASK}', 'b': 1}}}}"),
        ('{"password": 1234, "port": 5}', f'{{"password": {MASK}, "port": 5}}'),
        ("{password: none-of-it, a: b}", f"{{password: {MASK}, a: b}}"),
        ('["A=1", "DB_PASS=X"]', f'["A=1", "DB_PASS={MASK}]'),
        ("--auth=me:pw", f"--auth={MASK}"),
        ("--http-auth=Bearer abc", f"--http-auth={MASK}"),
        ("cookie: a=b", f"cookie: {MASK}"),
        ("X-Vault-Token: abc", f"X-Vault-Token: {MASK}"),
        ("proxy-authorization: Basic abc", f"proxy-authorization: {MASK}"),
        ("PRIVATE-TOKEN: abc", f"PRIVATE-TOKEN: {MASK}"),
        (
            '{"url": "http://me:pw@host", "max_tokens": "5"}',
            f'{{"url": "http://me:{MASK}@host", "max_tokens": "5"}}',
        ),
    ],
)
def test_parts_of_an_argument_are_masked(word: str, shown: str):
    assert masked("app.py", word) == ["app.py", shown]


@pytest.mark.parametrize(
    "word",
    [
        "https://host:8080/a@b", "ssh://git@host/repo", "me@host:/path", "https://x/?page=2&max_tokens=5",
        "lr=0.1", "C:\\data", "a:b", "/data/token=5/x", "--header=Accept: x", "secret", "token",
        "--unit=token:5", "token:mean", "secret: tell me", "cookie: bake it", "a,token:mean",
        "http://localhost:8080?mail=a@b.c", "http://localhost:8080#a@b", "--auth=https://host:80/login",
        "--private-key=id.pem", "--credentials=gcp.json", "--cookie=c.txt", "--auth=basic", "--pwd=/work",
        "GOOGLE_APPLICATION_CREDENTIALS=keys/gcp", "--pass=2", "pass=1000", "Server=x;User=pwd",
        '{"token": null}', '{"credentials": {"user": "me"}}', "private_key=" + "a/" * 60_000,
        "=", ":", "-", "--", "",
    ],
)  # fmt: skip
def test_other_arguments_are_left_alone(word: str):
    assert masked("app.py", word, "next") == ["app.py", word, "next"]


@pytest.mark.parametrize(
    "words",
    [
        ["--placeholder_token", "<cat>", "--initializer_token", "toy", "--max_token", "5"],
        ["--reduction", "token:mean"],
        ["--prompt", "secret: tell me"],
        ["--pwd", "/work"],
        ["--private-key", "id.pem"],
        ["--private-key", "~/.ssh/id_rsa"],
        ["--private-key", "C:\\keys\\id.PEM"],
        ["--credentials", "gcp.json"],
        ["--credentials", "s3://bucket/gcp"],
        ["--cookie", "c.txt"],
        ["--pass", "2"],
        ["--pass", "1000", "--passes", "3"],
        ["--auth", "basic"],
    ],
)
def test_ordinary_commands_are_left_alone(words: list[str]):
    assert masked("app.py", *words, "next") == ["app.py", *words, "next"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("--private-key", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/bKcwggSjAgEAAoIBAQ"),
        ("--private-key", "-----BEGIN KEY-----\nab/c"),
        ("--credentials", '{"key": "a/b"}'),
        ("--credentials", "me:p/w"),
        ("--cookie", "id=a/b; c=d.txt"),
        ("--auth", "me:pw"),
        ("--auth", "Bearer abc"),
        ("--pass", "12345"),
        ("--db-pass", "1234"),
        ("--api-keys", "a,b"),
        ("--password", "a/b.txt"),
    ],
)
def test_a_value_that_is_no_path_number_or_method_is_masked(name: str, value: str):
    assert masked("app.py", name, value, "next") == ["app.py", name, MASK, "next"]
    assert masked("app.py", f"{name}={value}") == ["app.py", f"{name}={MASK}"]


@pytest.mark.parametrize("name", ["--private-key", "--credentials", "--cookie"])
def test_the_name_of_a_file_that_exists_is_left_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert masked("app.py", name, "my file") == ["app.py", name, MASK]

    (tmp_path / "my file").touch()
    assert masked("app.py", name, "my file") == ["app.py", name, "my file"]


LONG = dict.fromkeys(
    ("a:", "f0", '{"a": "', "?a&", "a://", ";a=", " a=", "{a:", ",a=1", "; ", "{auth:", "{'", ", ", "a/"), ""
) | {"auth=": ";", "a=": ";", "a:": "@"}


@pytest.mark.parametrize(("part", "end"), LONG.items())
def test_a_long_argument_is_masked_in_a_moment(part: str, end: str):
    word = part * 40_000 + end
    assert masked("app.py", word) == ["app.py", word]


@pytest.mark.parametrize("word", ["{password:a,", ",password='", ';pwd="', " token=a,", "private_key=a/;{"])
def test_a_long_argument_with_many_secrets_is_masked_in_a_moment(word: str):
    assert MASK in masked("app.py", "a=1" + word * 20_000)[1]


@pytest.mark.parametrize("word", ["text-of-a-secret", "-ptext-of-a-secret", "a=text-of-a-secret,b"])
def test_the_text_of_a_secret_is_masked_anywhere(word: str):
    register("text-of-a-secret")

    assert masked("app.py", word) == ["app.py", word.replace("text-of-a-secret", MASK)]
