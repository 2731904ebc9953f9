"""Files of big values: killed writers, objects that lie about their buffers, full disks."""

from __future__ import annotations

import errno
import os
import pickle
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_lite import Secret
from lightning_lite.errors import ValueFileError
from lightning_lite.events import CallSucceeded, Event
from lightning_lite.runs.event_codec import encode_events
from lightning_lite.runs.journal_values import INLINE_LIMIT
from lightning_lite.values.pickling import BIG, files_of, in_place_of, is_reference, pack, unpack, value_files

from tests.support.limits import limited
from tests.support.odd_files import IRREGULAR, each, put
from tests.support.users import ALICE, Refused, act_as, folder_for_all, needs_users

pytestmark = pytest.mark.dependencies  # xxhash

PROGRAM = Path(__file__).with_name("value_file_kills.py")


@pytest.mark.parametrize("form", ["unnamed", "staged"])
def test_a_writer_that_is_killed_at_any_system_call_leaves_nothing(form: str, tmp_path: Path):
    command = [sys.executable, str(PROGRAM), str(tmp_path), form]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20


class Liar:
    """Claims another content each time it is pickled."""

    def __init__(self, *contents: object) -> None:
        self.contents = list(contents)

    def __reduce_ex__(self, protocol: int) -> tuple[object, ...]:
        content = self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]
        if isinstance(content, bytearray):
            return bytes, (pickle.PickleBuffer(content),)
        return bytes, (content,)


BIG_BUFFER = bytearray(b"ab" * BIG)


