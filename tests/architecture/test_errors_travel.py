"""Every error of ours survives the way from one process to another."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any

import lightning_lite
from lightning_lite.errors import LightningLiteError, Unwind


def below(cls: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield `cls` and all classes that derive from it."""
    yield cls
    for child in cls.__subclasses__():
        yield from below(child)


@cache
def import_all() -> None:
    """Import all modules, so that all subclasses exist; each process collects this file, and few run it.

    A program of Streamlit needs its package, which only `make test-ml` installs.
    """
    for _, name, _ in pkgutil.walk_packages(lightning_lite.__path__, "lightning_lite."):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != "streamlit":
                raise


def classes_of(base: type[BaseException]) -> list[type[Any]]:
    """Return `base` and all classes of the package that derive from it."""
    import_all()
    return [cls for cls in {*below(base)} if cls.__module__.startswith("lightning_lite")]


def test_an_error_keeps_its_class_its_message_its_parts_and_its_notes():
    errors = classes_of(LightningLiteError)

    assert len(errors) > 50
    for cls in errors:
        error = cls("work 'root.train' failed: do this", work="root.train", path="a/b.txt")
        error.add_note("seen in pass 3")

        for twin in (pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(error)))), copy.copy(error)):
            assert type(twin) is cls
            assert str(twin) == "work 'root.train' failed: do this", cls
            assert twin.work == "root.train", cls
            assert twin.path == "a/b.txt", cls
            assert twin.__notes__ == ["seen in pass 3"], cls


def test_each_error_has_a_docstring_of_its_own():
    assert [cls.__name__ for cls in classes_of(LightningLiteError) if not vars(cls).get("__doc__")] == []


def test_what_unwinds_is_not_swallowed_by_except_exception():
    for cls in classes_of(Unwind):
        assert not issubclass(cls, Exception)
        assert issubclass(type(pickle.loads(pickle.dumps(cls("message")))), cls)


def test_the_tree_at_the_head_of_errors_names_every_class_of_the_file():
    module = importlib.import_module("lightning_lite.errors")
    all_classes = classes_of(LightningLiteError) + classes_of(Unwind)
    classes = [c for c in all_classes if c.__module__ == module.__name__]

    assert [cls.__name__ for cls in classes if cls.__name__ not in module.__doc__] == []
