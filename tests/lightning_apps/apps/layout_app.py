"""Nested tabs: a folder, a page of the web, and a server in a work whose tab appears when it answers."""

import os
from http.server import HTTPServer, SimpleHTTPRequestHandler

from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.frontend import StaticWebFrontend


class FilesServer(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)

    def run(self):
        HTTPServer((self.host, self.port), SimpleHTTPRequestHandler).serve_forever()


class Site(LightningFlow):
    def run(self):
        pass

    def configure_layout(self):
        return StaticWebFrontend(serve_dir=os.path.dirname(__file__))


class Links(LightningFlow):
    def __init__(self):
        super().__init__()
        self.site = Site()

    def run(self):
        pass

    def configure_layout(self):
        return [
            {"name": "Site", "content": self.site},
            {"name": "Docs", "content": "https://docs.example/page"},
        ]


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.links = Links()
        self.files = FilesServer()

    def run(self):
        self.links.run()
        self.files.run()
        if self.files.url:
            print([tab["name"] for tab in self.configure_layout()])
            self.stop("Layout end")

    def configure_layout(self):
        tabs = [{"name": "Links", "content": self.links}]
        if self.files.url:
            tabs.append({"name": "Files", "content": self.files.url + "/"})
        return tabs


app = LightningApp(Root())
