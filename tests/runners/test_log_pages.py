"""Pages of logs: forwards and backwards, over several works, of any size and content."""

from __future__ import annotations

import base64
import os
import random
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_lite.runners.output.line_times import LogTimes
from lightning_lite.runners.output.log_pages import (
    BLOCK,
    LogPage,
    LogPages,
    PageLine,
    make_cursor,
    read_cursor,
)

from tests.support.limits import little_memory
from tests.support.logs import make_log
from tests.support.odd_files import IRREGULAR, ODD, each, put


def texts(page: LogPage) -> list[str]:
    return [line.text for line in page.lines]


def all_back(pages: LogPages, limit: int, *, to_end: bool = False) -> list[PageLine]:
    """Return all lines, read from the newest page backwards."""
    page = pages.newest(limit, to_end=to_end)
    found = [page.lines]
    while page.has_earlier:
        page = pages.before(page.first, limit, to_end=to_end)
        found.append(page.lines)
    return [line for lines in reversed(found) for line in lines]


def all_on(pages: LogPages, limit: int, *, to_end: bool = False) -> list[PageLine]:
    """Return all lines, read from the first page forwards."""
    page = pages.after(make_cursor({}), limit, to_end=to_end)
    found = list(page.lines)
    while page.has_later:
        page = pages.after(page.last, limit, to_end=to_end)
        found += page.lines
    return found


@pytest.fixture
def two_works(tmp_path: Path) -> LogPages:
    make_log(tmp_path, "root.a", (1.0, "a1\n"), (3.0, "a2\na3\n"), (7.0, "a4\n"))
    make_log(tmp_path, "root.b", (2.0, "b1\n"), (5.0, "b2\n"), (6.0, "b3\n"))
    return LogPages(str(tmp_path))


def test_the_newest_page_has_the_last_lines_of_all_works_in_the_order_of_their_times(two_works: LogPages):
    page = two_works.newest(4)

    assert [(line.work, line.time, line.text) for line in page.lines] == [
        ("root.a", 3.0, "a3"),
        ("root.b", 5.0, "b2"),
        ("root.b", 6.0, "b3"),
        ("root.a", 7.0, "a4"),
    ]
    assert (page.has_earlier, page.has_later) == (True, False)
    assert [(log.name, log.size, log.trouble) for log in page.logs] == [
        ("root.a", 12, ""),
        ("root.b", 9, ""),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 100])
def test_pages_in_both_directions_have_each_line_once(two_works: LogPages, limit: int):
    expected = ["a1", "b1", "a2", "a3", "b2", "b3", "a4"]

    assert [line.text for line in all_back(two_works, limit)] == expected
    assert [line.text for line in all_on(two_works, limit)] == expected


def test_only_the_works_that_are_asked_for_are_read(two_works: LogPages):
    page = two_works.newest(2, ["root.b"])

    assert texts(page) == ["b2", "b3"]
    assert texts(two_works.before(page.first, 5, ["root.b"])) == ["b1"]
    assert [log.name for log in page.logs] == ["root.b"]


def test_a_page_at_a_time_begins_with_what_arrived_then(two_works: LogPages):
    page = two_works.at(3.0, 3)

    assert texts(page) == ["a2", "a3", "b2"]
    assert (page.has_earlier, page.has_later) == (True, True)
    assert texts(two_works.before(page.first, 9)) == ["a1", "b1"]
    assert texts(two_works.at(8.0, 3)) == []
    assert texts(two_works.before(two_works.at(8.0, 3).first, 1)) == ["a4"]


def test_a_page_around_a_line_has_the_lines_of_all_works_before_and_after_it(two_works: LogPages):
    place = next(line.place for line in two_works.newest(9).lines if line.text == "b2")

    page = two_works.around(make_cursor({"root.b": place}), 4)

    assert texts(page) == ["a2", "a3", "b2", "b3"]
    assert texts(two_works.before(page.first, 9)) == ["a1", "b1"]
    assert texts(two_works.after(page.last, 9)) == ["a4"]


def test_new_lines_come_after_the_newest_page_when_they_are_complete(tmp_path: Path):
    make_log(tmp_path, "root.a", (1.0, "one\ntw"))
    pages = LogPages(str(tmp_path))
    page = pages.newest(10)

    assert (texts(page), page.has_later) == (["one"], False)
    assert texts(pages.newest(10, to_end=True)) == ["one", "tw"]
    assert texts(pages.after(page.last, 10)) == []
    make_log(tmp_path, "root.a", (2.0, "o\nthree\n"))
    make_log(tmp_path, "root.b", (3.0, "a later work\n"))
    page = pages.after(page.last, 10)
    assert texts(page) == ["two", "three", "a later work"]
    assert texts(pages.after(page.last, 10)) == []


