"""An app with commands, until there is a file `end`; a part of one command runs in the terminal."""

from __future__ import annotations

import os
import threading

from pydantic import BaseModel, Field

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.client_command import ClientCommand


class Config(BaseModel):
    name: str
    age: int


class CheckedConfig(Config):
    """The same in the app, which takes no empty name."""

    name: str = Field(min_length=1)


class AddGuest(ClientCommand):
    description = "Add a guest with an age."

    def run(self, name: str, age: str = "30") -> None:
        before = self.state.names
        names = self.invoke_handler(Config(name=name, age=int(age)))
        print(f"process {os.getpid() != int(self.state.pid)}: {before} became {names}")  # noqa: T201


class Wait(LightningWork):
    def run(self) -> None:
        print("up", flush=True)  # noqa: T201
        while not os.path.exists("end"):
            threading.Event().wait(0.02)


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.pid = os.getpid()
        self.wait = Wait()

    def run(self) -> None:
        self.wait.run()
        self.stop()

    def add_name(self, name: str, times: int = 1) -> list[str]:
        """Add a name."""
        if name == "worse":
            raise ValueError("a command has failed")
        self.names += [name] * times
        return self.names

    def add_guest(self, config: CheckedConfig) -> list[str]:
        self.names.append(f"{config.name} {config.age}")
        return self.names

    def clear(self) -> None:
        self.names = []

    def count(self) -> int:
        """Count the names."""
        return len(self.names)

    def configure_commands(self) -> list[dict[str, object]]:
        return [
            {"add name": self.add_name},
            {"add_guest": AddGuest(self.add_guest)},
            {"clear": self.clear},
            {"status": self.count},  # which is a verb, too
        ]


app = LightningApp(Root())
app.run()
