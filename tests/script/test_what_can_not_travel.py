"""A value that can't travel is named before the work's process starts: its place, the line, what to do."""

from __future__ import annotations

import json
import textwrap

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import ArgumentError

from tests.support.processes import run_script

pytestmark = pytest.mark.dependencies

SCRIPT = """
    import collections, functools, json, socket, sqlite3, sys, threading
    from rich.console import Console
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    connection = sqlite3.connect(":memory:")
    LOCK = threading.Lock()
    console = Console()
    nested = None
    for _ in range(100_000):
        nested = [nested]

    def deep():
        with LOCK:  # deep
            return 1

    class Locked:
        lock = threading.RLock()

    class Model:
        def __init__(self): self.lock = threading.Lock()

    class Unpicklable:
        def __reduce__(self): raise ValueError("no, thanks")
    unpicklable = Unpicklable()

    class Global(LightningWork):
        def run(self):
            return connection.cursor()  # Global

    class Indirect(LightningWork):
        def run(self): return [deep() for _ in range(3)]

    class Library(LightningWork):
        def run(self): console.print("hello")  # Library

    class OfClass(LightningWork):
        def run(self): return Locked()  # OfClass

    class Nested(LightningWork):
        def run(self): return nested  # Nested

    class Refuses(LightningWork):
        def run(self): return unpicklable  # Refuses

    class Attribute(LightningWork):
        def __init__(self):
            super().__init__()
            self._me, self._models = self.run, {"a": [Model()]}
        def run(self): pass

    class WithSlots:
        __slots__ = ("lock",)
        def __init__(self): self.lock = threading.Lock()
    class Slots(LightningWork):
        def __init__(self):
            super().__init__()
            self._kept = collections.deque([1, WithSlots()])
        def run(self): pass

    class Default(LightningWork):
        def run(self, event=threading.Event()): pass

    def closing():
        sock = socket.socket()
        class Closure(LightningWork):
            def run(self):
                return sock.fileno()  # Closure
        return Closure

    class Fine(LightningWork):
        def run(self, function): return function()

    class Flow(LightningFlow):
        def __init__(self, work, *args):
            super().__init__()
            self.work, self._args = work(), args
        def run(self):
            self.work.run(*self._args)

    class OfUser(LightningWork):
        def __init__(self):
            super().__init__()
            self._it = unpicklable
        def run(self): pass

    def shown_before(error):
        "Return the kinds of the exceptions that a traceback shows above an exception."
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return [] if before is None else [*shown_before(before), type(before).__name__]

    told = {}
    works = Global, Indirect, Library, OfClass, Nested, Refuses, Attribute, Slots, Default, closing(), OfUser
    for work, *args in (*((work,) for work in works), (Fine, lambda: connection)):
        try:
            LightningApp(Flow(work, *args)).run()
        except Exception as error:
            told[work.__name__] = [type(error).__name__, str(error), shown_before(error)]
    print(json.dumps(told))
"""

EXPECTED = {
    "Global": "global 'connection' (sqlite3.Connection), used in Global.run, line {Global}: ",
    "Indirect": "global 'LOCK' (_thread.lock), used in deep, line {deep}: ",
    "Library": "attribute '_lock' (_thread.RLock) of global 'console' (rich.console.Console), "
    "used in Library.run, line {Library}: ",
    "OfClass": "attribute 'lock' (_thread.RLock) of the class Locked, used in OfClass.run, line {OfClass}: ",
    "Nested": "global 'nested' (list), used in Nested.run, line {Nested}: RecursionError: it is nested ",
    "Refuses": "global 'unpicklable' (__main__.Unpicklable), used in Refuses.run, line {Refuses}: "
    "ValueError: no, thanks",
    "Attribute": "its attribute '_models' holds <builtins.dict>: attribute 'lock' (_thread.lock) of item 0 "
    "of key 'a': ",
    "Slots": "its attribute '_kept' holds <collections.deque>: attribute 'lock' (_thread.lock) of item 1: ",
    "Default": " of default 1 (threading.Event) of Default.run: ",
    "Closure": "closure variable 'sock' (socket.socket), used in closing.Closure.run, line {Closure}: ",
    "OfUser": "its attribute '_it' holds <__main__.Unpicklable>: ValueError: no, thanks",
    "Fine": "argument 0: cannot send <builtins.function> to another process: global 'connection' "
    "(sqlite3.Connection), used in <lambda>, line ",
}


def test_what_can_not_travel_is_named_with_its_place_and_the_line_that_uses_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    lines = {
        line.rpartition("# ")[2]: number
        for number, line in enumerate(script.read_text().splitlines(), 1)
        if "# " in line
    }

    told = json.loads(run_script(script, cwd=tmp_path).splitlines()[-1])

    assert {name: kind for name, (kind, *_) in told.items()} == dict.fromkeys(EXPECTED, "ArgumentError")
    missing = {
        name: told[name][1] for name, words in EXPECTED.items() if words.format(**lines) not in told[name][1]
    }
    assert missing == {}
    advice = [text for name, (_, text, _) in told.items() if name != "Fine" and "Create it in" not in text]
    assert advice == []
    # Only an exception that code of the user has raised; others would repeat the message.
    above = {name: kinds for name, (*_, kinds) in told.items() if kinds}
    assert above == {"Refuses": ["ValueError"], "OfUser": ["ValueError"]}


class Other(LightningWork):
    def run(self):
        pass


class Keeper(LightningWork):
    def __init__(self, other=None):
        super().__init__()
        self._other = other

    def run(self, *args):
        pass


class HandsOn(LightningFlow):
    def __init__(self, private=None, argument=None):
        super().__init__()
        self.other = Other()
        self.keeper = Keeper(private and private(self.other))
        self._argument = argument

    def run(self):
        self.keeper.run(*([self._argument(self)] if self._argument else []))
        self.stop()


@pytest.mark.parametrize(
    "how",
    [
        {"private": lambda other: other},
        {"private": lambda other: {"in": [other]}},
        {"private": lambda other: other.run},
        {"argument": lambda flow: flow.other},
        {"argument": lambda flow: [{"in": flow.other}]},
        {"argument": lambda flow: flow.other.run},
        {"argument": lambda flow: flow},
        {"argument": lambda flow: lambda: flow.other},
    ],
    ids=[
        "attribute",
        "inside",
        "method",
        "argument",
        "inside-argument",
        "method-argument",
        "flow",
        "closure",
    ],
)
def test_a_work_that_is_handed_to_another_work_is_refused(how, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ArgumentError, match="A work isn't allowed to take a LightningWork or LightningFlow"):
        LightningApp(HandsOn(**how)).run()
