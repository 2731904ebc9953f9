"""A page that is open while apps run: changes appear without a reload, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import App, running, running_with_server
from tests.browser.tabs import Tab, open_tab

Visit = Callable[..., Tab]


@pytest.fixture(scope="module")
def ticking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A running app: each line, state and call contains its time."""
    with running_with_server(tmp_path_factory.mktemp("ticking")) as app:
        yield app


# Notes each text that appears, with its time: the browser reports each change of the document.
NOTE_TEXTS = """selector => {
  window.noted = [];
  const seen = new Set();
  function look() {
    for (const element of document.querySelectorAll(selector)) {
      const text = element.dataset.call ?? element.textContent;
      if (!seen.has(text)) { seen.add(text); window.noted.push([Date.now() / 1000, text]); }
    }
  }
  look();
  window.noted.length = 0;
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def note_texts(tab: Tab, selector: str) -> None:
    tab.page.evaluate(NOTE_TEXTS, selector)


def noted(tab: Tab, count: int) -> list[tuple[float, str]]:
    """Wait for some new texts, and return when each one appeared."""
    tab.wait_for(lambda: tab.page.evaluate("noted.length") >= count)
    return [(when, text) for when, text in tab.page.evaluate("noted")]


def number_in(element: Locator) -> int:
    """Return the number that an element shows; from a thousand on, it has a comma."""
    return int(element.inner_text().replace(",", ""))


def tell(what: str, delays: list[float]) -> None:
    """Print how long events took to the page; the speed of the machine is not asserted."""
    print(f"{what}: median {median(delays):.2f} s, longest {max(delays):.2f} s")  # noqa: T201
    assert all(-0.1 < delay < 15 for delay in delays)


def test_new_lines_appear_at_the_end_in_order_and_a_selection_stays(visit: Visit, ticking: App):
    tab = visit(ticking.server, f"/runs/{ticking.run}/logs")
    line = tab.page.locator("[data-log] li .what").nth(1)
    expect(line).to_be_visible()
    selected = line.evaluate("""element => {
      getSelection().selectAllChildren(element);
      return getSelection().toString();
    }""")
    assert selected.startswith("tick at")
    note_texts(tab, "[data-log] li .what")

    lines = noted(tab, 10)
    times = [float(text.split()[-1]) for _, text in lines]
    assert times == sorted(times)
    tell("a line", [when - time for (when, _), time in zip(lines, times, strict=True)])
    shown = tab.page.locator("[data-log] li .what").all_text_contents()
    assert len(shown) == len(set(shown))
    assert tab.page.evaluate("getSelection().toString()") == selected


def test_changed_state_appears_and_is_marked(visit: Visit, ticking: App):
    tab = visit(ticking.server, f"/runs/{ticking.run}/state")
    value = tab.page.locator('[data-attribute="root.tick.moment"] .c-value')
    expect(value).to_be_visible()
    tab.page.evaluate("""() => {
      window.marks = 0;
      const animate = Element.prototype.animate;
      Element.prototype.animate = function (...all) { window.marks += 1; return animate.apply(this, all); };
    }""")
    note_texts(tab, '[data-attribute="root.tick.moment"] .c-value')

    values = noted(tab, 4)
    tell("a change of the state", [when - float(text) for when, text in values])
    # The page shows a text first, and marks it then.
    tab.wait_for(lambda: tab.page.evaluate("marks >= noted.length"))


def test_ended_calls_appear_in_the_list(visit: Visit, ticking: App):
    tab = visit(ticking.server, f"/runs/{ticking.run}/calls?work=root.step")
    expect(tab.page.locator("[data-call]").first).to_be_visible()
    note_texts(tab, "[data-call]:has([data-state=succeeded])")

    shown = noted(tab, 4)
    ended = {
        call["number"]: call["ended"]
        for call in ticking.server.get(f"/api/runs/{ticking.run}/calls?limit=500").data["calls"]
        if call["work"] == "root.step"
    }
    numbers = [int(name.partition("/")[2]) for _, name in shown]
    tell("an ended call", [when - ended[number] for (when, _), number in zip(shown, numbers, strict=True)])


def test_the_overview_counts_on_in_place_and_the_focus_stays(visit: Visit, ticking: App):
    tab = visit(ticking.server, f"/runs/{ticking.run}")
    row = tab.page.locator('[data-work="root.step"]')
    expect(row.locator("[data-state=running]")).to_be_visible()
    row.evaluate("element => { element.mine = true }")
    button = tab.page.get_by_role("button", name="Actions of root.step")
    button.focus()
    cell = row.locator(".c-calls")
    before = number_in(cell)

    tab.wait_for(lambda: number_in(cell) >= before + 3)
    assert row.evaluate("element => element.mine"), "rows stay the same elements"
    expect(tab.page.locator('[data-work="root.tick"]')).to_contain_text("25 %")
    expect(tab.page.locator('[data-work="root.tick"]')).to_contain_text("tick at")
    expect(button).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(row.get_by_role("menuitem", name="Kill")).to_be_visible()
    before = number_in(cell)
    tab.wait_for(lambda: number_in(cell) >= before + 3)
    expect(row.get_by_role("menuitem", name="Kill")).to_be_visible()


def test_the_timeline_grows(visit: Visit, ticking: App):
    tab = visit(ticking.server, f"/runs/{ticking.run}/timeline")
    canvas = tab.page.locator(".gantt-body canvas")
    expect(canvas).to_be_visible()
    count = tab.page.locator(".gantt-row", has_text="step").locator("small")
    tab.wait_for(lambda: count.inner_text() != "")
    before = number_in(count)
    picture = canvas.evaluate("canvas => canvas.toDataURL()")

    tab.wait_for(lambda: number_in(count) > before + 1)
    tab.wait_for(lambda: canvas.evaluate("canvas => canvas.toDataURL()") != picture)


def test_a_new_run_appears_in_the_list(visit: Visit, ticking: App, own_place: Path):
    tab = visit(ticking.server)
    expect(tab.page.locator("[data-run]")).to_have_count(1)
    note_texts(tab, "[data-run] .c-name")
    root = Path(ticking.look()["run"]["folder"]).parents[1]

    with running(ticking.server, root, own_place) as app:
        [(when, _), *_] = noted(tab, 1)
        tell("a new run", [when - app.look()["run"]["started"]])
        expect(tab.page.locator("[data-run]")).to_have_count(2)
        expect(tab.page.locator("[data-run]").first).to_contain_text("running")
        app.process.kill()
        expect(tab.page.locator(f'[data-run="{app.run}"]')).to_contain_text("died")


def test_scrolling_up_stops_to_follow_and_the_button_follows_again(visit: Visit, ticking: App):
    tab = visit(ticking.server)
    tab.page.set_viewport_size({"width": 1000, "height": 300})
    tab.go(f"/runs/{ticking.run}/logs")
    box = tab.page.locator("[data-log]")
    tab.wait_for(lambda: box.evaluate("box => box.scrollHeight > box.clientHeight + 120"))
    expect(tab.page.locator(".log-foot")).to_contain_text("follows the end")
    # If the log is long, the page puts older lines above the first one, so this is not the first for long.
    box.evaluate("""box => {
      box.scrollTop = 0;
      window.line = box.querySelector("li");
      window.placeOf = element => element.getBoundingClientRect().top - box.getBoundingClientRect().top;
      window.place = placeOf(line);
    }""")

    expect(tab.page.locator(".log-foot")).to_contain_text("stands still")
    count = tab.page.locator("[data-log] li").count()
    asked = len(tab.questions)
    tab.wait_for(lambda: len(tab.questions) > asked + 2)
    assert tab.page.evaluate("Math.abs(placeOf(line) - place)") < 1
    tab.page.locator("[data-follow]").click()
    tab.wait_for(lambda: tab.page.locator("[data-log] li").count() > count)
    tab.wait_for(lambda: box.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight < 24"))


@pytest.mark.timeout(300)  # it takes long: a busy machine needs more than the bound of other tests
def test_seven_tabs_all_go_on(visit: Visit, ticking: App):
    first = visit(ticking.server, f"/runs/{ticking.run}/logs")
    # A browser opens six connections to a server at the same time.
    views = ["", "/state", "/calls", "/numbers", "/graph", "/calls?work=root.step"]
    others = [open_tab(first.page.context, ticking.server, f"/runs/{ticking.run}{view}") for view in views]
    tabs = [first, *others]
    for tab in tabs:
        expect(tab.page.locator("[data-view]")).to_be_visible()
        asked = len(tab.requests)
        tab.page.bring_to_front()
        tab.wait_for(lambda tab=tab, asked=asked: len(tab.requests) > asked)
    calls = tabs[-1].page.locator("[data-call]").evaluate_all("rows => rows.map(row => row.dataset.call)")
    assert calls
    assert len(calls) == len(set(calls))
    for tab in tabs[1:]:
        tab.check()


def test_a_hidden_tab_asks_nothing(visit: Visit, ticking: App):
    tab = visit(ticking.server, f"/runs/{ticking.run}", clock=True)
    expect(tab.view("overview")).to_be_visible()
    hide(tab, True)
    tab.wait_for_answers()
    asked = len(tab.questions)
    tab.page.clock.run_for(60_000)
    assert len(tab.questions) == asked

    hide(tab, False)
    tab.wait_for(lambda: len(tab.questions) > asked)


def hide(tab: Tab, is_hidden: bool) -> None:
    """Let the page see that it is hidden; headless, the browser itself calls each tab visible."""
    tab.page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def test_with_reduced_motion_nothing_moves(visit: Visit, ticking: App):
    tab = visit(ticking.server)
    tab.page.emulate_media(reduced_motion="reduce")
    tab.go(f"/runs/{ticking.run}/state")
    value = tab.page.locator('[data-attribute="root.tick.moment"] .c-value')
    first = value.inner_text()
    tab.wait_for(lambda: value.inner_text() != first)
    moving: list[Any] = tab.page.evaluate("""document.getAnimations().filter(animation => {
      const frames = animation.effect.getKeyframes();
      const moves = frames.some(frame => frame.transform || frame.opacity);
      return moves || animation.effect.getTiming().iterations > 1;
    }).map(animation => animation.animationName ?? "script")""")
    assert moving == []
