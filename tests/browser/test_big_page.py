"""Runs as big as the page has to show them: it stays small, and finds everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import expect

from benchmarks.made_runs import BIG, SMALL, RunShape, make_log, make_root, make_run

from tests.browser.tabs import Tab
from tests.support.page_servers import Server, serving

pytestmark = pytest.mark.timeout(300)  # the journal of 100,000 calls is written first

Visit = Callable[..., Tab]

#: Elements and bytes of JavaScript that the page may hold, however big the run is.
MAX_ELEMENTS, MAX_HEAP = 3000, 40_000_000


#: The big run: more calls of each work than the page loads at once; in `make torture`, that of the benchmark.
SHAPES = pytest.mark.parametrize(
    "big",
    [BIG._replace(works=200, calls=21_000), pytest.param(BIG, marks=pytest.mark.torture)],
    indirect=True,
    ids=lambda shape: str(shape.calls),
)

#: Runs of a root, more than the page loads at once, and lines of a log, five times as many as it keeps.
SIZES = pytest.mark.parametrize(
    "many", [(250, 20_000), pytest.param((2000, 1_000_000), marks=pytest.mark.torture)], indirect=True
)


class Big(NamedTuple):
    """A server, the run to look at, its shape, and how many lines and other runs there are."""

    server: Server
    run: str
    shape: RunShape
    lines: int = 0
    others: int = 0


@pytest.fixture(scope="module")
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Big]:
    """A root of many runs, and a last one that has printed many lines."""
    others, lines = request.param
    root = str(tmp_path_factory.mktemp("many") / "root")
    make_root(root, others, SMALL._replace(works=1, calls=1))  # a list of runs does not show more of them
    run = make_run(root)
    make_log(run, "root.works.0", lines, needle="a needle in the hay")
    with serving("--root", root) as server:
        yield Big(server, Path(run).name, SMALL, lines, others)


@pytest.fixture(scope="module")
def big(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Big]:
    root = str(tmp_path_factory.mktemp("big") / "root")
    run = make_run(root, request.param)
    with serving("--root", root) as server:
        yield Big(server, Path(run).name, request.param)


def tell(tab: Tab, what: str, max_elements: int = MAX_ELEMENTS) -> None:
    """Print the size of the page, and check that it does not grow with the run."""
    session = tab.page.context.new_cdp_session(tab.page)
    session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    if not metrics:
        session.send("Performance.enable")
        metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    elements = tab.page.evaluate("document.querySelectorAll('*').length")
    print(f"{what}: {elements} elements, {metrics['JSHeapUsedSize'] / 1e6:.1f} MB of JavaScript")  # noqa: T201
    assert elements < max_elements
    assert metrics["JSHeapUsedSize"] < MAX_HEAP


def frames(tab: Tab, scroll: str) -> float:
    """Scroll for 60 frames, and return the longest one in milliseconds."""
    longest: float = tab.page.evaluate(
        """scroll => new Promise(done => {
          const element = scroll ? document.querySelector(scroll) : document.scrollingElement;
          let last = performance.now(), longest = 0, count = 0;
          function frame(now) {
            longest = Math.max(longest, now - last);
            last = now;
            element.scrollTop += 120;
            if (++count < 60) requestAnimationFrame(frame); else done(longest);
          }
          requestAnimationFrame(frame);
        })""",
        scroll,
    )
    return longest


@SIZES
def test_a_root_of_many_runs(visit: Visit, many: Big):
    tab = visit(many.server)
    expect(tab.page.locator("[data-run]").first).to_be_visible()
    expect(tab.view("runs")).to_contain_text(f"200 of {many.others + 1:,} runs")
    print(f"longest frame: {frames(tab, ''):.0f} ms")  # noqa: T201
    tell(tab, f"{many.others + 1:,} runs")

    oldest = many.server.get("/api/runs?limit=1000&text=Search1").data["runs"][-1]["id"]
    tab.page.get_by_role("searchbox", name="Search runs").fill(oldest)
    expect(tab.page.locator("[data-run]")).to_have_count(1)
    expect(tab.page.locator("[data-run]")).to_contain_text(oldest)


@SHAPES
def test_many_calls_of_many_works(visit: Visit, big: Big):
    tab = visit(big.server, f"/runs/{big.run}")
    shape = big.shape
    failing = shape.calls // shape.failing  # each second of these fails twice
    failed = f"{failing + (failing + 1) // 2:,} failed attempts"
    expect(tab.page.locator("[data-failures]")).to_contain_text(failed, timeout=90_000)
    assert tab.page.locator("[data-work]").count() < 60
    print(f"longest frame: {frames(tab, ''):.0f} ms")  # noqa: T201
    tell(tab, "overview")

    tab.go(f"/runs/{big.run}/timeline")
    expect(tab.page.locator(".gantt-row small").first).to_have_text(str(-(-shape.calls // shape.works)))
    print(f"longest frame: {frames(tab, '[data-gantt]'):.0f} ms")  # noqa: T201
    tell(tab, "timeline")
    for _ in range(12):
        tab.page.get_by_role("button", name="Zoom in").click()
    tab.wait_for(lambda: "from=" in tab.page.url)
    tab.page.get_by_role("button", name="Table").click()
    expect(tab.page.locator(".span-table")).to_contain_text("root.works.")

    last = shape.calls // shape.works  # of the last work
    tab.go(f"/runs/{big.run}/calls?work=root.works.{shape.works - 1}")
    expect(tab.view("calls")).to_contain_text(f"100 of {last} calls")
    tab.page.get_by_role("button", name="Show older calls").click()
    expect(tab.view("calls")).to_contain_text(f"{last} of {last} calls")
    tell(tab, "calls")
    tab.go(f"/runs/{big.run}/state")
    expect(tab.view("state")).to_contain_text(f"{shape.works + 1} components")
    tell(tab, "state")
    tab.go(f"/runs/{big.run}/graph")
    expect(tab.view("graph")).to_contain_text(f"{shape.works + 1} nodes")


@SIZES
def test_older_lines_of_a_long_log_are_read_without_a_hole(visit: Visit, many: Big):
    tab = visit(many.server, f"/runs/{many.run}/logs")
    box = tab.page.locator("[data-log]")
    expect(box).to_contain_text(f"step {many.lines - 1}:")
    for _ in range(9):
        first = box.locator("li").first.text_content()
        box.evaluate("box => { box.scrollTop = 0 }")
        tab.wait_for(lambda first=first: box.locator("li").first.text_content() != first)
    numbers = box.locator("li .what").evaluate_all(
        "lines => lines.map(line => Number(/step (\\d+)/.exec(line.textContent)[1]))"
    )
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), (
        "older lines have a hole or a double"
    )
    assert numbers[0] < many.lines - 4000
    tell(tab, f"{len(numbers)} lines", 20_000)  # at most 4,000 lines are kept


@SIZES
def test_a_search_looks_at_all_lines_of_a_long_log(visit: Visit, many: Big):
    tab = visit(many.server, f"/runs/{many.run}/logs")
    box = tab.page.locator("[data-log]")
    expect(box).to_contain_text(f"step {many.lines - 1}:")
    field = tab.page.get_by_role("searchbox", name="Search the logs")
    field.fill("needle in the hay")
    hits = tab.page.locator("[data-hits]")
    expect(hits).to_contain_text("1 hit")
    field.press("Enter")
    expect(box.locator(".marked")).to_contain_text("a needle in the hay")
    field.fill("no such thing")
    expect(hits).to_contain_text("0 hits")
    expect(hits).to_contain_text("looked at all")
    tab.page.get_by_role("button", name="Regular expression").click()
    field.fill("step 1[0-9]{4}:")
    expect(hits).to_contain_text("2,000+ hits", timeout=90_000)
    tell(tab, "2,000 hits", 20_000)
