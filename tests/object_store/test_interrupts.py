"""A signal ends the wait for a store that does not answer."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.object_proxy import Proxy
from tests.support.processes import DEADLINE

pytestmark = pytest.mark.dependencies

VERBS = ("list", "get_file", "put_file", "get_folder", "put_folder", "last")

SCRIPT = """
import sys

from lightning_lite.storage import Drive

drive = Drive("lit://models", root_dir=sys.argv[1])
verbs = {
    "list": drive.list,
    "get_file": lambda: drive.get("file", to="copy"),
    "put_file": lambda: drive.put("file"),
    "get_folder": lambda: drive.get("folder", to="copies"),
    "put_folder": lambda: drive.put("folder"),
}
drive.put("file")
drive.put("folder")
print("ready", flush=True)
for line in sys.stdin:
    name = line.strip()
    try:
        verbs.get(name, drive.list)()
    except KeyboardInterrupt:
        print(f"{name} was interrupted", flush=True)
    if name == "last":
        break
"""


def test_ctrl_c_ends_each_verb_while_the_store_is_silent(proxy: Proxy, url: str, own_place: Path):
    (own_place / "script.py").write_text(SCRIPT)
    (own_place / "file").write_text("text")
    (own_place / "folder").mkdir()
    for name in ("a", "b"):  # each is an object of its own, and they are sent at the same time
        with (own_place / "folder" / name).open("w") as file:
            file.truncate(5_000_000)
    released = threading.Event()
    command = [sys.executable, "script.py", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            for name in VERBS:
                arrived = threading.Semaphore(0)

                def be_silent(
                    method: str, path: str, arrived: threading.Semaphore = arrived, name: str = name
                ) -> None:
                    if ("/data/" in path) == ("_" in name):
                        arrived.release()
                        released.wait()

                proxy.before = be_silent
                print(name, file=process.stdin, flush=True)
                # The requests for both files: a late one would be taken for a request of the next verb.
                for _ in range(2 if name.endswith("folder") else 1):
                    assert arrived.acquire(timeout=DEADLINE)
                process.send_signal(signal.SIGINT)
                assert process.stdout.readline() == f"{name} was interrupted\n"
            assert process.wait(DEADLINE) == 0  # although no request was answered
        finally:
            process.kill()
            released.set()
    assert not (own_place / "copy").exists()
    assert not (own_place / "copies").exists()
