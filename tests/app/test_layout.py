"""The values that `configure_layout` may return, the layout that results, and the moments of the call."""

from __future__ import annotations

import json
import os
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.app.layout import _MAX_TABS, collect_layout, has_layout
from lightning_lite.errors import LayoutError
from lightning_lite.frontends import Frontend
from lightning_lite.lightning_app.helpers import collect_layout as collect_as_lightning_app
from lightning_lite.runners.command_channel import ask
from lightning_lite.structures import Dict
from lightning_lite.testing import EmptyFlow, EmptyWork, poll_until

from tests.support.processes import DEADLINE
from tests.support.waiting_works import Never


class Silent(Frontend):
    def start_server(self, host, port, root_path=""):
        raise AssertionError("there is no page that shows it")

    def stop_server(self):
        raise AssertionError


class Shows(LightningFlow):
    """Shows what a function returns; it gets the flow."""

    def __init__(self, shown, **children):
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)
        self._shown = shown

    def run(self):
        self.stop()

    def configure_layout(self):
        return self._shown(self)


class WorkShows(EmptyWork):
    """Shows a value in its tab."""

    def __init__(self, shown, **options):
        super().__init__(**options)
        self._shown = shown

    def configure_layout(self):
        return self._shown


def tabs_of(root):
    return collect_layout(root).root["tabs"]


def short(tab):
    """Return the part of a tab that most tests look at."""
    inner = [short(each) for each in tab["tabs"]]
    return (tab["name"], inner) if tab["kind"] == "tabs" else (tab["name"], tab["url"])


# The forms.


def test_tabs_show_addresses_works_and_flows_with_their_own_tabs():
    inner = Shows(lambda flow: [{"name": "Docs", "content": "https://docs.example/a?b=1#c"}])
    root = Shows(
        lambda flow: (
            {"name": "Inner", "content": flow.inner},
            {"name": "Work", "content": flow.work},
            {"name": "Other", "content": "http://127.0.0.1:8000"},
        ),
        inner=inner,
        work=WorkShows("http://localhost:1/x"),
    )

    assert [short(tab) for tab in tabs_of(root)] == [
        ("Inner", [("Docs", "https://docs.example/a?b=1#c")]),
        ("Work", "http://localhost:1/x"),
        ("Other", "http://127.0.0.1:8000"),
    ]
    assert [tab["component"] for tab in tabs_of(root)] == ["root.inner", "root.work", ""]


def test_white_space_around_an_address_is_dropped():
    root = Shows(
        lambda flow: [{"content": flow.work}, {"content": " http://a.example\n"}, {"content": "\n"}],
        work=WorkShows("http://localhost:1/lab?token=abc\n"),
    )

    assert [tab["url"] for tab in tabs_of(root)] == [
        "http://localhost:1/lab?token=abc",
        "http://a.example",
        "",
    ]


def test_one_dict_is_one_tab_and_a_name_is_made_of_the_content():
    assert [short(tab) for tab in tabs_of(Shows(lambda flow: {"content": "http://a.example"}))] == [
        ("http://a.example", "http://a.example")
    ]
    root = Shows(lambda flow: [{"content": flow.work}, {"name": 7, "content": flow.work}], work=EmptyWork())
    assert [tab["name"] for tab in tabs_of(root)] == ["work", "7"]


def test_a_frontend_is_all_that_its_flow_shows():
    frontend = Silent()
    inner = Shows(lambda flow: frontend)
    root = Shows(lambda flow: [{"name": "Home", "content": flow.inner}], inner=inner)

    found = collect_layout(root)

    assert found.frontends == {"root.inner": frontend}
    assert frontend.flow is inner
    [tab] = found.root["tabs"]
    assert (tab["name"], tab["kind"], tab["frontend"], tab["component"]) == (
        "Home",
        "page",
        True,
        "root.inner",
    )


def test_a_work_with_a_frontend_is_the_only_tab_of_its_flow():
    root = Shows(lambda flow: {"name": "Home", "content": flow.work}, work=WorkShows(Silent()))
    assert collect_layout(root).frontends.keys() == {"root"}

    root = Shows(lambda flow: [{"content": flow.work}, {"content": "http://a"}], work=WorkShows(Silent()))
    with pytest.raises(
        LayoutError, match=r"must be the only tab in the layout of this flow\. root has 2 tabs"
    ):
        collect_layout(root)


def test_a_page_without_an_address_says_why():
    root = Shows(
        lambda flow: [
            {"name": "Work", "content": flow.work},
            {"name": "Its docs", "content": flow.work.url + "/docs"},
            {"name": "None", "content": flow.none},
        ],
        work=EmptyWork(),
        none=WorkShows(None),
    )

    assert [(tab["url"], tab["note"]) for tab in tabs_of(root)] == [
        ("", "root.work does not serve now."),
        ("", "It has no address now."),
        ("", "root.none does not serve now."),
    ]


def test_a_server_on_all_addresses_is_shown_at_that_of_this_machine():
    root = Shows(lambda flow: {"content": "http://0.0.0.0:80/a"})
    assert tabs_of(root)[0]["url"] == "http://127.0.0.1:80/a"


