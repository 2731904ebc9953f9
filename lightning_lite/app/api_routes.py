"""Collects the routes that `configure_api` of flows returns."""

from __future__ import annotations

from collections.abc import Iterable

from lightning_lite.api import Route, is_reserved
from lightning_lite.errors import ComponentDefinitionError
from lightning_lite.tree.flow import LightningFlow


def collect_routes(root: LightningFlow) -> list[Route]:
    """Return the routes of all flows, the routes of the root first.

    A route that a flow has from a flow below it counts once.

    Raises:
        ComponentDefinitionError: A flow returns something else, a route that the page has, or one route for
            two methods; the message names the flow.

    Example:
        >>> from lightning_lite.testing import EmptyFlow
        >>> collect_routes(EmptyFlow())
        []
    """
    found: dict[tuple[str, str], Route] = {}
    for flow in (root, *root.flows.values()):
        configure = getattr(flow, "configure_api", None)
        for route in [] if configure is None else _check(flow, configure()):
            known = found.setdefault((route.verb, route.route), route)
            if known.method != route.method:
                raise ComponentDefinitionError(
                    f"configure_api of {flow.name}: {route.verb} {route.route} leads to {route.method_name} "
                    f"and to {known.method_name}; give one of them another route."
                )
    return list(found.values())


def _check(flow: LightningFlow, routes: object) -> Iterable[Route]:
    """Return the routes that a flow returned.

    Raises:
        ComponentDefinitionError: They are something else, or the page has such an address.
    """
    if not isinstance(routes, list | tuple):
        raise ComponentDefinitionError(
            f"configure_api of {flow.name} must return a list of Get, Post, Put and Delete. Found {routes!r}"
        )
    for route in routes:
        if not isinstance(route, Route) or not route.verb:
            raise ComponentDefinitionError(
                f"configure_api of {flow.name} must return only Get, Post, Put and Delete. Found {route!r} "
                "in its list"
            )
        if route.route.startswith("/command"):
            raise ComponentDefinitionError(
                f"The route `/command` is reserved for commands. Found {route.route!r}, in configure_api of "
                f"{flow.name}; choose another one."
            )
        if is_reserved(route.route):
            raise ComponentDefinitionError(
                f"configure_api of {flow.name}: the page has the address {route.route!r}; choose another one."
            )
    return routes
