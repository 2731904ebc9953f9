"""The channel for commands: the place of its socket, the users with access, and its removal."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.errors import CommandError
from lightning_lite.runners import command_channel
from lightning_lite.runners.command_channel import REQUEST_LIMIT, VERSION, CommandChannel, Later, ask
from lightning_lite.testing import poll_until

from tests.support.odd_files import IRREGULAR, each, put, snapshot
from tests.support.processes import DEADLINE

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
        assert ask(folder, "greet", timeout=0.5)["heard"]["timeout"] == 0.5
        line = {"version": VERSION, "command": "greet", "text": ""}
        longest = "x" * (REQUEST_LIMIT - len(json.dumps(line)))
        assert ask(folder, "greet", text=longest)["heard"]["text"] == longest
        with pytest.raises(CommandError, match=f"at most {REQUEST_LIMIT} bytes") as caught:
            ask(folder, "greet", text=longest + "x")
        assert caught.value.is_too_long
    finally:
        channel.close()

    assert [answer["heard"]["number"] for answer in answers] == [0, 1, 2]
    assert answers[0]["heard"]["command"] == "greet"
    assert os.listdir(folder) in ([], ["here", "temporary"], ["temporary", "here"])
    with pytest.raises(CommandError, match="takes no commands"):
        ask(folder, "greet")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Hide /proc, as on macOS; return the folder for temporary files, which has a short path."""
    isdir = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: path != "/proc/self/fd" and isdir(path))
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr("tempfile.tempdir", short)
        yield Path(short)


def test_without_proc_a_long_path_has_its_socket_in_a_short_private_place(tmp_path: Path, short: Path):
    folder = tmp_path / LONG
    folder.mkdir()

    channel = CommandChannel(str(folder), echo)
    try:
        (place,) = short.iterdir()
        assert place.stat().st_mode & 0o777 == 0o700
        assert ask(str(folder), "greet")["ok"]
        (tmp_path / "other").symlink_to(folder)
        assert ask(str(tmp_path / "other"), "greet")["ok"]
        assert list(folder.iterdir()) == []
    finally:
        channel.close()

    assert list(short.iterdir()) == list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", each([*IRREGULAR, "an open folder"]))
def test_a_short_place_that_another_program_has_prepared_is_refused(tmp_path: Path, short: Path, kind: str):
    folder = tmp_path / LONG
    folder.mkdir()
    CommandChannel(str(folder), echo).close()
    place = Path(command_channel._short_folder(str(folder)))
    if kind in ("a folder", "an open folder"):
        place.mkdir()
        place.chmod(0o777)
    else:
        put(kind, place)
    before = snapshot(short)

    with pytest.raises(OSError, match="not a private folder of this user"):
        CommandChannel(str(folder), echo)
    with pytest.raises(CommandError, match="not a private folder of this user"):
        ask(str(folder), "greet")

    assert snapshot(short) == before


def test_the_short_place_of_a_dead_process_is_used_again(tmp_path: Path, short: Path):
    folder = tmp_path / LONG
    folder.mkdir()
    place = Path(command_channel._short_folder(str(folder)))
    place.mkdir(0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(place / command_channel._SHORT_NAME))

    channel = CommandChannel(str(folder), echo)
    try:
        assert ask(str(folder), "greet")["ok"]
    finally:
        channel.close()
    assert list(short.iterdir()) == []


LINKS = [kind for kind in IRREGULAR if "link" in kind]
OTHERS = [kind for kind in [*IRREGULAR, "a huge file", "an empty file", "nonsense"] if "link" not in kind]


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_in_place_of_the_socket_is_replaced_and_not_followed(folder: str, kind: str):
    put(kind, Path(folder, "commands.sock"))
    kept = {name: found for name, found in snapshot(Path(folder)).items() if "precious" in name}
    with pytest.raises(CommandError, match=r"it is a symbolic link, not a socket.*/commands\.sock"):
        ask(folder, "greet")

    channel = CommandChannel(folder, echo)
    try:
        assert ask(folder, "greet")["ok"]
    finally:
        channel.close()

    assert not os.path.lexists(os.path.join(folder, "commands.sock"))
    assert kept.items() <= snapshot(Path(folder)).items()