def test_a_run_without_logs_has_an_empty_page(tmp_path: Path):
    page = LogPages(str(tmp_path)).newest(5)

    assert (page.lines, page.has_earlier, page.has_later, page.logs) == ([], False, False, [])


@pytest.mark.parametrize("seed", range(8))
def test_lines_of_any_length_are_the_same_in_both_directions(tmp_path: Path, seed: int):
    generator = random.Random(seed)
    for work in ("root.a", "root.b"):
        lines = [
            generator.choice("xé€🙂") * generator.choice([0, 1, 30, 9000, BLOCK // 3, BLOCK, 5 * BLOCK])
            for _ in range(generator.randrange(1, 30))
        ]
        make_log(
            tmp_path, work, *((float(number), f"{line}\n") for number, line in enumerate(lines, start=1))
        )
    pages = LogPages(str(tmp_path))

    limit = generator.randrange(1, 9)
    back, on = all_back(pages, limit), all_on(pages, limit)

    by_place = [sorted(lines, key=lambda line: (line.work, line.place)) for lines in (back, on)]
    assert by_place[0] == by_place[1]
    for work in ("root.a", "root.b"):
        log = (tmp_path / "logs" / f"{work}.log").read_bytes()
        parts = [line for line in by_place[0] if line.work == work]
        places = [line.place for line in parts] + [len(log)]
        for line, end in zip(parts, places[1:], strict=True):
            assert line.text == log[line.place : end].decode().rstrip("\n")


def test_a_line_without_end_has_parts_of_limited_size(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (1.0, "first\n"))
    with open(log, "ab") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\nlast\n")

    with little_memory():
        page = LogPages(str(tmp_path)).newest(500)

    assert texts(page)[-1] == "last"
    assert page.has_earlier
    assert max(len(line.text) for line in page.lines) <= 2 * BLOCK
    assert sum(len(line.text) for line in page.lines) < 2_000_000


def test_zeros_and_bytes_that_are_not_utf_8_are_shown(tmp_path: Path):
    make_log(tmp_path, "root.a", (1.0, b"caf\xe9\n" + bytes(5) + b"after\na\0b\rc\x1b[2J\n" + bytes(3)))

    page = LogPages(str(tmp_path)).newest(9, to_end=True)

    assert texts(page) == [r"caf\xe9", "[5 bytes are zero]after", r"a\x00b\rc\x1b[2J", "[3 bytes are zero]"]


def test_colours_are_ranges_of_the_text(tmp_path: Path):
    make_log(tmp_path, "root.a", (1.0, "é \x1b[1;31mred\x1b[0m and \x1b[38;5;196;4mmore\x1b[0m\n"))

    (line,) = LogPages(str(tmp_path)).newest(9).lines

    assert line.text == "é red and more"
    red, more = line.colours
    assert (red.start, red.end, red.style.fg, red.style.bold) == (2, 5, "red", True)
    assert (more.start, more.end, more.style.fg, more.style.underline) == (10, 14, "#ff0000", True)


@pytest.mark.parametrize("kind", each(list(ODD)))
def test_whatever_is_in_the_place_of_a_log_the_others_are_shown(tmp_path: Path, kind: str):
    make_log(tmp_path, "root.b", (1.0, "fine\n"))
    put(kind, tmp_path / "logs" / "root.a.log")
    pages = LogPages(str(tmp_path))

    with little_memory():
        page = pages.newest(1, ["root.a"], to_end=True)
        pages.after(make_cursor({}), 9)

    assert texts(pages.newest(9, ["root.b"])) == ["fine"]
    assert ("not a regular file" in page.logs[0].trouble) == (kind in [*IRREGULAR, "a link to a file"])
    assert "precious" not in "".join(texts(page))


def test_an_index_that_is_no_file_leaves_out_the_times(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (1.0, "line\n"))
    log.with_suffix(".times").unlink()
    os.mkfifo(log.with_suffix(".times"))

    assert [line.time for line in LogPages(str(tmp_path)).newest(9).lines] == [None]


def test_a_log_that_was_truncated_or_removed_is_read_from_its_present_end(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (1.0, "line\n" * 10))
    pages = LogPages(str(tmp_path))
    page = pages.newest(3)

    os.truncate(log, 5)
    assert texts(pages.before(page.first, 9)) == ["line"]
    assert texts(pages.after(page.last, 9)) == []
    log.unlink()
    assert texts(pages.before(page.first, 9)) == []


@pytest.mark.parametrize("cursor", ["", "x", "ééé", "eJw=", "e30=", "a" * 100_000])
def test_a_wrong_cursor_is_refused_with_its_text(two_works: LogPages, cursor: str):
    with pytest.raises(ValueError, match=r"the cursor .* is not one of a page of logs"):
        two_works.before(cursor, 5)


@pytest.mark.parametrize("places", [{"root.a": 10**15}, {"../../etc/passwd": 3}, {"root.none": 1}])
def test_a_cursor_with_other_places_reads_nothing_else(two_works: LogPages, places: dict[str, int]):
    cursor = make_cursor(places)

    asks: list[Callable[[str, int], LogPage]] = [two_works.before, two_works.after, two_works.around]
    for ask in asks:
        assert {line.work for line in ask(cursor, 9).lines} <= {"root.a", "root.b"}


def test_a_cursor_that_would_expand_to_much_memory_is_refused(two_works: LogPages):
    # More than 32 MiB: the allocator never takes such a block from memory that an earlier test has freed.
    bomb = base64.urlsafe_b64encode(zlib.compress(b" " * 40_000_000)).decode()

    with little_memory(10_000_000), pytest.raises(ValueError, match="is not one of a page"):
        two_works.before(bomb, 1)


def test_cursors_keep_their_places():
    places = {f"root.work_{number}": 10**12 + number for number in range(300)}

    assert read_cursor(make_cursor(places)) == places
    assert len(make_cursor(places)) < 4000


@pytest.mark.parametrize("count", [1, 2, 10, 341, 5_000])
def test_the_index_finds_each_time_and_each_place(tmp_path: Path, count: int):
    log = make_log(tmp_path, "root.a", *((float(number), "x\n") for number in range(1, count + 1)))
    times = LogTimes(str(log))

    assert [times.at(2 * number) for number in range(count)] == [number + 1.0 for number in range(count)]
    for number in range(0, count, 1 + count // 50):
        assert LogTimes(str(log)).at(2 * number + 1) == number + 1.0
        assert times.place_after(number + 0.5) == 2 * number
    assert times.place_after(count + 0.5) is None


def test_the_index_notices_what_is_added(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (1.0, "one\n"))
    times = LogTimes(str(log))
    assert times.at(4) == 1.0

    make_log(tmp_path, "root.a", (2.0, "two\n"))
    times.refresh()
    assert (times.at(3), times.at(4)) == (1.0, 2.0)


def test_lines_of_other_programs_in_an_index_are_ignored(tmp_path: Path):
    log = make_log(tmp_path, "root.a", *((float(number), "x\n") for number in range(1, 3_001)))
    index = log.with_suffix(".times")
    lines = index.read_bytes().splitlines(keepends=True)
    for number in range(100, 3_000, 100):
        lines[number] = b"nonsense\n" + bytes(50) + b"\n" + lines[number]
    index.write_bytes(b"".join(lines))

    times = LogTimes(str(log))
    assert [times.at(2 * number) for number in (0, 99, 100, 1_500, 2_999)] == [
        1.0,
        100.0,
        101.0,
        1501.0,
        3000.0,
    ]
    assert times.place_after(1501.0) == 3000


def test_several_threads_read_pages_while_a_work_prints(tmp_path: Path):
    make_log(tmp_path, "root.a", (1.0, "0\n"))
    pages = LogPages(str(tmp_path))
    wrong: list[str] = []
    has_ended = threading.Event()

    def read() -> None:
        page = pages.after(make_cursor({}), 7)
        found = texts(page)
        while not has_ended.is_set() or page.has_later:
            page = pages.after(page.last, 7)
            found += texts(page)
        found += texts(pages.after(page.last, 10_000))
        if found != [str(number) for number in range(700)]:
            wrong.append(" ".join(found))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 700):
        with open(tmp_path / "logs" / "root.a.log", "a") as log:
            log.write(f"{number}\n")
    has_ended.set()
    for thread in threads:
        thread.join()

    assert wrong == []
