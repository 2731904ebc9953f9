"""Classes and functions by value, read by a process that never imports cloudpickle."""

from __future__ import annotations

import hashlib
import inspect
import subprocess
import sys
import textwrap

import cloudpickle
import pytest

from lightning_lite.by_value import _READERS, KNOWN_VERSIONS, ByValue, read
from lightning_lite.packing import pack, unpack

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
"""

# Digest of the source of the functions that are done here, and of those that write for them, by version.
SEEN = {"3.1.0": "c68513390782318a", "3.1.1": "c68513390782318a", "3.1.2": "f123c86c1fe50e86"}

# Expression of the sender: what the receiver makes of it, and what comes out.
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
    "[Square(1), Square]": ("type(value[0]) is value[1]", True),
}  # fmt: skip


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The answers of a fresh process that has read what this script's process has packed, by case."""
    folder = tmp_path_factory.mktemp("by_value")
    program = folder / "script.py"
    program.write_text(
        textwrap.dedent(SCRIPT)
        + f"""
import sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from lightning_lite.packing import pack
for i, case in enumerate({list(CASES)!r}):
    open(f"{folder}/{{i}}", "wb").write(pack(eval(case)))
"""
    )
    subprocess.run([sys.executable, program], check=True)
    reader = f"""
import sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from lightning_lite.packing import unpack
for i, program in enumerate({[program for program, _ in CASES.values()]!r}):
    value = unpack(open(f"{folder}/{{i}}", "rb").read())
    assert "cloudpickle" not in sys.modules, i
    print(repr(eval(program)))
"""
    done = subprocess.run([sys.executable, "-c", reader], stdout=subprocess.PIPE, text=True, check=True)
    return dict(zip(CASES, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_what_a_script_defines_is_read_without_cloudpickle(script, case):
    assert eval(script[case]) == CASES[case][1]


def make_local():
    class Local:
        pass

    return Local


def test_what_an_unknown_version_has_written_is_left_to_itself():
    local = make_local()

    assert type(read(cloudpickle.dumps(local()), "99.0")) is local
    assert unpack(pack(ByValue(cloudpickle.dumps(1), "99.0"))) == 1


def test_a_class_that_was_read_before_cloudpickle_came_is_known_to_it(tmp_path):
    local = make_local()
    (tmp_path / "class").write_bytes(pack(local))
    program = f"""
import sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from lightning_lite.packing import pack, unpack
made = unpack(open({str(tmp_path / "class")!r}, "rb").read())
import cloudpickle
again = unpack(open({str(tmp_path / "class")!r}, "rb").read())
assert again is made
open({str(tmp_path / "back")!r}, "wb").write(pack(made, to_main=True))
"""

    subprocess.run([sys.executable, "-c", program], check=True)

    assert unpack((tmp_path / "back").read_bytes()) is local


def test_the_functions_that_are_done_here_are_those_that_were_read():
    """cloudpickle's own are private: a version counts as known when this test has seen its source."""
    if cloudpickle.__version__ not in KNOWN_VERSIONS:
        pytest.skip(f"what cloudpickle {cloudpickle.__version__} has written is read by itself")
    names = sorted({*_READERS, "_class_reduce", "_dynamic_class_reduce", "_class_getnewargs", "_code_reduce"})
    source = "".join(inspect.getsource(getattr(cloudpickle.cloudpickle, name)) for name in names)

    digest = hashlib.sha256("".join(source.split()).encode()).hexdigest()[:16]

    assert digest == SEEN[cloudpickle.__version__]
