"""Which arguments of a command line are secrets."""

from __future__ import annotations

import pytest

from lightning_lite.masking import MASK, register
from lightning_lite.runs.command_line import mask_command

SECRET_OPTIONS = (
    "--password --db-password --db_password --dbPassword --DB_PASSWORD -password --passwd "
    "--passphrase --pwd --token --api-token --HFToken --authtoken --api-key --apikey --apiKey "
    "--APIKey --wandb_api_key --secret --client-secret --secret-access-key --access-key "
    "--private-key --account_key --credentials --model.login.password --cookie"
)

OTHER_OPTIONS = (
    "--rate -p -t -k --key --sort-key --max-tokens --token-limit --tokenizer --pad-token "
    "--eos_token --password-file --password-stdin --no-password --ask-password --use-token "
    "--secretary --passes --monkey --api-key-name --author --access-key-id --compass"
)


def masked(*words: str) -> list[str]:
    """Return the command line as it is stored, and check the positions."""
    shown, places = mask_command(words)
    assert places == [place for place, word in enumerate(words) if word != shown[place]]
    return shown


@pytest.mark.parametrize(
    "name",
    SECRET_OPTIONS.split(),
)
def test_the_value_of_an_option_is_masked(name: str):
    assert masked("app.py", name, "value", "next") == ["app.py", name, MASK, "next"]
    assert masked("app.py", name, "-value") == ["app.py", name, MASK]
    assert masked("app.py", f"{name}=value", "next") == ["app.py", f"{name}={MASK}", "next"]
    assert masked(f"{name.lstrip('-')}=a=b c\nd") == [f"{name.lstrip('-')}={MASK}"]
    assert masked(name, "--rate", "1") == [name, "--rate", "1"]
    assert masked(name) == [name]


@pytest.mark.parametrize(
    "name",
    OTHER_OPTIONS.split(),
)
def test_other_options_are_left_alone(name: str):
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
        "=", ":", "-", "--", "",
    ],
)  # fmt: skip
def test_other_arguments_are_left_alone(word: str):
    assert masked("app.py", word, "next") == ["app.py", word, "next"]


@pytest.mark.parametrize(
    "word", ["a:" * 60_000, "f0" * 60_000, '{"a": "' * 20_000, "?a&" * 40_000, "a://" * 30_000]
)
def test_a_long_argument_is_masked_in_a_moment(word: str):
    assert masked("app.py", word) == ["app.py", word]


@pytest.mark.parametrize("word", ["text-of-a-secret", "-ptext-of-a-secret", "a=text-of-a-secret,b"])
def test_the_text_of_a_secret_is_masked_anywhere(word: str):
    register("text-of-a-secret")

    assert masked("app.py", word) == ["app.py", word.replace("text-of-a-secret", MASK)]
