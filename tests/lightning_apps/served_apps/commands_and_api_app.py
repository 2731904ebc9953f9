"""Names come by a command, by one with a part in the terminal, and by HTTP; the third one ends the app."""

from argparse import ArgumentParser

from lightning import LightningApp, LightningFlow
from lightning.app.api import Get, Post
from lightning.app.utilities.commands import ClientCommand
from pydantic import BaseModel


class NameConfig(BaseModel):
    name: str


class AddName(ClientCommand):
    def run(self):
        parser = ArgumentParser()
        parser.add_argument("--name")
        parser.add_argument("--upper", action="store_true")
        options = parser.parse_args()
        name = options.name.upper() if options.upper else options.name
        print(self.invoke_handler(NameConfig(name=name)))


def tell_version():
    return {"version": "1.0"}


class Child(LightningFlow):
    def nested_trigger(self, name: str):
        """Add a name from below."""
        self.parent_names.append(name)
        return f"got {name}"

    def __init__(self):
        super().__init__()
        self.parent_names = []

    def run(self):
        pass

    def configure_commands(self):
        return [{"nested trigger": self.nested_trigger}]


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.names = []
        self.child = Child()

    def run(self):
        if len(self.names) + len(self.child.parent_names) == 3:
            self.stop(f"{self.names} {self.child.parent_names}")

    def add_with_client(self, config: NameConfig):
        self.names.append(config.name)
        return "added"

    def add_by_http(self, config: NameConfig):
        self.names.append(config.name)
        return {"name": config.name}

    def configure_commands(self):
        return [{"add with client": AddName(self.add_with_client)}, *self.child.configure_commands()]

    def configure_api(self):
        return [Post("/user/names", self.add_by_http), Get("/user/version", tell_version)]


app = LightningApp(Root())
