"""How the views look: in no width or colour is anything cut, and axe finds no barrier. Pictures are kept."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import expect

from tests.browser.tabs import Tab
from tests.support.page_servers import Server

Visit = Callable[..., Tab]

VENDOR = Path(__file__).with_name("vendor")
AXE = VENDOR / "axe-core" / "axe.min.js"

_PICTURES = os.environ.get("LIGHTNING_LITE_TEST_PICTURES")

#: A folder for pictures of all views, to be looked at after the tests; without it, none is made. It is
#: absolute, because each test changes the working directory.
PICTURES = Path(_PICTURES).absolute() if _PICTURES else None

VIEWS = {
    "runs": "/runs",
    "filtered": "/runs?text=second",
    "overview": "/runs/{0}",
    "timeline": "/runs/{0}/timeline",
    "logs": "/runs/{0}/logs",
    "search": "/runs/{0}/logs?q=loss",
    "calls": "/runs/{0}/calls",
    "failed-call": "/runs/{0}/call?work=root.load&number=1",
    "call-with-files": "/runs/{0}/call?work=root.report&number=1",
    "state": "/runs/{0}/state",
    "numbers": "/runs/{0}/numbers",
    "plots": "/runs/{0}/numbers?a=root.trainers.0.loss&a=root.trainers.1.loss&together=1&with={1}",
    "graph": "/runs/{0}/graph",
    "compare": "/compare?run={0}&run={1}",
    "drives": "/drives",
    "drive": "/drives/{drive}",
    "file": "/drives/{drive}?show=report.json&of=root.report",
    "no-such-run": "/runs/nonsense",
}

SHAPES: dict[str, dict[str, Any]] = {
    "1280": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "390": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
}

#: The colours in which a shape is looked at, with the folder of the pictures.
COLOURS: dict[str, dict[Literal["light", "dark"], str]] = {
    "1280": {"light": "1280-light", "dark": "1280-dark"},
    "390": {"light": "390"},
}

#: Finds elements that are cut at the right edge, except those that scroll inside.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const clips = ["auto", "scroll", "hidden", "clip"];
  const scrolls = element => clips.includes(getComputedStyle(element).overflowX);
  const found = document.documentElement.scrollWidth > width ? ["the page"] : [];
  for (const element of document.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height || box.right <= width + 1 || box.left >= width) continue;
    let parent = element.parentElement;
    while (parent && !scrolls(parent)) parent = parent.parentElement;
    if (!parent) found.push(`${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`);
  }
  return found;
}"""

#: Finds buttons that a finger can't hit: neither they nor what is around them belongs to them.
TOO_SMALL = """() => [...document.querySelectorAll(
    "button, a.button, [role=menuitem], select, input[type=search]")]
  .map(element => [element, element.getBoundingClientRect()])
  .filter(([element, box]) => box.width && box.height && (box.height < 40 || box.width < 24))
  .map(([element, box]) => `${element.outerHTML.slice(0, 60)} ${box.width}x${box.height}`)"""


def test_the_vendored_axe_is_unchanged():
    [library] = tomllib.loads((VENDOR / "vendor.toml").read_text())["library"]
    found = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert found == {"vendor.toml", *library["files"]}
    for name, file in library["files"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == file["sha256"], name


@pytest.mark.parametrize("shape", SHAPES)
def test_no_view_is_cut_or_has_a_barrier(visit: Visit, shown: Server, shape: str):
    first, second = (run["id"] for run in shown.get("/api/runs").data["runs"])
    drives = shown.get("/api/drives").data["drives"]
    [drive] = [drive["id"] for drive in drives if drive["name"] == "lit://results"]
    tab = visit(shown, **SHAPES[shape])
    tab.page.evaluate(AXE.read_text())
    found: dict[str, list[str]] = {}
    for name, address in VIEWS.items():
        tab.go(address.format(first, second, drive=drive))
        if problems := problems_of(tab, shape, name):
            found[name] = problems
        if name == "overview":
            found |= problems_of_what_opens(tab, shape)
    assert not found, "\n".join(f"{name}: {problem}" for name in found for problem in found[name])


def problems_of_what_opens(tab: Tab, shape: str) -> dict[str, list[str]]:
    """Return the problems of a menu and of a dialog, if they have any."""
    tab.page.get_by_role("button", name="More actions").click()
    expect(tab.page.get_by_role("menuitem", name="Download the trace")).to_be_visible()
    found = {"menu": problems_of(tab, shape, "menu")}
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("button", name="Keys").click()
    dialog = tab.page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    found["keys"] = problems_of(tab, shape, "keys")
    tab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    return {name: problems for name, problems in found.items() if problems}


def problems_of(tab: Tab, shape: str, name: str) -> list[str]:
    """Return the elements in view that are cut, a barrier, or too small for a finger, and keep pictures.

    A wide page is looked at in both colours: it follows the system, which may change them at any time.
    """
    problems: list[str] = []
    for colours, folder in COLOURS[shape].items():
        tab.page.emulate_media(color_scheme=colours)
        settle(tab)
        take_picture(tab, folder, name)
        problems += tab.page.evaluate(TOO_WIDE)
        problems += barriers(tab, has_only_other_colours=colours == "dark")
    tab.page.emulate_media(color_scheme="light")
    if shape == "390":
        problems += tab.page.evaluate(TOO_SMALL)
    return problems


def take_picture(tab: Tab, folder: str, name: str) -> None:
    """Keep a picture of the visible part, if pictures are wanted."""
    if PICTURES is None:
        return
    path = PICTURES / folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tab.page.screenshot())  # playwright would write it in a thread that stays


def settle(tab: Tab) -> None:
    """Wait until a view has its data, and its animations have ended."""
    expect(tab.page.locator(".loading")).to_have_count(0)
    tab.wait_for_answers()
    tab.wait_for(
        lambda: tab.page.evaluate("document.getAnimations().every(each => each.playState !== 'running')")
    )


def barriers(tab: Tab, *, has_only_other_colours: bool = False) -> list[str]:
    """Return the serious and critical findings of axe, with the elements.

    If only the colours are others than at the last look, only the rules about them can find something else.
    """
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if has_only_other_colours:
        options["runOnly"] = ["color-contrast", "link-in-text-block"]
    result = tab.page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{finding['id']}: {node['html'][:200]} {node['any'][0]['message'] if node['any'] else ''}"
        for finding in result["violations"]
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


def test_the_switch_of_colours_is_kept(visit: Visit, shown: Server):
    tab = visit(shown)
    button = tab.page.locator("[data-theme-switch]")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(ground)
    button.click()
    expect(button).to_have_attribute("aria-label", "Colours: light")
    button.click()
    expect(button).to_have_attribute("aria-label", "Colours: dark")
    dark = tab.page.evaluate(ground)
    assert dark != light
    tab.page.reload()
    expect(button).to_have_attribute("aria-label", "Colours: dark")
    assert tab.page.evaluate(ground) == dark
