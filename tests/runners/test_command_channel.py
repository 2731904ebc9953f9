"""The channel for commands: where its socket is, who gets through, and what is left of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.errors import CommandError
from lightning_lite.runners.command_channel import CommandChannel, ask

LONG = "long" * 40

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"heard": request}


@pytest.fixture(params=["", LONG], ids=["short path", "long path"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / request.param
    path.mkdir(exist_ok=True)
    return str(path)


def test_a_request_is_answered_and_nothing_is_left_at_the_end(folder: str):
    channel = CommandChannel(folder, echo)
    try:
        answers = [ask(folder, "greet", number=number) for number in range(3)]
    finally:
        channel.close()

    assert [answer["heard"]["number"] for answer in answers] == [0, 1, 2]
    assert answers[0]["heard"]["command"] == "greet"
    assert os.listdir(folder) in ([], ["here", "temporary"], ["temporary", "here"])
    with pytest.raises(CommandError, match="takes no commands"):
        ask(folder, "greet")


def test_without_proc_a_long_path_has_its_socket_in_a_short_private_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / LONG
    folder.mkdir()
    isdir = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: path != "/proc/self/fd" and isdir(path))
    short = tmp_path / "s"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))

    channel = CommandChannel(str(folder), echo)
    try:
        (place,) = short.iterdir()
        assert place.stat().st_mode & 0o777 == 0o700
        assert ask(str(folder), "greet")["ok"]
    finally:
        channel.close()

    assert list(short.iterdir()) == list(folder.iterdir()) == []


def test_what_a_dead_process_has_left_blocks_no_other(tmp_path: Path):
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(tmp_path / "commands.sock"))
    left.close()
    with pytest.raises(CommandError, match="takes no commands"):
        ask(str(tmp_path), "greet")

    channel = CommandChannel(str(tmp_path), echo)
    try:
        assert ask(str(tmp_path), "greet")["ok"]
    finally:
        channel.close()


def test_another_user_does_not_get_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    channel = CommandChannel(str(tmp_path), echo)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    try:
        with pytest.raises(CommandError, match=r"without an answer|takes no commands"):
            ask(str(tmp_path), "greet")
    finally:
        channel.close()


def test_a_missing_answer_does_no_damage(tmp_path: Path):
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return {"bad": 1 / request["by"]}

    channel = CommandChannel(str(tmp_path), answer)
    try:
        with pytest.raises(CommandError, match="ZeroDivisionError"):
            ask(str(tmp_path), "divide", by=0)
        assert ask(str(tmp_path), "divide", by=2)["bad"] == 0.5
    finally:
        channel.close()


def test_a_big_answer_arrives_whole(tmp_path: Path):
    channel = CommandChannel(str(tmp_path), lambda request: {"text": "x" * 3_000_000})
    try:
        assert len(ask(str(tmp_path), "tell")["text"]) == 3_000_000
    finally:
        channel.close()


def test_a_client_that_reads_no_answer_blocks_neither_others_nor_the_end(tmp_path: Path):
    channel = CommandChannel(str(tmp_path), lambda request: {"text": "x" * 3_000_000})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.connect(str(tmp_path / "commands.sock"))
        deaf.sendall(b'{"version": 1, "command": "tell"}\n')
        try:
            assert ask(str(tmp_path), "tell")["ok"]
        finally:
            channel.close()


def test_too_many_connections_at_once_are_refused_and_later_ones_answered(tmp_path: Path):
    channel = CommandChannel(str(tmp_path), echo)
    peers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(40)]
    try:
        for peer in peers:
            peer.connect(str(tmp_path / "commands.sock"))
        for peer in peers:
            peer.close()
        assert ask(str(tmp_path), "greet")["ok"]
    finally:
        channel.close()


def test_a_path_too_long_for_a_socket_is_reported(tmp_path: Path):
    (tmp_path / "commands.sock").mkdir()
    (tmp_path / "commands.sock" / "something").touch()

    with pytest.raises(OSError, match="in use"):
        CommandChannel(str(tmp_path), echo)