@pytest.mark.parametrize(
    "contents",
    [
        (BIG_BUFFER, b"small"),
        (BIG_BUFFER, BIG_BUFFER[: BIG // 2]),
        (BIG_BUFFER, bytes(BIG_BUFFER)),
        (b"small", BIG_BUFFER),
    ],
)
def test_an_object_that_changes_its_buffers_is_stored_as_it_was_in_one_of_its_states(
    contents, tmp_path: Path
):
    packed = pack(Liar(*contents), folder=str(tmp_path))

    assert unpack(packed) in [bytes(content) for content in contents]


def test_a_buffer_that_is_not_contiguous_is_refused_or_copied(tmp_path: Path):
    class Strided:
        def __reduce_ex__(self, protocol: int) -> tuple[object, ...]:
            return bytes, (pickle.PickleBuffer(memoryview(BIG_BUFFER)[::2]),)

    packed = None
    with pytest.raises((TypeError, BufferError)):
        packed = pack(Strided(), folder=str(tmp_path / "values"))
    assert packed is None
    assert not (tmp_path / "values").exists()


def test_a_change_of_the_original_changes_no_stored_value(tmp_path: Path):
    buffer = bytearray(b"a" * 2 * BIG)
    packed = pack(Liar(buffer), folder=str(tmp_path))
    buffer[:] = b"b" * len(buffer)

    assert unpack(packed) == b"a" * 2 * BIG


def test_a_value_with_very_many_buffers_is_a_reference_still(tmp_path: Path):
    numpy = pytest.importorskip("numpy")
    value = [numpy.full(66_000, number % 256, "u1") for number in range(900)]
    assert unpack(pack(value[7], folder=str(tmp_path)))[-1] == 7

    packed = pack(value, folder=str(tmp_path))
    again = pack(unpack(packed), folder=str(tmp_path))

    assert is_reference(packed)
    assert [int(array[-1]) for array in unpack(again)] == [number % 256 for number in range(900)]
    events: list[Event] = [CallSucceeded("root.w", "1", 1.0, packed)]
    entry = encode_events(events, keep_value=None)  # a reference is always in the journal itself
    assert len(packed) > INLINE_LIMIT
    assert packed in entry
    (first,), (second,) = files_of(packed), files_of(again)
    assert os.path.samefile(tmp_path / first, tmp_path / second)


def num_files(folder: Path) -> int:
    return len({path.stat().st_ino for path in folder.iterdir()})


@pytest.mark.parametrize("value", [b"a" * BIG, "ä" * BIG, [float(n) for n in range(BIG // 4)]])
def test_a_value_that_has_not_changed_is_not_written_again(value: object, tmp_path: Path):
    folder = tmp_path / "values"
    packed = pack(value, to_main=True, folder=str(folder))
    value = unpack(packed)

    again = pack(((1, in_place_of(value, packed)), {}), folder=str(folder))

    assert unpack(again) == ((1, value), {})
    assert num_files(folder) == 1
    (first,), (second,) = files_of(packed), files_of(again)
    assert first != second
    os.unlink(folder / first)
    assert unpack(again) == ((1, value), {})


def test_a_value_whose_file_was_removed_is_written_again(tmp_path: Path):
    packed = pack(b"a" * BIG, folder=str(tmp_path))
    value = unpack(packed)
    (name,) = files_of(packed)
    os.unlink(tmp_path / name)

    assert unpack(pack([in_place_of(value, packed)], folder=str(tmp_path))) == [value]


def test_a_value_with_a_secret_is_pickled_again_so_that_the_text_of_the_secret_travels(tmp_path: Path):
    value = [Secret("text beside a big text"), "a" * BIG]
    packed = pack(value, folder=str(tmp_path))

    assert in_place_of(value, packed) is value


class Tripwire:
    """Records that it was unpickled."""

    was_unpickled = False

    def __reduce__(self) -> tuple[object, ...]:
        return trip, ()


def trip() -> None:
    Tripwire.was_unpickled = True


def test_a_file_of_another_owner_is_refused_before_anything_is_unpickled(tmp_path: Path, monkeypatch):
    packed = pack([Tripwire(), BIG_BUFFER], folder=str(tmp_path / "values"))
    (name,) = files_of(packed)
    stranger = os.geteuid() + 1

    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(ValueFileError, match="belongs to user") as caught:
        unpack(packed)

    assert caught.value.file == str(tmp_path / "values" / name)
    assert not Tripwire.was_unpickled


@pytest.mark.parametrize("failing", ["open", "pwrite", "link"])
def test_a_disk_that_is_full_at_any_step_is_one_clear_error(failing: str, tmp_path: Path, monkeypatch):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "values"
    folder.mkdir(mode=0o700)
    with monkeypatch.context() as patches:
        patches.setattr(os, failing, full)
        with pytest.raises(ValueFileError, match="No space left") as caught:
            pack(BIG_BUFFER, folder=str(folder))

    assert caught.value.file == str(folder)
    assert os.listdir(folder) == []
    assert unpack(pack(BIG_BUFFER, folder=str(folder))) == BIG_BUFFER


# Opened are the folder and the file. Before Python 3.13, mapping the file opens it once more.
@pytest.mark.parametrize("free", [0, 1, 2] if sys.version_info < (3, 13) else [0, 1])
def test_too_many_open_files_say_nothing_against_a_value(free: int, tmp_path: Path):
    packed = pack(BIG_BUFFER, folder=str(tmp_path))
    lowest = os.dup(0)
    os.close(lowest)

    with (
        limited(resource.RLIMIT_NOFILE, lowest + free),
        pytest.raises(ValueFileError, match="Too many open files; ") as caught,
    ):
        unpack(packed)

    advice = str(caught.value).partition("Too many open files; ")[2]
    assert advice == "allow more open files with 'ulimit -n', or hold fewer values at a time"
    assert unpack(packed) == BIG_BUFFER


@pytest.mark.parametrize("kind", each(IRREGULAR))
def test_what_is_in_the_place_of_a_file_is_named(kind: str, tmp_path: Path):
    packed = pack(BIG_BUFFER, folder=str(tmp_path))
    (name,) = files_of(packed)
    put(kind, tmp_path / name)
    what = "a symbolic link" if os.path.islink(tmp_path / name) else kind

    with pytest.raises(ValueFileError) as caught:
        unpack(packed)

    assert caught.value.what == f"it is {what}, not a regular file"
    assert str(caught.value) == (
        f"the file of a value '{tmp_path / name}' can't be used: {caught.value.what}; restore the file, "
        "or start a new run"
    )


@pytest.mark.parametrize("kind", each([kind for kind in IRREGULAR if kind != "a folder"]))
def test_what_is_in_the_place_of_the_folder_is_named(kind: str, tmp_path: Path):
    folder = tmp_path / "values"
    put(kind, folder)
    what = "a symbolic link" if os.path.islink(folder) else kind
    reason = f"it is {what}, not a folder; check what is at that path"

    with pytest.raises(ValueFileError) as caught:
        value_files().list_files(str(folder))
    assert str(caught.value) == f"the folder of values '{folder}' can't be used: {reason}, or start a new run"
    with pytest.raises(ValueFileError, match=reason):
        pack(BIG_BUFFER, folder=str(folder))


DENIED = "Permission denied; give yourself access to it with chmod or chown"
OPEN = "other users may write to it; if you trust its content, run chmod go-w PATH"
FOREIGN = (
    f"it belongs to user 0; use it as that user, or, if you trust its content, run chown {ALICE.uid} PATH"
)

#: The owner and the mode, and why the file or folder is refused.
SPOILERS = {
    "open to others": (ALICE.uid, 0o777, OPEN),
    "of another user": (0, 0o755, FOREIGN),
    "without permission": (ALICE.uid, 0, DENIED),
}


@needs_users
@pytest.mark.parametrize("case", SPOILERS)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_wrong_owner_or_mode_is_told_with_the_command_that_mends_it(case: str, kind: str):
    owner, mode, why = SPOILERS[case]
    with folder_for_all(ALICE) as place:
        folder = place / str(ALICE.uid) / "values"
        packed = act_as(ALICE, lambda: pack(BIG_BUFFER, folder=str(folder)))
        (name,) = files_of(packed)
        spoiled = folder / name if kind == "file" else folder
        os.chown(spoiled, owner, owner)
        spoiled.chmod(mode)
        why = why.replace("PATH", str(spoiled))

        found = act_as(ALICE, lambda: unpack(packed))
        assert isinstance(found, Refused)
        name = "the file of a value" if kind == "file" else "the folder of values"
        assert found.text == f"{name} '{spoiled}' can't be used: {why}, or start a new run"
        if kind == "folder":
            written = act_as(ALICE, lambda: pack(BIG_BUFFER, folder=str(folder)))
            assert re.fullmatch(
                rf"a value of \d+ bytes can't be written to '{folder}': {re.escape(why)}", written.text
            )

        spoiled.chmod(0o700)
        os.chown(spoiled, ALICE.uid, ALICE.uid)
        assert act_as(ALICE, lambda: unpack(packed)) == BIG_BUFFER
