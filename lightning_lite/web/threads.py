"""Runs functions that wait for files and apps in threads, so that the event loop does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Return the value of a function that is called in a thread of its own.

    The threads are daemons, unlike those of `asyncio.to_thread`: the end of the server does not wait for an
    app that does not answer.

    Raises:
        Exception: The function has raised it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def resolve(value: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type] # without an error, there is a value

    def call() -> None:
        value, error = None, None
        try:
            value = function(*arguments)
        except BaseException as raised:  # noqa: BLE001 - the caller gets it
            error = raised
        try:
            loop.call_soon_threadsafe(resolve, value, error)
        except RuntimeError:
            return  # the loop is closed: the server has ended

    Thread(target=call, name="lightning-lite-page-request", daemon=True).start()
    return await future
