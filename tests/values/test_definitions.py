"""Classes and functions of a script behave in another process as in the script, and show its lines."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from fractions import Fraction

import cloudpickle
import pytest

from lightning_lite.values.pickling import pack

pytestmark = pytest.mark.dependencies

SCRIPT = """
    import abc, collections

    base = 10
    empty = None

    def outer(factor, offset=3, *, sign=1):
        \"\"\"Multiply.\"\"\"
        def inner(x):
            return sign * (x * factor + offset + base)
        inner.note = ["kept"]
        return inner

    def recursive(n):
        return 1 if n < 2 else n * recursive(n - 1)

    def late():
        if empty:
            cell = 1
        return lambda: cell

    class Meta(type):
        def __new__(meta, name, bases, space, **options):
            made = super().__new__(meta, name, bases, space)
            made.options = options
            return made

    class Base(abc.ABC):
        registry = collections.defaultdict(list)
        @abc.abstractmethod
        def area(self): ...

    class Square(Base):
        __slots__ = ("side",)
        def __init__(self, side): self.side = side
        def area(self): return self.side ** 2
        @property
        def double(self): return 2 * self.side
        @classmethod
        def unit(cls): return cls(1)
        @staticmethod
        def corners(): return 4

    class Sub(Square):
        def area(self): return super().area() + 1

    class Odd(metaclass=Meta): pass

    class Node:
        def again(self): return Node
        class Inner: x = 5

    Base.register(Odd)

    import dataclasses, enum, functools, typing, urllib.parse

    @functools.cache
    def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)

    @functools.lru_cache
    def alone(): return 1

    class Lazy:
        @functools.cached_property
        def model(self): return [8]
        @functools.lru_cache(maxsize=7)
        def cached(self): return 9

    UserId = typing.NewType("UserId", int)
    Args = typing.ParamSpec("Args")
    Shapes = typing.TypeVarTuple("Shapes")
    UNSET, EMPTY = object(), Lazy()

    class Named:
        def __reduce__(self): return "NAMED"
    NAMED = Named()
    def default(x=UNSET, y=NAMED): return x is UNSET, y is NAMED

    @dataclasses.dataclass(slots=True)
    class Slotted:
        x: int = 1
        y: list = dataclasses.field(default_factory=list)
    class Mangled(Square):
        __slots__ = ("__hidden",)
        def __init__(self): self.__hidden = self.free = 5
        def get(self): return self.__hidden, self.free
    class OneSlot:
        __slots__ = "only"

    class Level(enum.IntEnum):
        LOW = 1
        LEAST = 1
        def __init__(self, value): self.twice = 2 * value
    class Mode(enum.Enum):
        ON = enum.auto()
        @property
        def shown(self): return self.name.lower()

    @functools.singledispatch
    def show(x): return "any"
    @show.register
    def _(x: int): return "int"

    count = 0
    def bump():
        global count
        count += 1
        return count
    def read(): return count

    def nested(): return [urllib.parse.quote(x) for x in ["a b"]], (lambda: urllib.parse.quote("c d"))()

    def make_counter():
        total = 0
        def add():
            nonlocal total
            total += 1
        def get(): return total
        return add, get

    class Plugin:
        registry = []
        def __init_subclass__(cls, *, key):
            super().__init_subclass__()
            cls.key = key + cls.suffix
            Plugin.registry.append(key)
    class Csv(Plugin, key="csv"): suffix = "!"
    class Frozen(type):
        def __new__(meta, name, bases, space, *, unit):
            return super().__new__(meta, name, bases, space | {"unit": space["prefix"] + unit})
        def __setattr__(cls, name, value): raise TypeError("frozen")
    class Meter(metaclass=Frozen, unit="m"): prefix = "k"

    class Guarded(type):
        @property
        def alias(cls): return "of the metaclass"
        @property
        def title(cls): return cls.__name__
        @title.setter
        def title(cls, value): raise TypeError("not settable")
    class Guard(metaclass=Guarded):
        alias = title = "of the class"
        size = 3

    class Coordinate(bytes, enum.Enum):
        def __new__(cls, number, label):
            self = bytes.__new__(cls, [number])
            self._value_, self.label = number, label
            return self
        X = 1, "across"
        Y = 2, "up"
    @dataclasses.dataclass
    class Creature:
        size: str
        legs: int = 4
    class Animal(Creature, enum.Enum):
        BEETLE = "small", 6
        DOG = "medium"
    class Colors(enum.Flag):
        RED = 1
        BLUE = 2
    class Pair(tuple, enum.Enum):
        ONE = 1, 2
    class Labelled(enum.Enum):
        def __init__(self, code, label): self.label = label
        OK = 200, "fine"

    class Total(typing.TypedDict): a: int
    class Partly(Total, total=False): b: int
    Item = typing.TypeVar("Item")
    class Row(typing.NamedTuple, typing.Generic[Item]):
        x: Item
        y: int = 2
    loads = functools.cache(urllib.parse.quote)
    halves = functools.lru_cache(functools.partial(divmod, 7))
    class Twice(ValueError, OSError):
        def __init__(self, what, *, how): super().__init__(what); self.how = how

    def fails(depth):
        if depth:
            return fails(depth - 1)
        raise ValueError("at the end")  # marked

    def warns():
        import warnings
        warnings.warn("look here")

    def deep():
        def inner():
            return lambda: [1 / zero for zero in (0,)]  # marked
        return inner()
