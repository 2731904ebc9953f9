"""`Secret`: its texts, equality, hash and pickles."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningFlow, LightningWork, Secret
from lightning_lite.errors import ArgumentError, ComponentError, SecretError, StateError
from lightning_lite.values.call_key import call_key
from lightning_lite.values.pickling import pack, unpack
from lightning_lite.values.secret import reveal_environment
from lightning_lite.values.secret_texts import add_texts, texts_in, tokens_in

TEXT = "sk-Zq81-unit"


@dataclasses.dataclass(frozen=True)
class Login:
    user: str
    password: Secret


def keyed(*args: Any) -> str:
    """Return the key of a call with these arguments."""
    return call_key(args, {})


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{:>30}".format,
        "{!r}".format,
        lambda secret: f"{secret!s}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - as in old code
        lambda secret: repr([{"a": (secret,)}]),
        lambda secret: repr(Login("me", secret)),
        lambda secret: pprint.pformat({"deep": [Login("me", secret)]}),
        lambda secret: logging.LogRecord("x", 1, "", 1, "key %s", (secret,), None).getMessage(),
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: repr(ValueError(secret)),
        lambda secret: pickle.dumps([secret]).decode("latin-1"),
        lambda secret: pack({"a": Login("me", secret)}).decode("latin-1"),
    ],
)
def test_no_form_of_a_secret_shows_its_text(show):
    shown = show(Secret(TEXT))

    assert TEXT not in shown
    assert "*****" in shown or "lightning_lite" in shown


def test_json_refuses_a_secret_and_attributes_are_not_listed():
    with pytest.raises(TypeError, match="type Secret is not JSON serializable"):
        json.dumps([Secret(TEXT)])
    with pytest.raises(TypeError):
        vars(Secret(TEXT))
    with pytest.raises(TypeError):
        "Bearer " + Secret(TEXT)


@pytest.mark.parametrize(
    "value", ["", None, 12345678, b"sk-bytes-12", ["sk-list-1234"], Secret("sk-inner-1234")], ids=repr
)
def test_something_else_than_a_text_is_refused_without_showing_it(value):
    with pytest.raises(SecretError, match=r"Secret\(\.\.\.\): a text is expected, found") as refused:
        Secret(value)

    for part in ("12345678", "sk-"):
        assert part not in str(refused.value)


@pytest.mark.parametrize("name", ["", "A=sk-12345", None, "A\0B"])
def test_something_else_than_the_name_of_a_variable_is_refused_without_showing_it(name):
    with pytest.raises(SecretError, match="name of an environment variable") as refused:
        Secret.from_env(name)

    assert "sk-" not in str(refused.value)


def test_secrets_are_equal_if_their_texts_are():
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret(TEXT + "x")
    assert Secret(TEXT) != TEXT
    assert Secret.from_env("A") == Secret.from_env("A") != Secret.from_env("B")
    assert Secret("A-A-A-A") != Secret.from_env("A-A-A-A")
    assert len({Secret(TEXT), Secret(TEXT), Secret.from_env("A"), Secret.from_env("A"), TEXT}) == 3


@pytest.mark.parametrize(
    "secret", [Secret(TEXT), Secret("x"), Secret("é\n'\"\0"), Secret.from_env("SOME_KEY")], ids=repr
)
def test_copies_in_this_process_are_equal_and_have_the_text(secret, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "from the environment")
    for twin in (
        copy.copy(secret),
        copy.deepcopy([secret])[0],
        pickle.loads(pickle.dumps(secret)),
        unpack(pack({"a": [secret]}))["a"][0],
    ):
        assert twin == secret
        assert hash(twin) == hash(secret)
        assert twin.reveal() == secret.reveal()


def test_the_class_can_not_be_subclassed():
    with pytest.raises(TypeError, match="can't be subclassed"):
        type("Loud", (Secret,), {"__repr__": lambda self: self.reveal()})


def test_a_secret_from_the_environment_is_read_at_each_use(monkeypatch):
    secret = Secret.from_env("LATE_KEY")

    with pytest.raises(SecretError, match="variable 'LATE_KEY' is not set"):
        secret.reveal()
    monkeypatch.setenv("LATE_KEY", "")
    with pytest.raises(SecretError, match="variable 'LATE_KEY' is empty"):
        secret.reveal()
    monkeypatch.setenv("LATE_KEY", "first")
    assert secret.reveal() == "first"
    monkeypatch.setenv("LATE_KEY", "another late key")  # other tests print shorter ones
    assert secret.reveal() == "another late key"


def test_a_pickle_in_a_file_has_no_text_and_another_process_says_so(own_place: Path):
    (own_place / "file").write_bytes(pickle.dumps(Secret(TEXT)))
    program = (
        "import pickle\nfrom lightning_lite.errors import SecretError\n"
        "secret = pickle.load(open('file', 'rb'))\nprint(secret)\n"
        "try: secret.reveal()\nexcept SecretError as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("**********\nThis Secret has no text: it was unpickled from a file")


# The keys of calls.


def test_equal_secrets_have_equal_keys_in_every_process():
    program = (
        "from lightning_lite import Secret\nfrom lightning_lite.values.call_key import call_key\n"
        f"print(call_key((Secret({TEXT!r}), [Secret.from_env('A')]), {{}}))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == keyed(Secret(TEXT), [Secret.from_env("A")])


def test_other_secrets_have_other_keys_at_any_depth():
    values = [
        Secret(TEXT), Secret(TEXT + " "), Secret.from_env(TEXT), TEXT, Secret("x"), Secret.from_env("x"),
    ]  # fmt: skip
    wraps = [lambda v: v, lambda v: [v], lambda v: {"a": v}, lambda v: Login("me", v), lambda v: {v}]

    keys = [keyed(wrap(value)) for value in values for wrap in wraps if type(value) is Secret or wrap(1)]

    assert len(set(keys)) == len(keys)
    assert keys == [
        keyed(wrap(value)) for value in values for wrap in wraps if type(value) is Secret or wrap(1)
    ]


def test_the_value_of_a_variable_is_no_part_of_the_key(monkeypatch):
    monkeypatch.setenv("ROTATED", "one-value")
    before = keyed(Secret.from_env("ROTATED"))
    monkeypatch.setenv("ROTATED", "other-value")

    assert keyed(Secret.from_env("ROTATED")) == before


def test_the_key_of_a_secret_without_text_is_refused():
    twin = Secret.__new__(Secret)
    twin.__setstate__((None, "lightning_lite-secret-" + 24 * "0"))

    with pytest.raises(ArgumentError, match=r"argument 0 has no key .* This Secret has no text"):
        keyed(twin)


# Texts travel with the pickled data, not in it.


def test_the_texts_of_the_secrets_in_pickled_data_are_found():
    first, second, other = Secret("text-number-1"), Secret("text-number-2"), Secret("text-number-3")
    data = pack(({"a": [first, first]}, Login("me", second)))

    assert sorted((texts_in(data) or {}).values()) == ["text-number-1", "text-number-2"]
    assert (texts_in(None, pack([other])) or {}).values() != []
    assert texts_in(pack(["no secret", b"lightning_lite-secret-", "lightning_lite-secret-0000"])) is None
    assert texts_in(pack(Secret.from_env("A"))) is None


@pytest.mark.parametrize(
    "value", [list(range(500_000)), b"x" * 3_000_000, {str(i): i for i in range(150_000)}], ids=type
)
def test_the_texts_of_a_big_value_are_found_without_its_file(value, tmp_path: Path):
    secret = Secret("text-beside-a-big-value")
    data = pack([secret, value, [secret]], folder=str(tmp_path / "values"))

    assert list((texts_in(data) or {}).values()) == ["text-beside-a-big-value"]
    assert [path for path in (tmp_path / "values").iterdir() if b"text-beside" in path.read_bytes()] == []
    assert unpack(data)[0] == secret


def test_a_token_is_not_found_across_pieces_that_are_not_of_this_process():
    assert tokens_in([b"lightning_lite-secret-", b"lightning_lite-secret-" + 24 * b"f"]) == []


def test_texts_that_were_learned_are_known_to_secrets_that_arrive_then():
    token = "lightning_lite-secret-" + "ab" * 12
    data = pickle.dumps(Secret("learned-text")).replace(
        next(iter(texts_in(pickle.dumps(Secret("learned-text"))) or {})).encode(), token.encode()
    )
    with pytest.raises(SecretError, match="has no text"):
        pickle.loads(data).reveal()

    add_texts({token: "learned-text"})

    assert pickle.loads(data).reveal() == "learned-text"
    assert pickle.loads(data) == Secret("learned-text")


# State and environment.


class Holder(LightningWork):
    def __init__(self, **options):
        super().__init__(**options)
        self.public = None

    def run(self):
        pass


@pytest.mark.parametrize(
    "value", [Secret(TEXT), [Secret(TEXT)], {"a": (1, Secret(TEXT))}, Secret.from_env("A")], ids=repr
)
@pytest.mark.parametrize("kind", [Holder, LightningFlow])
def test_a_secret_is_refused_as_state(value, kind):
    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.public = None

    with pytest.raises(StateError, match=r"keep it in a private attribute \(self\._x = y\)") as refused:
        (Holder if kind is Holder else Flow)().public = value

    assert TEXT not in str(refused.value)


def test_an_environment_takes_secrets_and_names_a_variable_that_is_not_set(monkeypatch):
    env = {"A": Secret("text-of-a"), "B": "plain", "C": Secret.from_env("NOT_SET_YET")}
    Holder(env=env)

    with pytest.raises(
        SecretError, match=r"root\.w: env 'C': The environment variable 'NOT_SET_YET' is not set"
    ):
        reveal_environment(env, "root.w")
    monkeypatch.setenv("NOT_SET_YET", "text-of-c")
    assert reveal_environment(env, "root.w") == {"A": "text-of-a", "B": "plain", "C": "text-of-c"}
    assert reveal_environment(None, "root.w") is None


@pytest.mark.parametrize("value", [Secret("with a \0 in it"), 7, None, b"bytes", [Secret(TEXT)]], ids=repr)
def test_another_value_in_an_environment_is_refused(value):
    with pytest.raises(ComponentError, match="env must be a dict of strings, or of Secrets"):
        Holder(env={"A": value})
