"""The layout of an app: the results of `configure_layout` of its flows and works, as plain data.

    [{"name": "Train", "content": self.train}]    tabs; the content is a child flow, which has a layout, too,
                                                  a child work, or the address of a page
    {"name": "Train", "content": self.train}      one tab
    StaticWebFrontend("build")                    the page of a frontend

Each tab becomes a dict with the same keys, so that the page and other programs can read it:

    name       of the tab; "" for the root flow
    component  full name of the flow or work that it shows; "" for another page
    kind       `tabs`, or `page` for a page in a frame
    tabs       the tabs in it, if it has some
    url        address of the page; "" as long as there is none
    note       why there is none
    frontend   whether a frontend of the app serves the page
    left_out   number of further tabs, which are left out
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lightning_lite.errors import LayoutError, Unwind
from lightning_lite.frontends.base import Frontend
from lightning_lite.harmless_text import one_line
from lightning_lite.tree.flow import LightningFlow, RootFlow
from lightning_lite.tree.hierarchy import root_of
from lightning_lite.tree.outbox import outbox_of
from lightning_lite.tree.work import LightningWork

#: Maximum number of tabs next to each other; the others are counted and left out.
_MAX_TABS = 200

#: Maximum number of characters of the name of a tab, and of a value in an error.
_MAX_NAME = 200

#: Characters that no host has; in a policy of the browser they would begin something else.
_NOT_IN_HOSTS = frozenset(" \"'\\,;<>*")

_FORMS = (
    "Return a list of tabs, one tab, or a Frontend. A tab is a dict {'name': ..., 'content': ...}, whose "
    "content is a child flow, a child work, or the address of a page"
)

Tab = dict[str, Any]


class LayoutEntry(NamedTuple):
    """One tab as the flow has returned it, checked.

    Attributes:
        name: Its name.
        content: The flow, the work or the address that it shows, which is "" as long as there is none.
        url: Address of the page of a work or of an address.
        note: Why there is none.
        is_empty: Whether a work has returned `None`, so that there will be no page.
    """

    name: str
    content: LightningFlow | LightningWork | str
    url: str = ""
    note: str = ""
    is_empty: bool = False


class Collected(NamedTuple):
    """The layout of an app.

    Attributes:
        root: The tab of the root flow.
        frontends: The frontends in it, by the full name of their flow.
    """

    root: Tab
    frontends: dict[str, Frontend]


def has_layout(root: LightningFlow) -> bool:
    """Return whether a flow in a tree overrides `configure_layout`; else the app shows nothing.

    Example:
        >>> from lightning_lite.testing import EmptyFlow
        >>> has_layout(EmptyFlow())
        False
    """
    return any(map(_configures_layout, (root, *root.flows.values())))


def _configures_layout(flow: LightningFlow) -> bool:
    if isinstance(flow, RootFlow):
        return bool(flow.configure_layout())
    return type(flow).configure_layout is not LightningFlow.configure_layout


def is_headless(root: LightningFlow) -> bool:
    """Return whether an app shows no page, now and with the present layouts of its flows.

    Raises:
        LayoutError: A flow returns something else, also one that no other flow shows: all flows are asked.
    """
    return not any(map(_shows_page, (root, *root.flows.values())))


def _shows_page(flow: LightningFlow) -> bool:
    """Return whether the layout of a flow has a page, besides the pages of flows in it."""
    found = read_layout(flow)
    if isinstance(found, Frontend):
        return True
    return any(not isinstance(entry.content, LightningFlow) and not entry.is_empty for entry in found)


def collect_layout(root: LightningFlow) -> Collected:
    """Return the layout of a flow with all flows and works in it, as plain data.

    Args:
        root: The root flow.

    Raises:
        LayoutError: A flow or work returns something else, calls a work, changes state, or shows itself.
        Exception: The exception of a `configure_layout`.

    Example:
        >>> class Links(LightningFlow):
        ...     def configure_layout(self):
        ...         return {"name": "Data", "content": "https://data.example"}
        >>> [tab] = collect_layout(Links()).root["tabs"]
        >>> tab["name"], tab["kind"], tab["url"]
        ('Data', 'page', 'https://data.example')
    """
    frontends: dict[str, Frontend] = {}
    return Collected(_collect(root, "", (), frontends), frontends)


def _collect(
    flow: LightningFlow, name: str, around: tuple[LightningFlow, ...], frontends: dict[str, Frontend]
) -> Tab:
    """Return the tab of a flow, and add its frontends.

    Args:
        flow: The flow.
        name: Name of its tab.
        around: The flows in whose layouts it is.
        frontends: The frontends so far, by the name of their flow.
    """
    if flow in around:
        raise LayoutError(
            f"configure_layout of {around[-1].name} shows {flow.name}, which shows itself then."
        )
    found = read_layout(flow)
    if isinstance(found, Frontend):
        found.flow = flow
        frontends[flow.name] = found
        return _make_tab(name, flow.name, kind="page", frontend=True)
    tabs = []
    for entry in found[:_MAX_TABS]:
        match entry.content:
            case LightningFlow():
                tab = _collect(entry.content, entry.name, (*around, flow), frontends)
                if tab["kind"] == "tabs" and not tab["tabs"] and not _configures_layout(entry.content):
                    continue  # neither this flow nor one below it shows anything
            case LightningWork():
                tab = _make_tab(entry.name, entry.content.name, kind="page", url=entry.url, note=entry.note)
            case _:
                tab = _make_tab(entry.name, "", kind="page", url=entry.url, note=entry.note)
        tabs.append(tab)
    left_out = max(0, len(found) - _MAX_TABS)
    return _make_tab(name, flow.name, kind="tabs", tabs=tabs, left_out=left_out)


def _make_tab(name: str, component: str, *, kind: str, **fields: Any) -> Tab:
    return {
        "name": name,
        "component": component,
        "kind": kind,
        "tabs": [],
        "url": "",
        "note": "",
        "frontend": False,
        "left_out": 0,
        **fields,
    }


def read_layout(flow: LightningFlow) -> Frontend | list[LayoutEntry]:
    """Return the layout of one flow: its frontend, or its tabs.

    Raises:
        LayoutError: It is neither.
    """
    found = _call(flow)
    if isinstance(found, Frontend):
        return found
    given = [found] if isinstance(found, dict) else found
    if not isinstance(given, list | tuple) or not all(isinstance(each, dict) for each in given):
        raise LayoutError(
            f"The return value of configure_layout() in `{type(flow).__name__}` is an unsupported layout "
            f"format: {flow.name} returned {_show(found)}. {_FORMS}."
        )
    entries: list[LayoutEntry] = []
    for each in given:
        entry = _read_entry(flow, each)
        if isinstance(entry, Frontend):
            if len(given) > 1:
                work = type(each["content"]).__name__
                raise LayoutError(
                    f"The tab containing a `{work}` must be the only tab in the layout of this flow. "
                    f"{flow.name} has {len(given)} tabs, and {each['content'].name} shows a Frontend."
                )
            return entry
        entries.append(entry)
    return entries


def _read_entry(flow: LightningFlow, given: dict[Any, Any]) -> LayoutEntry | Frontend:
    """Return one tab of a flow; or the frontend of the work in it."""
    if "content" not in given:
        raise LayoutError(
            f"A dictionary returned by `{type(flow).__name__}.configure_layout()` is missing a key "
            f"'content': {flow.name} returned {_show(given)}. {_FORMS}."
        )
    content = given["content"]
    if isinstance(content, LightningFlow | LightningWork):
        _check_is_in_tree(flow, content)
        name = given.get("name", content.name.rpartition(".")[2])
    else:
        name = given.get("name", content)
    name = one_line(str(name), _MAX_NAME)
    match content:
        case LightningFlow():
            return LayoutEntry(name, content)
        case LightningWork():
            shown = _call(content)
            if isinstance(shown, Frontend):
                return shown
            if shown is not None and not isinstance(shown, str):
                raise LayoutError(
                    f"The value returned by `{type(content).__name__}.configure_layout()` is of an "
                    f"unsupported type: {content.name} returned {_show(shown)}. Return the address of a "
                    "page, None, or a Frontend."
                )
            url = _check_url(content, shown or "")
            note = "" if url else f"{content.name} does not serve now."
            return LayoutEntry(name, content, url, note, is_empty=shown is None)
        case str():
            url = _check_url(flow, content)
            return LayoutEntry(name, content, url, "" if url else "It has no address now.")
    raise LayoutError(
        f"A dictionary returned by `{type(flow).__name__}.configure_layout()` contains an unsupported entry. "
        f"{flow.name} returned {_show(given)}. {_FORMS}."
    )


def _check_is_in_tree(flow: LightningFlow, content: LightningFlow | LightningWork) -> None:
    if root_of(content) is not root_of(flow):
        raise LayoutError(
            f"configure_layout of {flow.name} shows a {type(content).__qualname__} that is no part of the "
            "app. Assign it to an attribute of the flow."
        )


def _check_url(component: LightningFlow | LightningWork, url: str) -> str:
    """Return an address that a frame can show; "" if its host is not known yet.

    A flow writes `self.work.url + "/docs"`, which has no host as long as the work does not serve.
    """
    url = url.strip()  # as browsers do: an address from the log of a server ends with a newline
    if not url or url.startswith("/"):
        return ""
    try:
        parts = urlsplit(url)
        is_page = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_page = is_page and url.isprintable() and not _NOT_IN_HOSTS.intersection(parts.netloc)
    except ValueError:
        is_page = False
    if not is_page:
        raise LayoutError(
            f"configure_layout of {component.name} returned the address {_show(url)}. The address of a page "
            "begins with http:// or https://."
        )
    # A server that is bound to all addresses is asked at the address of this machine.
    return url.replace("://0.0.0.0", "://127.0.0.1", 1) if parts.hostname == "0.0.0.0" else url


def _call(component: LightningFlow | LightningWork) -> Any:
    """Call `configure_layout`; it describes only, so it must not end or pause the pass, nor change state.

    A change would need another pass, after which the layout is collected again, and so on for ever.
    """
    outbox = outbox_of(component)
    before = {} if outbox is None else outbox.unhandled_changes()
    try:
        found = component.configure_layout()
    except Unwind as ending:
        raise LayoutError(
            f"configure_layout of {component.name} calls a work, or ends the app ({type(ending).__name__}). "
            "It only describes what is shown: do this in run()."
        ) from None
    except Exception as error:
        error.add_note(f"Raised by configure_layout of {component.name}.")
        raise
    after = {} if outbox is None else outbox.unhandled_changes()
    for name, what in after.items():
        if name not in before:
            raise LayoutError(
                f"configure_layout of {component.name} {what} {name}. It only describes what is shown, and "
                "is called after each change: do this in run()."
            )
    return found


def _show(found: object) -> str:
    return one_line(f"{found!r}", _MAX_NAME)
