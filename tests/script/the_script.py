"""A script whose work names things by their module; prints the results of all checks, as JSON.

The test runs it as `python`, `python -m`, `python -m cProfile` and `lightning-lite run` do.
"""

from __future__ import annotations

import abc
import concurrent.futures
import dataclasses
import enum
import functools
import inspect
import json
import multiprocessing
import os
import pickle
import shelve
import sys
import tempfile
import threading
import typing
import urllib.parse
import xml.etree.ElementTree

from lightning_lite import LightningApp, LightningFlow, LightningWork

with open(os.environ.get("EXECUTED", os.devnull), "a") as file:
    print(__name__, file=file)

T = typing.TypeVar("T")
P = typing.ParamSpec("P")
UserId = typing.NewType("UserId", int)


class Net:
    weights = (1, 2)


class Unmentioned:
    """No code of the work names it, nor the class below."""

    def partner(self):
        return type(Partner()).__mro__[1] is Net


class Partner(Net):
    pass


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str] = dataclasses.field(default_factory=list)
    kind: typing.ClassVar[int] = 3
    net: Net | None = None


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    x: int
    point: Point | None = None


class Mangled:
    __slots__ = ("__hidden", "__weakref__", "shown")

    def __init__(self):
        self.shown, self.__hidden = 1, 2

    def both(self):
        return self.shown, self.__hidden


class Planet(enum.Enum):
    EARTH = (1, 2)
    MARS = (3, 4)
    HOME = (1, 2)  # noqa: PIE796 - an alias

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Row(typing.NamedTuple):
    a: int
    b: Point


class Options(typing.TypedDict, total=False):
    rate: float


class Box(typing.Generic[T]):
    def __init__(self, value: T):
        self.value = value


class IntBox(Box[int]):
    pass


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


REGISTRY = {}


class Meta(type):
    def __new__(meta, name, bases, body):
        cls = super().__new__(meta, name, bases, body)
        REGISTRY.setdefault(name, len(REGISTRY))
        return cls


class Registered(metaclass=Meta):
    pass


@functools.cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


class Config:
    @functools.cached_property
    def model(self):
        return [8]

    @functools.lru_cache(maxsize=7)  # noqa: B019 - as people write it
    def cached(self):
        return 9


class Missing:
    def __reduce__(self):
        return "MISSING"


class Plain:
    pass


MISSING, PLAIN, UNSET = Missing(), Plain(), object()


@functools.singledispatch
def show(value):
    return "any"


@show.register
def _(value: int):
    return "int"


counter = 0
shared = {"list": []}
alias = shared["list"]


def bump():
    global counter
    counter += 1
    return counter


def square(x):
    return x * x


def deep(n):
    return deep(n - 1) if n else sys._getframe().f_code.co_filename


class Demanding(Exception):
    def __init__(self, code, *, where):
        super().__init__(f"code {code}")
        self.code, self.where, self.lock = code, where, threading.Lock()


class Reduced(Exception):
    def __reduce__(self):
        return Reduced, ()

    def __init__(self, text):
        super().__init__(text)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int
    text: str = "t"


class FileGone(OSError):
    def __init__(self, path):
        super().__init__(2, "gone", path)


