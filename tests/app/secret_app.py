"""An app whose works get a secret in all ways, and show it in all ways; run by `test_secrets`.

secret_app.py <runner> <start method> <resume>     the text of the secret is in the file `text`
"""

# ruff: noqa: T201 - the test reads the output

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from lightning_lite import LightningApp, LightningFlow, LightningWork, Secret

FILE = Path("text")  # it is missing only while pytest looks for doctests here
TEXT = FILE.read_text() if FILE.exists() else "no secret"
GLOBAL = Secret(TEXT)


@dataclasses.dataclass
class Login:
    user: str
    password: Secret


class Refused(Exception):
    """An exception that holds a secret, and has its text in several places."""

    def __init__(self, secret: Secret) -> None:
        super().__init__(f"401 for {secret.reveal()}", secret)
        self.text = secret.reveal()
        self.add_note(f"with {secret.reveal()}")


class Use(LightningWork):
    def __init__(self, secret: Secret | None = None, **options: Any) -> None:
        super().__init__(raise_exception=False, **options)
        self._secret = secret
        self.num_calls = 0

    def on_start(self) -> None:
        if self._secret is not None:
            print("on_start:", self._secret.reveal())

    def run(self, how: str, *args: Any, **kwargs: Any) -> object:
        self.num_calls += 1
        given = [*args, *kwargs.values()]
        texts = {secret.reveal() for secret in find(given)} | {GLOBAL.reveal()}
        if self._secret is not None:
            texts.add(self._secret.reveal())
        (text,) = texts
        with open("ran", "a") as file:
            file.write(f"{how}\n")
        show(text)
        if how.startswith("raise"):
            raise Refused(GLOBAL)
        if how == "fail once" and not os.path.exists("failed"):
            Path("failed").touch()
            raise ConnectionError(f"refused: {text!r}")
        if how == "die":
            sys.stdout.write("the last output is " + text[:-3])
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "answer":
            return {"secret": [GLOBAL]}
        if how == "environment":
            return digest(os.environ["API_KEY"]), digest(os.environ["OTHER_KEY"])
        if how == "processes":
            return [digest(text) for line in command_lines() if text in line]
        return digest(text)


def show(text: str) -> None:
    """Print a text in whole lines, in parts, from C code, and in a log record."""
    print("print:", text, flush=True)
    print("again:", repr(text), file=sys.stderr)
    if "inline" not in sys.argv:  # there, only prints of Python are the output of a work
        for part in ("in parts: ", text[:1], text[1:7], text[7:], "\n"):
            os.write(1, part.encode())
    logging.getLogger("app").error("log record: %s", text)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def find(value: object) -> list[Secret]:
    """Return the secrets in a value."""
    if isinstance(value, Secret):
        return [value]
    if isinstance(value, Login):
        return [value.password]
    if isinstance(value, dict):
        return find([*value.values()])
    return (
        [secret for item in value for secret in find(item)] if isinstance(value, list | tuple | set) else []
    )


def command_lines() -> Iterator[str]:
    """Return the command lines of all processes."""
    for process in psutil.process_iter():
        try:
            yield "\0".join(process.cmdline())
        except psutil.Error:
            pass


class Root(LightningFlow):
    def __init__(self, runner: str, can_die: bool) -> None:
        super().__init__()
        self._can_die = can_die
        self._has_env = runner == "processes"
        secret = Secret(TEXT)
        env = {"API_KEY": secret, "OTHER_KEY": Secret.from_env("THE_KEY")} if self._has_env else None
        self.use = Use(secret, retries=1, retry_delay=0.0, env=env)
        self.other = Use()

    def run(self) -> None:
        secret = Secret(TEXT)
        answers = [
            self.use.run("plain", secret),
            self.use.run("list", [1, (secret, {secret})]),
            self.use.run("dict", given={"a": [secret]}),
            self.use.run("dataclass", Login("me", secret)),
            self.use.run("variable", Secret.from_env("THE_KEY")),
            self.use.run("revealed", "text", TEXT),
            self.use.run("processes", secret),
            self.use.run("fail once", secret),
            self.other.run("raise", secret),
            self.other.run("answer", secret),
            self.other.run("long text", TEXT * 9),
            self.use.run("big", [secret, b"x" * 1_100_000]),
        ]
        if self._has_env:
            answers.append(self.use.run("environment"))
            answers.append(self.use.run("die", secret))
        if self._can_die:
            print("before the kill", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        answers.append(self.other.run("after the kill", Login("you", secret)))
        print(answers)
        call = self.other.call("raise", secret)
        assert call is not None
        assert call.error is not None
        print(call.error.args[1] == secret, call.error)
        self.stop("done")


if __name__ == "__main__":
    runner, start_method, resume = sys.argv[1:]
    can_die = resume == "dies"
    app = LightningApp(Root(runner, can_die), log_level="debug")
    app.run(runner=runner, start_method=start_method, resume=resume == "resumes")
