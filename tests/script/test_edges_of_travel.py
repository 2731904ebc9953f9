"""Short-lived objects, globals that change or are large, and unnamed ones travel as in the script."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.forked_scripts import ForkedScripts

pytestmark = pytest.mark.dependencies

HEAD = """
from __future__ import annotations
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def __init__(self):
        super().__init__(cache_calls=False)
        self._kept = []

    def run(self, function, *args):
        self._kept.append(function)
        return function(*args)

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.act()
        self.stop()

def app(start_method="spawn"):
    LightningApp(Flow()).run(view=False, start_method=start_method)
"""

# Name of the case: the definitions of the script, the body of `act`, and its output. All cases are in one
# script, so no two of them define the same name.
CASES = {
    "functions that end at once": (
        "def make(i): return lambda: i",
        "print([i for i in range(100) if self.work.run(make(i)) != i])",
        "[]",
    ),
    "answers that are functions and classes of a call": (
        """
def closure(i): return lambda: i
def instance(i):
    class Local:
        number = i
    return Local()
""",
        """
print([i for i in range(50) if self.work.run(closure, i)() != i])
print([i for i in range(50) if self.work.run(instance, i).number != i])
""",
        "[]\n[]",
    ),
    "a global that the work assigns": (
        """
class Model:
    def act(self): return 1
_model = None
def get():
    global _model
    _model = _model or Model()
    return _model
def create():
    global created
    created = Model()
    return created
""",
        "print(type(self.work.run(get)) is Model, self.work.run(create).act(), _model)",
        "True 1 None",
    ),
    "a proxy that says how it is pickled": (
        """
class Proxy:
    def __init__(self, target): self._target = target
    def __getattr__(self, name): return getattr(self._target, name)
    def __reduce__(self): return Proxy, (self._target,)
def real(proxy): return proxy.real, proxy
""",
        "number, proxy = self.work.run(real, Proxy(5)); print(number, type(proxy) is Proxy, proxy.real)",
        "5 True 5",
    ),
    "a word that is the name of a class with a lock": (
        """
import threading
class Cache:
    lock = threading.Lock()
def say(): return "Cache miss"
""",
        "print(self.work.run(say))",
        "Cache miss",
    ),
    "an argument that pickles as a name": (
        """
class Registered:
    def __reduce__(self): return "REGISTERED"
REGISTERED = Registered()
def is_single(argument): return argument is getattr(__import__("__main__"), "REGISTERED")
def same(argument): return argument
""",
        "print(self.work.run(is_single, REGISTERED), self.work.run(same, REGISTERED) is REGISTERED)",
        "True True",
    ),
    "a cached function under another name": (
        """
import functools
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
fast = functools.lru_cache(fib)
def get_fast(): return fast
""",
        "answer = self.work.run(get_fast); print(answer(20), answer is fast, hasattr(answer, 'cache_info'))",
        "6765 True True",
    ),
    "annotations that contain texts, and those of a class in a function": (
        """
import typing
class Tree: pass
Tree.__annotations__ = {"children": list["Tree"], "parent": typing.Optional["Tree"]}
def hints():
    import dataclasses
    @dataclasses.dataclass
    class Local:
        first: typing.Optional[int]
        shared: typing.ClassVar[int] = 3
    return [typing.get_type_hints(Tree)["parent"].__args__[0] is Tree, len(dataclasses.fields(Local)),
            typing.get_type_hints(Local)["first"] == typing.Optional[int]]
""",
        "print(self.work.run(hints))",
        "[True, 1, True]",
    ),
    "what only unmentioned functions use": (
        """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("plugin", "plugin.py")
plugin = importlib.util.module_from_spec(spec)
sys.modules["plugin"] = plugin
spec.loader.exec_module(plugin)
Thing = plugin.Thing
def unmentioned(): return Thing().size, plugin.Other().size
def lookup(): return getattr(__import__("__main__"), "unmentioned")()
""",
        "print(self.work.run(lookup))",
        "(5, 6)",
    ),
}


# Runs all cases with both start methods, and prints the name of each before its output.
ACTS = """
import sys, traceback
def act(flow):
    for name, act in acts.items():
        print("CASE", name)
        try:
            act(flow)
        except Exception:
            traceback.print_exc(file=sys.stdout)
Flow.act = lambda self: act(self)
app("spawn")
print("NEXT")
app("forkserver")
"""


def outputs_of_cases(printed: str) -> dict[str, str]:
    """Return what each case has printed, by its name."""
    parts = [part.partition("\n") for part in printed.split("CASE ")[1:]]
    return {case: output.strip() for case, _, output in parts}


def test_what_a_work_gets_and_returns_is_that_of_the_script(forked_scripts: ForkedScripts):
    Path("plugin.py").write_text("class Thing: size = 5\nclass Other: size = 6\n")
    script = f"{HEAD}acts = {{}}\n"
    for case, (definitions, act, _) in CASES.items():
        body = "\n    ".join(act.strip().splitlines())
        script += f"{definitions}\ndef act(self):\n    {body}\nacts[{case!r}] = act\n"
    Path("app.py").write_text(script + ACTS)

    spawned, forked = forked_scripts.run(Path("app.py")).split("NEXT\n")

    expected = {case: output for case, (_, _, output) in CASES.items()}
    assert outputs_of_cases(spawned) == expected
    assert outputs_of_cases(forked) == expected


def test_a_waiting_definition_has_the_values_of_the_last_start_and_replaces_none(
    forked_scripts: ForkedScripts,
):
    Path("app.py").write_text(
        HEAD
        + """
rate = 1
class Config: limit = 1
def helper(): return rate, Config.limit
def read():
    before = rate
    return before, getattr(__import__("__main__"), "helper")(), rate
Flow.act = lambda self: print(self.work.run(read))
app()
rate, Config.limit = 2, 2
app()
"""
    )

    assert forked_scripts.run(Path("app.py")).splitlines() == ["(1, (1, 1), 1)", "(2, (2, 2), 2)"]


def test_a_large_global_that_no_work_uses_stays_in_the_script(forked_scripts: ForkedScripts):
    Path("app.py").write_text(
        HEAD
        + """
data = bytearray(50_000_000)
def plot(): return len(data)
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
def lookup():
    getattr(__import__("__main__"), "plot")
Flow.act = lambda self: print(self.work.run(peak) < 40_000) or self.work.run(lookup)
app()
"""
    )

    done = forked_scripts.run_to_end(Path("app.py"))

    assert done.stdout == "True\n"
    assert "'plot' of module '__main__' did not travel to this process: with the globals" in done.stderr