def test_a_link_to_the_socket_of_another_run_controls_no_other_run(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    heard: list[dict[str, Any]] = []
    channel = CommandChannel(str(tmp_path / "one"), lambda request: heard.append(request) or {})
    try:
        (tmp_path / "other/commands.sock").symlink_to(tmp_path / "one/commands.sock")
        with pytest.raises(CommandError, match="a symbolic link, not a socket"):
            ask(str(tmp_path / "other"), "stop")
        CommandChannel(str(tmp_path / "other"), echo).close()
        assert ask(str(tmp_path / "one"), "greet")["ok"]
    finally:
        channel.close()
    assert [request["command"] for request in heard] == ["greet"]


@pytest.mark.parametrize("kind", each(OTHERS))
def test_another_thing_in_place_of_the_socket_is_refused_and_kept(folder: str, kind: str):
    put(kind, Path(folder, "commands.sock"))
    before = snapshot(Path(folder))

    with pytest.raises(OSError, match="not a socket"):
        CommandChannel(folder, echo)
    with pytest.raises(CommandError, match=r"can't be reached: it is a .*, not a socket .*commands\.sock"):
        ask(folder, "greet")

    assert snapshot(Path(folder)) == before


@pytest.mark.parametrize("kind", each(["a FIFO", "a folder", "a link to a file"]))
def test_a_thing_that_replaced_the_socket_of_an_open_channel_is_kept(folder: str, kind: str):
    channel = CommandChannel(folder, echo)
    put(kind, Path(folder, "commands.sock"))
    before = snapshot(Path(folder))

    channel.close()

    assert snapshot(Path(folder)) == before


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


@contextmanager
def peers(folder: Path, count: int, sends: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connect some peers that send a part of a request, or nothing, and wait."""
    with ExitStack() as ends:
        opened = [ends.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(count)]
        for peer in opened:
            peer.connect(str(folder / "commands.sock"))
            peer.sendall(sends)
        yield opened


@pytest.mark.parametrize("count", [31, 32, 33, 100])
@pytest.mark.parametrize("sends", [b"", b"{", b'{"version": 1, "command": "greet"}'])
def test_silent_peers_shut_out_no_other(
    tmp_path: Path, count: int, sends: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(command_channel, "_TIMEOUT", 3600.0)  # the silent peers stay
    channel = CommandChannel(str(tmp_path), echo)
    try:
        with peers(tmp_path, count, sends):
            for number in range(5):
                assert ask(str(tmp_path), "greet", number=number)["heard"]["number"] == number
    finally:
        channel.close()


def test_peers_that_read_no_answer_shut_out_no_other(tmp_path: Path):
    channel = CommandChannel(str(tmp_path), lambda request: {"text": "x" * 1_000_000})
    try:
        with peers(tmp_path, 40, b'{"version": 1, "command": "tell"}\n'):
            assert len(ask(str(tmp_path), "tell")["text"]) == 1_000_000
    finally:
        channel.close()


def test_the_newest_of_many_silent_peers_are_kept(tmp_path: Path):
    channel = CommandChannel(str(tmp_path), echo)
    try:
        with peers(tmp_path, 40) as opened:
            for peer in opened:
                peer.settimeout(DEADLINE)
            assert opened[0].recv(1) == b""  # it was dropped for the last ones
            opened[-1].sendall(b'{"version": 1, "command": "greet"}\n')
            assert b'"ok": true' in opened[-1].recv(1000)
    finally:
        channel.close()


@contextmanager
def server(folder: Path, act: Callable[[socket.socket], object], backlog: int = 8) -> Iterator[None]:
    """Listen in place of an app, and do something with the first connection."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            act(connection)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "commands.sock"))
        listener.listen(backlog)
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(DEADLINE)
        assert not thread.is_alive()


def send_all(connection: socket.socket, data: bytes, pause: float = 0.0) -> None:
    try:
        while True:
            connection.sendall(data)
            threading.Event().wait(pause)
    except OSError:
        pass  # the other side has closed the connection


@pytest.mark.parametrize(
    ("data", "pause", "patience", "words"),
    [
        (b"x" * 65536, 0.0, 30.0, "more than|does not answer within"),
        (b"x", 0.01, 0.3, "does not answer within 0.3 s"),
        (b"not JSON\n", 0.01, 30.0, "not JSON"),
        (b"[" * 50_000 + b"\n", 0.01, 30.0, "not JSON"),
    ],
)
def test_an_answer_without_end_or_sense_ends_the_question(
    tmp_path: Path, data: bytes, pause: float, patience: float, words: str
):
    with (
        server(tmp_path, lambda connection: send_all(connection, data, pause)),
        pytest.raises(CommandError, match=words),
    ):
        ask(str(tmp_path), "greet", patience=patience)


def test_an_app_that_accepts_no_connection_does_not_answer(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, ExitStack() as ends:
        listener.bind(str(tmp_path / "commands.sock"))
        listener.listen(0)
        for _ in range(3):  # as many as Linux lets wait, and more
            peer = ends.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            peer.setblocking(False)
            peer.connect_ex(str(tmp_path / "commands.sock"))

        with pytest.raises(CommandError, match=r"does not answer within 0\.2 s: it hangs, or was suspended"):
            ask(str(tmp_path), "greet", patience=0.2)


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


def test_a_folder_in_place_of_the_socket_is_reported(tmp_path: Path):
    (tmp_path / "commands.sock").mkdir()
    (tmp_path / "commands.sock" / "something").touch()

    with pytest.raises(OSError, match="it is a folder, not a socket"):
        CommandChannel(str(tmp_path), echo)


# Answers that take long.


def test_an_answer_that_takes_long_delays_no_other(tmp_path: Path):
    go = threading.Event()

    def answer(request: dict[str, Any]) -> dict[str, Any] | Later:
        if request["command"] == "slow":
            return Later(lambda: {"went": go.wait(DEADLINE)})
        go.set()
        return {}

    channel = CommandChannel(str(tmp_path), answer)
    try:
        with ThreadPoolExecutor(4) as pool:
            slow = [pool.submit(ask, str(tmp_path), "slow", DEADLINE) for _ in range(3)]
            assert not any(each.done() for each in slow)
            ask(str(tmp_path), "quick", DEADLINE)
            assert [each.result(DEADLINE)["went"] for each in slow] == [True] * 3
    finally:
        channel.close()


def test_the_error_of_an_answer_that_takes_long_is_sent(tmp_path: Path):
    def fail() -> dict[str, Any]:
        raise CommandError("no such work")

    channel = CommandChannel(str(tmp_path), lambda _: Later(fail))
    try:
        with pytest.raises(CommandError, match="no such work"):
            ask(str(tmp_path), "slow", DEADLINE)
    finally:
        channel.close()


def test_a_peer_that_goes_before_its_answer_harms_no_other(tmp_path: Path):
    go, begun = threading.Event(), threading.Event()

    def make() -> dict[str, Any]:
        begun.set()
        go.wait(DEADLINE)
        return {}

    channel = CommandChannel(
        str(tmp_path), lambda request: Later(make) if request["command"] == "slow" else {}
    )
    try:
        while not begun.is_set():  # a busy machine may send no request in that time
            with pytest.raises(CommandError, match="does not answer within") as caught:
                ask(str(tmp_path), "slow", 0.05)
            assert caught.value.is_late
        poll_until(lambda: not channel._peers, DEADLINE)
        go.set()
        assert ask(str(tmp_path), "quick", DEADLINE)["ok"]
    finally:
        channel.close()


def test_an_answer_that_is_nearly_ready_is_sent_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command_channel, "_END_TIMEOUT", DEADLINE)
    go, begun = threading.Event(), threading.Event()

    def make() -> dict[str, Any]:
        begun.set()
        go.wait(DEADLINE)
        return {"text": "x" * 3_000_000}

    channel = CommandChannel(str(tmp_path), lambda _: Later(make))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, str(tmp_path), "slow", DEADLINE)
        begun.wait(DEADLINE)
        threading.Timer(0.1, go.set).start()
        channel.close()
        assert len(asked.result(DEADLINE)["text"]) == 3_000_000


def test_an_answer_that_never_comes_does_not_hold_the_end(tmp_path: Path):
    go, begun = threading.Event(), threading.Event()

    def make() -> dict[str, Any]:
        begun.set()
        go.wait(DEADLINE)
        return {}

    channel = CommandChannel(str(tmp_path), lambda _: Later(make))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, str(tmp_path), "slow", DEADLINE)
        begun.wait(DEADLINE)
        channel.close()
        with pytest.raises(CommandError, match="without an answer"):
            asked.result(DEADLINE)
        go.set()
