"""A rewritten journal is whole after a loss of power at any moment; a durable one lacks no entry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_journals import IDENTITY

from lightning_lite.errors import JournalError
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME, read_entries

from tests.storage.power import Power

#: The functions of `os` that the journal calls, and the method of `Power` that records each of them.
CALLS = {
    "open": "open_file",
    "mkdir": "mkdir",
    "rename": "rename",
    "replace": "rename",
    "unlink": "unlink",
    "fsync": "fsync",
    "fdatasync": "fsync",
}


class JournalPower(Power):
    """Records the calls of `os`: the journal has no module of its own for them, as storage has."""

    @contextmanager
    def recorded(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name, kind in CALLS.items():
                patch.setattr(os, name, self._recording(kind, getattr(os, name)))
            yield


def rewrite_journal(disk: Path, *, durable: bool) -> tuple[Power, dict[str, int]]:
    """Rewrite a journal while entries are written, with one value before and one after.

    Returns:
        The recorded calls, and how many there were when each entry had been written.
    """
    folder = disk / "run"
    folder.mkdir(parents=True)
    journal = Journal.create(str(folder), IDENTITY, durable=True)
    journal.write(b"needs " + journal.keep_value(b"old").name.encode())
    power, written = JournalPower(str(disk)), {}
    journal._durable = journal._log._durable = durable
    with power.recorded():
        rewrite = journal.rewrite()
        value = journal.keep_value(b"new")
        rewrite.write(b"needs " + value.name.encode())
        journal.write(b"meanwhile")
        written["meanwhile"] = len(power.log)
        rewrite.finish({value.name})
        journal.write(b"later")
        written["later"] = len(power.log)
        journal.keep_value(b"a third one")  # flushes the removal of the old value
    journal.close()
    return power, written


def faults_of(power: Power, written: dict[str, int], place: Path) -> set[str]:
    """Return the faults of all states in which a loss of power can leave the disk."""
    faults = set()
    for count in range(len(power.log) + 1):
        for reached in range(count + 1):
            disk: Any = power.left(count, reached)
            place.joinpath(FILE_NAME).write_bytes(disk["run"].get(FILE_NAME, b""))
            try:
                first, *others = [entry.decode() for entry in read_entries(str(place))]
            except (JournalError, ValueError):
                faults.add("the journal is damaged")
                continue
            if disk["run"]["values"].get(first.removeprefix("needs ")) not in (b"old", b"new"):
                faults.add("a value is missing")
            faults |= {f"{name!r} is lost" for name, after in written.items() if count >= after} - {
                f"{name!r} is lost" for name in others
            }
    return faults


def test_a_rewritten_journal_survives_the_loss_of_power_at_any_moment(tmp_path: Path):
    power, written = rewrite_journal(tmp_path / "disk", durable=True)

    assert written["later"] > written["meanwhile"]
    assert faults_of(power, written, tmp_path) == set()


def test_a_rewritten_journal_that_is_not_durable_is_whole_and_loses_only_what_was_written_last(
    tmp_path: Path,
):
    power, written = rewrite_journal(tmp_path / "disk", durable=False)

    assert faults_of(power, written, tmp_path) == {
        "'meanwhile' is lost",
        "'later' is lost",
        "a value is missing",
    }


@pytest.mark.parametrize(
    ("forgotten", "durable", "fault"),
    [
        ("flush", True, "the journal is damaged"),
        ("flush", False, "the journal is damaged"),
        ("flush_folder", True, "a value is missing"),
    ],
)
def test_the_model_finds_a_flush_that_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str, durable: bool, fault: str
):
    owner = "lightning_lite.runs.journal._LogFile" if forgotten == "flush" else "lightning_lite.runs.journal"
    monkeypatch.setattr(f"{owner}.{forgotten}", lambda *_: None)

    assert fault in faults_of(*rewrite_journal(tmp_path / "disk", durable=durable), tmp_path)
