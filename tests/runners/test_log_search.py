"""Search of whole logs: texts and regular expressions, also those that never end."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from lightning_lite.runners.output import log_search
from lightning_lite.runners.output.log_pages import BLOCK, LogPages, make_cursor
from lightning_lite.runners.output.log_search import Hit, LogQuery, search_logs
from lightning_lite.testing import poll_until

from tests.support.limits import little_memory
from tests.support.logs import make_log
from tests.support.odd_files import IRREGULAR, put
from tests.support.processes import DEADLINE, starting, wait_until_gone


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for the process of a regular expression than a page does: a busy machine starts it late."""
    monkeypatch.setattr(log_search, "_PATIENCE", DEADLINE)


def search(run: Path, text: str, *, is_regex: bool = False, match_case: bool = False) -> list[str]:
    return [hit.text for hit in search_all(run, LogQuery(text, is_regex, match_case))]


def search_all(run: Path, query: LogQuery, limit: int = 100) -> list[Hit]:
    """Return all hits, in as many answers as it takes."""
    pages = LogPages(str(run))
    result = search_logs(pages, query, limit)
    hits = list(result.hits)
    while result.next is not None:
        looked = result.looked
        result = search_logs(pages, query, limit, result.next)
        assert result.looked > looked
        hits += result.hits
    assert result.looked == result.size
    return hits


def test_a_hit_has_its_line_its_work_its_time_and_its_place(tmp_path: Path):
    make_log(tmp_path, "root.a", (5.0, "one\nthe needle\nthree\n"))
    make_log(tmp_path, "root.b", (5.0, "no\n"))

    (hit,) = search_all(tmp_path, LogQuery("needle"))

    assert (hit.text, hit.work, hit.time, hit.place) == ("the needle", "root.a", 5.0, 4)
    around = LogPages(str(tmp_path)).around(hit.cursor, 3)
    assert "the needle" in [line.text for line in around.lines]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (LogQuery("needle"), ["Needle 1", "a needle"]),
        (LogQuery("needle", match_case=True), ["a needle"]),
        (LogQuery("ÄPFEL"), ["äpfel"]),
        (LogQuery("[x]"), ["[x]"]),
        (LogQuery("NEEDLE$", is_regex=True), ["a needle"]),
        (LogQuery(r"^Needle \d$", is_regex=True, match_case=True), ["Needle 1"]),
        (LogQuery(r"^\w{5}$", is_regex=True), ["äpfel"]),
        (LogQuery(r"needle\s+a", is_regex=True), []),  # over two lines
        (LogQuery("nothing"), []),
        (LogQuery("nothing", is_regex=True), []),
    ],
)
def test_texts_and_regular_expressions_are_found(tmp_path: Path, query: LogQuery, found: list[str]):
    make_log(tmp_path, "root.a", (5.0, "Needle 1\na needle\näpfel\n[x]\n\n"))

    assert [hit.text for hit in search_all(tmp_path, query)] == found


def test_colours_are_no_part_of_what_is_searched(tmp_path: Path):
    make_log(tmp_path, "root.a", (5.0, "\x1b[0;31merr\x1b[0mor: \x1b[0;1mdisk\x1b[0m full\nother\n"))

    assert search(tmp_path, "error: disk") == ["error: disk full"]
    assert search(tmp_path, "^error: disk full$", is_regex=True) == ["error: disk full"]
    assert search(tmp_path, "[0") == []


@pytest.mark.parametrize("is_regex", [False, True])
def test_a_limited_answer_goes_on_where_it_stopped(tmp_path: Path, is_regex: bool):
    for work in ("root.a", "root.b"):
        make_log(tmp_path, work, (5.0, "".join(f"line {number}\n" for number in range(5))))

    hits = search_all(tmp_path, LogQuery("line", is_regex), limit=3)

    assert [(hit.work, hit.text) for hit in hits] == [
        (work, f"line {number}") for work in ("root.a", "root.b") for number in range(5)
    ]


def test_lines_that_were_added_are_searched_from_the_place_where_the_search_stopped(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (5.0, "needle 1\nneedle 2\n"))
    pages = LogPages(str(tmp_path))
    first = search_logs(pages, LogQuery("needle"), 1)

    with open(log, "a") as file:
        file.write("needle 3\n")
    rest = search_logs(pages, LogQuery("needle"), 9, first.next)

    assert [hit.text for hit in first.hits] == ["needle 1"]
    assert [hit.text for hit in rest.hits] == ["needle 2", "needle 3"]
    assert rest.next is None


