"""An app with an API; a pass waits for its work all the time, until there is a file `end`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any

from fastapi import HTTPException, Request
from pydantic import BaseModel

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.api import Delete, Get, Post, Put


class Guest(BaseModel):
    name: str
    age: int = 30


class Wait(LightningWork):
    def run(self) -> None:
        while not os.path.exists("end"):
            threading.Event().wait(0.02)


class Below(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def run(self) -> None:
        pass

    def count(self) -> int:
        self.number += 1
        return self.number

    def configure_api(self) -> list[Post]:
        return [Post("/below/count", self.count)]


def double(number: int) -> int:
    return 2 * number


async def fail(kind: str = "") -> None:
    if kind == "exit":
        sys.exit(3)
    raise LookupError("a function has failed")


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.seen = 0
        self.wait = Wait()
        self.below = Below()

    def run(self) -> None:
        self.seen = len(self.names)
        self.below.run()
        self.wait.run()
        self.stop("The end")

    def add(self, guest: Guest) -> list[str]:
        """Add a guest, and return all."""
        if guest.name == "teapot":
            raise HTTPException(418, "a teapot is no guest")
        if guest.name == "worse":
            raise ValueError("a method has failed")
        self.names.append(guest.name)
        return self.names

    def seen_names(self) -> dict[str, object]:
        return {"names": self.names, "seen": self.seen}

    def remove(self, name: str) -> None:
        self.names.remove(name)

    async def mirror(self, request: Request) -> dict[str, object]:
        return {
            "body": await request.json(),
            "header": request.headers.get("x-of-mine"),
            "method": request.method,
        }

    def mirror_by_another(self, request: Request) -> Coroutine[Any, Any, dict[str, object]]:
        return self.mirror(request)

    def echo(self, request: Request) -> list[object]:
        body: Any = request.body()  # bytes, because this method is not `async`
        return [request.method, request.json(), len(body)]

    async def sleep(self) -> None:
        await __import__("asyncio").sleep(10)

    def hang(self) -> None:
        while not os.path.exists("hang_no_more"):
            threading.Event().wait(0.02)

    def end(self) -> None:
        self.stop("ended by a request")

    def configure_api(self) -> list[object]:
        return [
            Post("/guests", self.add, status_code=201),
            Get("/guests", self.seen_names),
            Get("/api/v1/guests", self.seen_names),
            Delete("/guests/{name}", self.remove),
            Put("/mirror", self.mirror),
            Put("/mirror/by-another", self.mirror_by_another, response_model=None),
            Post("/echo", self.echo),
            Post("/sleep", self.sleep),
            Post("/hang", self.hang, timeout=0.2),
            Post("/end", self.end),
            Get("/double", double),
            Get("/fail", fail),
            *self.below.configure_api(),
        ]


if __name__ == "__main__":
    LightningApp(Root()).run(resume="--resume" in sys.argv)