"""


FILE = "<the script>"
FAILING_LINES = [
    "return fails(depth - 1)",
    "return fails(depth - 1)",
    'raise ValueError("at the end")  # marked',
]

# For each expression of the sender: the expression of the receiver, and its expected result.
CASES = {
    "outer(2)": ("value(5), value.note", (23, ["kept"])),
    "outer": ("value(2, sign=-1)(0), value.__doc__, value.__kwdefaults__", (-13, "Multiply.", {"sign": 1})),
    "recursive": ("value(5)", 120),
    "late()": ("value.__closure__[0] == __import__('types').CellType()", True),
    "Square(3)": ("value.area(), value.double, value.unit().side, value.corners()", (9, 6, 1, 4)),
    "Sub(3)": ("value.area(), [c.__name__ for c in type(value).__mro__]",
               (10, ["Sub", "Square", "Base", "ABC", "object"])),
    "Base": ("value.__abstractmethods__, value.registry[1]", (frozenset({"area"}), [])),
    "(Base, Odd())": ("isinstance(value[1], value[0]), type(type(value[1])).__name__", (True, "Meta")),
    "Node()": ("value.again() is type(value), value.Inner.x, type(value).__qualname__", (True, 5, "Node")),
    "fails": ("where(lambda: value(2))", FAILING_LINES),
    "deep": ("where(value())[-1]", "return lambda: [1 / zero for zero in (0,)]  # marked"),
    "warns": ("warned(value)", (FILE, 'warnings.warn("look here")')),
    "Square": ("inspect.getsource(value.area).strip()", "def area(self): return self.side ** 2"),
    "outer(3)": ("(value.__code__.co_filename, value.__code__.co_name)", (FILE, "inner")),
    "[Square(1), Square]": ("type(value[0]) is value[1]", True),
    "fib": ("value(30), value.cache_info().hits > 0, value.__name__", (832040, True, "fib")),
    "[alone, alone]": ("value[0] is value[1] and value[0]()", 1),
    "Lazy()": ("value.model, value.model is value.model, value.cached()", ([8], True, 9)),
    "[UserId, UserId]": ("value[0](3), value[0] is value[1], value[0].__name__", (3, True, "UserId")),
    "[Args, Shapes]": ("[one.__name__ for one in value]", ["Args", "Shapes"]),
    "[default, UNSET, NAMED]": ("value[0](), value[0](value[1], value[2])", ((True, True), (True, True))),
    "dataclasses.MISSING": ("value is __import__('dataclasses').MISSING", True),
    "Slotted()": ("value.y, hasattr(value, '__dict__'), value == type(value)(1, [])", ([], False, True)),
    "Mangled()": ("value.get(), hasattr(value, 'side')", ((5, 5), False)),
    "OneSlot": ("value.__slots__, hasattr(value(), '__dict__')", ("only", False)),
    "Level.LOW": ("value.twice, value is type(value).LEAST, value + 1", (2, True, 2)),
    "Mode.ON": ("value.shown, value is type(value)['ON']", ("on", True)),
    "show": ("value(1), value('a')", ("int", "any")),
    "[bump, read]": ("value[0](), value[0](), value[1]()", (1, 2, 2)),
    "make_counter()": ("value[0](), value[0](), value[1]()", (None, None, 2)),
    "[Plugin, Csv]": ("value[0].registry, value[1].key", (["csv"], "csv!")),
    "Meter": ("value.unit, type(value).__name__", ("km", "Frozen")),
    "Guard": ("value.alias, value().alias, value.title, value().title, value.size",
              ("of the metaclass", "of the class", "Guard", "of the class", 3)),
    "Coordinate.Y": ("bytes(value), value.label, type(value)(1).name, value.value", (b"\2", "up", "X", 2)),
    "Animal.DOG": ("value.size, value.legs, type(value)(value.value) is value", ("medium", 4, True)),
    "Colors.RED": ("(value | type(value).BLUE).value, type(value)(3) == ~type(value)(0)", (3, True)),
    "Pair.ONE": ("value == (1, 2), value.value, type(value)((1, 2)) is value", (True, (1, 2), True)),
    "Labelled.OK": ("value.value, value.label", ((200, "fine"), "fine")),
    "Partly": ("sorted(value.__required_keys__), sorted(value.__optional_keys__)", (["a"], ["b"])),
    "Row(3)": ("value.y, type(value)[int](4).x, type(value)(3) == value", (2, 4, True)),
    "[Item, list[Item]]": ("value[1].__args__[0] is value[0], value[0].__module__", (True, "__main__")),
    "loads": ("value('a b'), value('a b'), value.cache_info().hits", ("a%20b", "a%20b", 1)),
    "halves": ("value(2)", (3, 1)),
    "Twice('a', how=3)": ("type(value).__name__, value.args, value.how", ("Twice", ("a",), 3)),
    "nested": ("value()", (["a%20b"], "c%20d")),
}  # fmt: skip


READER = """
import inspect, linecache, sys, traceback, warnings
sys.path[:0] = {path!r}
from lightning_lite.values.pickling import unpack