def test_by_default_each_child_flow_that_shows_something_is_a_tab():
    page = {"name": "Page", "content": "http://a.example"}

    class Root(EmptyFlow):
        def __init__(self):
            super().__init__()
            self.first = Shows(lambda flow: page)
            self.silent = EmptyFlow()
            self.many = Dict(a=Shows(lambda flow: []), b=EmptyFlow())

    root = Root()

    assert [short(tab) for tab in tabs_of(root)] == [
        ("first", [("Page", "http://a.example")]),
        ("many.a", []),
    ]
    assert EmptyFlow().configure_layout() == []
    assert root.configure_layout()[0] == {"name": "first", "content": root.first}
    assert EmptyWork().configure_layout() == ""


def test_more_tabs_than_the_page_shows_are_counted():
    root = Shows(lambda flow: [{"content": f"http://a/{number}"} for number in range(_MAX_TABS + 5)])
    found = collect_layout(root).root
    assert (len(found["tabs"]), found["left_out"]) == (_MAX_TABS, 5)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (None, True),
        ("", False),
        ("http://a.example", False),
        (Silent(), False),
    ],
)
def test_an_app_is_headless_if_no_flow_shows_a_page(shown, expected):
    assert LightningApp(WorkShows(shown)).is_headless is expected
    root = Shows(lambda flow: {"content": flow.work}, work=WorkShows(shown))
    assert LightningApp(root).is_headless is expected
    assert LightningApp(Shows(lambda flow: [], inner=EmptyFlow())).is_headless


def test_a_work_as_root_shows_itself_if_it_says_so():
    assert not has_layout(LightningApp(EmptyWork()).root)
    root = LightningApp(WorkShows("http://a.example")).root
    assert has_layout(root)
    assert [short(tab) for tab in tabs_of(root)] == [("Main", "http://a.example")]


# Nonsense.

NONSENSE = [
    (None, TypeError, "is an unsupported layout format: root returned None. Return a list of tabs"),
    ("http://a", TypeError, "is an unsupported layout format: root returned 'http://a'"),
    ([1], TypeError, "is an unsupported layout format"),
    ({1, 2}, TypeError, "is an unsupported layout format"),
    (Silent, TypeError, "is an unsupported layout format"),
    ([{"name": "a"}], ValueError, r"`Shows.configure_layout()` is missing a key 'content'"),
    ({"content": 5}, ValueError, "contains an unsupported entry"),
    ({"content": None}, ValueError, "contains an unsupported entry"),
    ({"content": Silent()}, ValueError, "contains an unsupported entry"),
    ({"content": "javascript:alert(1)"}, ValueError, "begins with http:// or https://"),
    ({"content": "data:text/html,x"}, ValueError, "begins with http:// or https://"),
    ({"content": "docs.example"}, ValueError, "begins with http:// or https://"),
    ({"content": "http://"}, ValueError, "begins with http:// or https://"),
    ({"content": "http://a:99999/"}, ValueError, "begins with http:// or https://"),
    ({"content": "http://a; script-src *"}, ValueError, "begins with http:// or https://"),
    ({"content": "http://a\n/"}, ValueError, "begins with http:// or https://"),
    ({"content": EmptyWork()}, ValueError, "shows a EmptyWork that is no part of the app"),
]


@pytest.mark.parametrize(("shown", "kind", "text"), NONSENSE)
def test_nonsense_ends_the_app_before_its_first_pass(shown, kind, text):
    class Root(Shows):
        def run(self):
            raise AssertionError("the flow has run")

    with pytest.raises(kind) as caught:
        LightningApp(Shows(lambda flow: shown)).run()
    assert text in str(caught.value)
    assert isinstance(caught.value, LayoutError)
    with pytest.raises(LayoutError):
        LightningApp(Root(lambda flow: shown)).run()


def test_a_work_that_shows_no_address_is_named():
    root = Shows(lambda flow: {"content": flow.work}, work=WorkShows(5))
    with pytest.raises(
        LayoutError, match=r"`WorkShows.configure_layout\(\)` is of an unsupported type: root.work"
    ):
        LightningApp(root).run()


def test_flows_that_show_each_other_are_refused():
    class Root(EmptyFlow):
        def __init__(self):
            super().__init__()
            self.inner = Shows(lambda flow: {"content": self})

    with pytest.raises(LayoutError, match="shows root, which shows itself"):
        collect_layout(Root())


def test_a_layout_only_describes():
    class Calls(Shows):
        def configure_layout(self):
            self.work.run()
            return []

    with pytest.raises(LayoutError, match="configure_layout of root calls a work, or ends the app"):
        LightningApp(Calls(None, work=EmptyWork())).run("inline")
    with pytest.raises(LayoutError, match="StopApp"):
        LightningApp(Shows(lambda flow: flow.stop())).run()