@pytest.mark.parametrize("before", [0, 10, BLOCK - 3, BLOCK, 2 * BLOCK - 3, 20 * BLOCK - 3])
def test_a_text_is_found_in_a_line_of_any_length(tmp_path: Path, before: int):
    line = "x" * before + "needle" + "y" * 3 * BLOCK
    make_log(tmp_path, "root.a", (5.0, f"first\n{line}\nlast needle\n"))

    with little_memory():
        hits = search_all(tmp_path, LogQuery("needle"))

    assert len(hits) == 2
    assert hits[1].text == "last needle"
    assert hits[0].place <= 6 + before < hits[0].place + 2 * BLOCK


def test_only_the_logs_of_some_works_are_searched(tmp_path: Path):
    make_log(tmp_path, "root.a", (5.0, "needle\n"))
    make_log(tmp_path, "root.b", (5.0, "needle\n"))

    result = search_logs(LogPages(str(tmp_path)), LogQuery("needle"), 9, works=["root.b"])

    assert [hit.work for hit in result.hits] == ["root.b"]
    assert (result.looked, result.size, result.next) == (7, 7, None)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(", "missing )"), ("[z-a]", "bad character range"), ("(?P<1>x)", "bad character in group name")],
)
def test_an_invalid_regular_expression_is_refused_with_the_reason(tmp_path: Path, pattern: str, reason: str):
    make_log(tmp_path, "root.a", (5.0, "line\n"))

    with pytest.raises(ValueError, match=r"the regular expression .* is invalid") as caught:
        search(tmp_path, pattern, is_regex=True)

    assert reason in str(caught.value)


def test_a_regular_expression_that_takes_exponential_time_is_ended_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_log(tmp_path, "root.a", (5.0, "a" * 60 + "!\n"))

    monkeypatch.setattr(log_search, "_PATIENCE", 0.5)
    before = psutil.Process().children()  # a server that tests share may be there

    with pytest.raises(ValueError, match=r"the regular expression '\(a\+\)\+\$' takes too long"):
        search(tmp_path, "(a+)+$", is_regex=True)

    assert psutil.Process().children() == before


def test_the_process_of_a_regular_expression_ends_also_if_the_one_that_asked_is_killed(tmp_path: Path):
    make_log(tmp_path, "root.a", (5.0, "a" * 60 + "!\n"))
    source = (
        "from lightning_lite.runners.output import log_search as s; "
        f"s._PATIENCE = {DEADLINE}; "  # it does not end the process that searches
        f"s.search_logs(s.LogPages({str(tmp_path)!r}), s.LogQuery('(a+)+$', is_regex=True), 1)"
    )
    with starting() as start:
        asking = start("-c", source)
        (searching,) = poll_until(lambda: psutil.Process(asking.pid).children(), DEADLINE)
        asking.kill()
        asking.wait(DEADLINE)

        wait_until_gone(searching.pid)


@pytest.mark.parametrize("text", ["", "x" * 1001])
def test_a_text_that_is_empty_or_too_long_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ValueError, match="1 to 1000 characters"):
        search(tmp_path, text)


@pytest.mark.parametrize("is_regex", [False, True])
def test_only_files_are_searched(tmp_path: Path, is_regex: bool):
    make_log(tmp_path, "root.z", (5.0, "a precious line\n"))
    kinds = [kind for kind in IRREGULAR if kind != "a device" or os.geteuid() == 0]  # only root can make one
    for kind in kinds:
        put(kind, tmp_path / "logs" / f"root.{kind.replace(' ', '_')}.log")

    assert [hit.work for hit in search_all(tmp_path, LogQuery("precious", is_regex))] == ["root.z"]


@pytest.mark.parametrize("is_regex", [False, True])
def test_a_log_that_is_truncated_or_removed_is_searched_as_far_as_it_goes(tmp_path: Path, is_regex: bool):
    log = make_log(tmp_path, "root.a", (5.0, "needle\n" * 3))
    pages = LogPages(str(tmp_path))
    first = search_logs(pages, LogQuery("needle", is_regex), 2)

    os.truncate(log, 3)
    assert search_logs(pages, LogQuery("needle", is_regex), 2, first.next).hits == []
    log.unlink()
    assert search_logs(pages, LogQuery("needle", is_regex), 2, first.next).hits == []


def test_a_wrong_cursor_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="the cursor 'x' is not one of a page"):
        search_logs(LogPages(str(tmp_path)), LogQuery("x"), 9, "x")


def test_the_environment_and_the_working_directory_do_not_change_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_log(tmp_path, "root.a", (5.0, "needle\n"))
    for name in ("json.py", "re.py", "lightning_lite.py"):
        (tmp_path / name).write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert search(tmp_path, "n.*e", is_regex=True) == ["needle"]


def test_a_search_from_the_end_has_looked_at_all(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (5.0, "needle\n"))
    end = make_cursor({"root.a": log.stat().st_size})

    result = search_logs(LogPages(str(tmp_path)), LogQuery("needle"), 9, end)

    assert (result.hits, result.looked, result.size, result.next) == ([], 7, 7, None)
