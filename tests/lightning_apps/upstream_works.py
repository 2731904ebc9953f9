"""Works that follow rules of Lightning App. Their processes import this module, so it is light."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from pathlib import Path as LocalPath

from lightning_lite import LightningWork, Path


class HasPath(LightningWork):
    def __init__(self):
        super().__init__()
        self.path = Path("model.txt")
        self.origin_at_first = self.path.origin_name

    def run(self):
        LocalPath("model.txt").write_text("weights")


class Reads(LightningWork):
    def run(self, path):
        return path.origin_name, path.exists_remote()


class Counting(LightningWork):
    def __init__(self):
        super().__init__()
        self.count = 0

    def run(self, *args):
        self.count += 1


class Fails(LightningWork):
    def __init__(self, raise_exception):
        super().__init__(raise_exception=raise_exception)
        self.begun = False

    def run(self):
        self.begun = True
        raise ValueError("from the work")


class WritesLitPath(LightningWork):
    def __init__(self):
        super().__init__()
        self.late = None
        self.early = "lit://early.txt"

    def run(self):
        self.late = "lit://late.txt"
        for path in (self.early, self.late, Path("lit://unattached.txt")):
            with open(path, "w") as file:
                file.write("made")


class CountsNothing(LightningWork):
    def __init__(self):
        super().__init__(raise_exception=False)
        self.number = 0

    def run(self):
        raise ValueError("no numbers")


class CountsWords(LightningWork):
    def __init__(self):
        super().__init__()
        self.words = Counter(a=1)
        self.order = OrderedDict(b=1)
        self.groups = defaultdict(list)
        self.nested = {"inner": Counter()}

    def run(self, text):
        self.words.update(text.split())
        self.order["a"] = 2
        self.groups["new"].append(text)
        self.nested["inner"]["x"] += 1


class Notebook(LightningWork):
    """A server that is shown with its token, as works of JupyterLab do."""

    def __init__(self):
        super().__init__()
        self.token = ""

    def run(self):
        self.token = "abc"
        return self.url

    @property
    def url(self):
        if not self.token:
            return ""
        return f"{self._future_url or f'http://{self.host}:{self.port}'}/lab?token={self.token}"