class Checks(LightningWork):
    def __init__(self, **policy):
        super().__init__(**policy)
        self._net = Net()

    def run(self, check, *args):
        return getattr(self, check)(*args)

    # Names.

    def pickles(self):
        values = [
            Net(),
            Point(1),
            Row(1, Point(2)),
            Planet.MARS,
            Right.READ | Right.WRITE,
            fib,
            MISSING,
            show,
            Box(3),
        ]
        twins = pickle.loads(pickle.dumps(values))
        return [type(twin) is type(value) for twin, value in zip(twins, values, strict=True)]

    def shelves(self):
        with tempfile.TemporaryDirectory() as folder:
            with shelve.open(f"{folder}/shelf") as shelf:
                shelf["point"] = Point(3)
            with shelve.open(f"{folder}/shelf") as shelf:
                return type(shelf["point"]) is Point

    def loads_a_class_that_no_code_names(self, data):
        loaded = pickle.loads(data)
        return type(loaded).__name__, loaded.partner(), type(loaded) is sys.modules["__main__"].Unmentioned

    def knows_its_main(self):
        main = sys.modules["__main__"]
        own = type(self), type(self._net), main.Net, main.Point
        return own == (Checks, Net, Net, Point), main.__name__, os.path.basename(main.__file__)

    # Children.

    def forks_a_pool(self):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(square, range(3)), [type(p) is Point for p in pool.map(Point, range(2))]

    def spawns_an_executor(self):
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, context) as executor:
            return list(executor.map(square, range(3)))

    # Hints and source.

    def evaluates_hints(self):
        @dataclasses.dataclass
        class Local:
            slotted: Slotted
            mars: Planet

        return (
            typing.get_type_hints(Point)["net"] == Net | None,
            typing.get_type_hints(Row)["b"] is Point,
            typing.get_type_hints(Local)["slotted"] is Slotted,
            [field.name for field in dataclasses.fields(Slotted)],
            typing.get_args(IntBox.__orig_bases__[0]) == (int,),
            Options.__optional_keys__ == {"rate"},
        )

    def reads_source(self):
        files = {os.path.basename(inspect.getsourcefile(thing)) for thing in (square, Net, deep)}
        return (
            list(files),
            inspect.getsource(square),
            inspect.getsource(Partner).split()[1],
            os.path.basename(deep(3)),
        )

    # Globals.

    def shares_globals(self, function):
        bump()
        return bump(), function(), counter, shared["list"] is alias, self._remembered(3)

    def _remembered(self, value):
        alias.append(value)
        return shared["list"]

    def keeps_what_is_single(self, *values):
        same = [
            value is own
            for value, own in zip(values, (MISSING, PLAIN, UNSET, dataclasses.MISSING), strict=True)
        ]
        return same, dataclasses.fields(Point)[0].default is dataclasses.MISSING

    def calls_what_pickles_by_name(self):
        return (
            (fib(30), fib.cache_info().hits > 0, fib.__name__),
            (show(1), show("a"), UserId(3), UserId.__name__, P.__name__, T.__name__),
            (Config().model, Config().cached(), Config.cached.cache_parameters()["maxsize"]),
            (REGISTRY, Planet.MARS.mass, Planet.HOME is Planet.EARTH, Shape.__abstractmethods__ == {"area"}),
        )

    def uses_submodules_inside(self):
        parse = lambda text: [xml.etree.ElementTree.fromstring(one).tag for one in [text]]  # noqa: E731
        return [urllib.parse.quote(name) for name in ["a b"]], parse("<a/>")

    # Answers.

    def returns(self):
        return [
            *(
                Slotted(1, Point(2)),
                Mangled(),
                Planet.HOME,
                Right.READ | Right.WRITE,
                Row(1, Point(1)),
                Box(Net()),
            ),
            *(PLAIN, MISSING, UNSET, dataclasses.MISSING, fib, square, Net, Config),
        ]

    def raises(self, kind):
        lock = threading.Lock()
        if kind == "group":
            raise ExceptionGroup("many", [Demanding(1, where="a"), ValueError(2, lock)])
        error = {
            "demanding": lambda: Demanding(3, where="there"),
            "reduced": lambda: Reduced("r"),
            "frozen": lambda: Frozen(4, text="f"),
            "file": lambda: FileGone("path"),
            "lock": lambda: KeyError("k", lock),
        }[kind]()
        error.__dict__["note"] = "kept"
        raise error


def describe(error):
    told = [type(error).__name__, type(error) is globals().get(type(error).__name__), str(error)[:20]]
    told += [vars(error).get("code"), vars(error).get("where"), vars(error).get("note")]
    if isinstance(error, ExceptionGroup):
        told += [describe(inner) for inner in error.exceptions]
    return told


def check_returned(values):
    slotted, mangled, home, rights, row, box, *single = values
    return (
        (
            slotted == Slotted(1, Point(2)),
            mangled.both(),
            home is Planet.EARTH,
            rights is Right.READ | Right.WRITE,
        ),
        (type(row) is Row, type(row.b) is Point, type(box.value) is Net),
        [
            a is b
            for a, b in zip(
                single, (PLAIN, MISSING, UNSET, dataclasses.MISSING, fib, square, Net, Config), strict=True
            )
        ],
    )


class Flow(LightningFlow):
    def __init__(self, unmentioned):
        super().__init__()
        self.checks = Checks(raise_exception=False)
        self._calls = [
            *(
                ("pickles",),
                ("shelves",),
                ("loads_a_class_that_no_code_names", unmentioned),
                ("knows_its_main",),
            ),
            *(("forks_a_pool",), ("spawns_an_executor",), ("evaluates_hints",), ("reads_source",)),
            *(("shares_globals", bump), ("keeps_what_is_single", MISSING, PLAIN, UNSET, dataclasses.MISSING)),
            *(("calls_what_pickles_by_name",), ("uses_submodules_inside",), ("returns",)),
            *(("raises", kind) for kind in ("demanding", "reduced", "frozen", "file", "lock", "group")),
        ]

    def run(self):
        told = {}
        for name, *args in self._calls:
            self.checks.run(name, *args)
            call = self.checks.call(name, *args)
            if name == "raises":
                told[f"raises {args[0]}"] = describe(call.error)
            elif not call.succeeded:
                told[name] = repr(call.error)
            else:
                told[name] = check_returned(call.value) if name == "returns" else call.value
        print(json.dumps(told))  # noqa: T201 - for the test
        self.stop()


if __name__ == "__main__":
    try:
        data = pickle.dumps(Unmentioned())
    except pickle.PicklingError:  # Python 3.11 has the profiler as `__main__` while it runs a script
        data = b"c__main__\nUnmentioned\n)R."
    LightningApp(Flow(data)).run()