def where(function):
    try:
        function()
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        return [frame.line for frame in frames if "script.py" in frame.filename]

def warned(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return caught[0].filename, linecache.getline(caught[0].filename, caught[0].lineno).strip()

for i, program in enumerate({programs!r}):
    value = unpack(open(f"{folder}/{{i}}", "rb").read())
    print(repr(eval(program)))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The results of a new process that has unpickled the pickles of the process of the script, by case."""
    folder = tmp_path_factory.mktemp("definitions")
    program, path = folder / "script.py", [path for path in sys.path if path]
    program.write_text(
        textwrap.dedent(SCRIPT)
        + f"""
import sys
sys.path[:0] = {path!r}
from lightning_lite.values.pickling import pack
for i, case in enumerate({list(CASES)!r}):
    open(f"{folder}/{{i}}", "wb").write(pack(eval(case)))
"""
    )
    subprocess.run([sys.executable, program], check=True)
    reader = READER.format(path=path, programs=[program for program, _ in CASES.values()], folder=folder)
    done = subprocess.run([sys.executable, "-c", reader], stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.replace(str(program), FILE).splitlines()
    return dict(zip(CASES, lines, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_definitions_of_a_script_behave_the_same_in_another_process(answers, case):
    assert eval(answers[case]) == CASES[case][1]


def test_code_that_marshal_refuses_is_pickled_by_cloudpickle():
    def answer():
        return "a constant"

    consts = answer.__code__.co_consts
    constants = tuple(Fraction(1, 3) if constant == "a constant" else constant for constant in consts)
    answer.__code__ = answer.__code__.replace(co_consts=constants)

    assert cloudpickle.loads(pack(answer))() == Fraction(1, 3)