class Changes(Shows):
    """Its layout changes something; it lets other passes run before."""

    def __init__(self, shown, **children):
        super().__init__(shown, **children)
        self.counter, self.items, self._passes = 0, [], 0
        self.known = Dict(first=EmptyWork())

    def run(self):
        assert self._passes < 5, "the layout has made passes without an end"
        self._passes += 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda flow: setattr(flow, "counter", flow.counter + 1), "changes root.counter"),
        (lambda flow: flow.items.append(1), "changes root.items"),
        (lambda flow: setattr(flow.inner, "counter", 7), "changes root.inner.counter"),
        (lambda flow: flow.known.__setitem__("a", EmptyWork()), "adds root.known.a"),
        (lambda flow: flow.work.run(), "calls or stops root.work"),
        (lambda flow: flow.known["first"].stop(), "calls or stops root.known.first"),
    ],
)
def test_a_layout_that_changes_state_is_refused_with_the_name_of_what_it_changes(change, found):
    def shown(flow):
        change(flow)
        return []

    root = Changes(shown, inner=Changes(lambda flow: []), work=EmptyWork(parallel=True))
    with pytest.raises(LayoutError) as caught:
        LightningApp(root).run("inline", on_idle="fail", ui=False)
    assert str(caught.value) == (
        f"configure_layout of root {found}. It only describes what is shown, and is called after "
        "each change: do this in run()."
    )


def test_a_layout_may_read_state_and_the_port_of_a_work():
    root = Shows(
        lambda flow: [{"name": f"{flow.inner.items}", "content": f"http://localhost:{flow.work.port}"}],
        inner=Changes(lambda flow: []),
        work=EmptyWork(parallel=True),
    )
    LightningApp(root).run("inline", ui=False)
    assert root.work.port


def test_an_exception_in_it_is_that_of_the_app_and_says_where():
    with pytest.raises(ZeroDivisionError) as caught:
        LightningApp(Shows(lambda flow: 1 / 0)).run()
    assert caught.value.__notes__[0] == "Raised by configure_layout of root."


# When it is called.


class Server(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)

    def run(self):
        HTTPServer((self.host, self.port), SimpleHTTPRequestHandler).serve_forever()


class ServerAndWait(LightningFlow):
    def __init__(self):
        super().__init__()
        self.server, self.waits = Server(), Never()

    def run(self):
        self.server.run()
        self.waits.run()

    def configure_layout(self):
        tabs = [{"name": "Server", "content": self.server}]
        if self.server.url:
            tabs.append({"name": "File", "content": f"{self.server.url}/file"})
        return tabs


def test_a_tab_appears_when_its_work_serves_also_while_a_pass_waits():
    app = LightningApp(ServerAndWait())
    running = app.start()
    try:
        poll_until(lambda: app.root.server.has_started, DEADLINE)
        folder = Path(os.environ["LIGHTNING_LITE_ROOT"], "runs", running.run_id)

        def names():
            return [tab["name"] for tab in ask(str(folder), "layout")["layout"]["tabs"]]

        poll_until(lambda: names() == ["Server", "File"], DEADLINE)
        shown = ask(str(folder), "layout")["layout"]
        assert json.loads((folder / "layout.json").read_text()) == shown
        assert shown["tabs"][0]["url"] == app.root.server.url
        assert shown["tabs"][1]["url"] == f"{app.root.server.url}/file"
    finally:
        running.stop()


def test_it_is_called_after_changes_only():
    class Root(LightningFlow):
        def __init__(self):
            super().__init__()
            self.counter = 0
            self._called = []

        def run(self):
            if self.counter == 3:
                self.stop()
            self.counter += 1

        def configure_layout(self):
            self._called.append(self.counter)
            return []

    app = LightningApp(Root())
    app.run()
    assert app.root._called == [0, 1, 2, 3]


def test_a_flow_that_is_added_later_shows_its_tabs():
    class Root(LightningFlow):
        def __init__(self):
            super().__init__()
            self.inner = None
            self.done = False

        def run(self):
            if self.done:
                self.stop()
            if self.inner is None:
                self.inner = Shows(lambda flow: {"name": "Late", "content": "http://a.example"})
            self.done = True

    app = LightningApp(Root())
    ends = []
    app._on_end = ends.append
    app.run()
    shown = json.loads(Path(ends[0].folder, "layout.json").read_text())
    assert [short(tab) for tab in shown["tabs"]] == [("inner", [("Late", "http://a.example")])]


def test_an_app_without_a_layout_notes_none():
    ends = []
    LightningApp(EmptyWork(), on_end=ends.append).run("inline")
    assert not Path(ends[0].folder, "layout.json").exists()


# The form of Lightning App.


def test_one_flow_in_the_form_of_lightning_app():
    frontend = Silent()
    app = SimpleNamespace(frontends={})
    root = Shows(
        lambda flow: [
            {"name": "a", "content": flow.inner},
            {"name": "b", "content": "/later"},
            {"name": "c", "content": flow.work},
        ],
        inner=Shows(lambda flow: frontend),
        work=WorkShows("http://a.example"),
    )

    assert collect_as_lightning_app(app, root) == [
        {"name": "a", "content": "root.inner"},
        {"name": "b", "content": "/later", "target": ""},
        {"name": "c", "content": "http://a.example", "target": "http://a.example"},
    ]
    assert collect_as_lightning_app(app, root.inner) == {}
    assert app.frontends == {"root.inner": frontend}
