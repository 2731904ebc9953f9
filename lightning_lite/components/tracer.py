"""`Tracer`: runs a script in this process, with functions before and after methods that it calls."""

from __future__ import annotations

import inspect
import os
import runpy
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, NamedTuple

from lightning_lite.components.scripts import check_end, check_script

#: How many calls of one method of one object are kept, the newest ones.
_KEPT = 1000

#: For each traced class, for each of its objects by `id`, for each method: its calls.
_Calls = dict[str, dict[int, dict[str, deque[dict[str, Any]]]]]


class Tracer:
    r"""Runs a script in this process, and calls functions before and after methods that the script calls.

    So a callback gets into a training script without a change of the script. Afterwards the classes are as
    they were.

    Attributes:
        res: The calls of the last script: for each traced class a list of its objects. Each one is a dict
            with its `id`, and for each method the list of its calls, at most the newest 1,000. A call has its
            `frame`, `default_args`, `call_args` (the keyword arguments), the times in nanoseconds as `call`,
            and the records of the two functions as `pre` and `post`.

    Example:
        >>> import string
        >>> def in_capitals(template, /, **words):
        ...     return "seen", (), {name: word.upper() for name, word in words.items()}
        >>> with open("script.py", "w") as script:
        ...     _ = script.write("from string import Template\ntext = Template('$a!').substitute(a='hi')")
        >>> tracer = Tracer()
        >>> tracer.add_traced(string.Template, "substitute", pre_fn=in_capitals)
        >>> tracer.trace("script.py")["text"]
        'HI!'
        >>> tracer.res["Template"][0]["substitute"][0]["pre"]
        'seen'
    """

    def __init__(self) -> None:
        self.res: dict[str, list[dict[str, Any]]] = {}
        self._methods: list[_Traced] = []

    def add_traced(
        self,
        cls: type,
        method_name: str,
        stack_level: int = 1,
        pre_fn: Callable[..., Any] | None = None,
        post_fn: Callable[..., Any] | None = None,
    ) -> None:
        """Trace a method of a class, and of its subclasses that do not override it.

        Args:
            cls: The class.
            method_name: The method, also `__init__`, a class method or a static method.
            stack_level: Which caller is recorded as `frame`: 1 is the caller of the method, 2 its caller.
            pre_fn: Gets the object (or the class) and the arguments, and returns three things: what to
                record, a tuple of positional arguments, and a dict of keyword arguments.
            post_fn: Gets the object (or the class) and the value of the method, and returns two things: what
                to record, and the value that the script gets.

        Raises:
            AttributeError: The class has no such method.
        """
        if not callable(getattr(cls, method_name, None)):
            raise AttributeError(
                f"Can't trace {cls.__qualname__}.{method_name}: the class has no such method."
            )
        self._methods.append(_Traced(cls, method_name, stack_level, pre_fn, post_fn))

    def trace(self, *args: Any, init_globals: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a script as the command `python` does, but in this process.

        While it runs, `sys.argv`, `sys.path` and `sys.modules["__main__"]` are as in a script.

        Args:
            *args: The path of the script, and its arguments.
            init_globals: Globals that the script has from the beginning.

        Returns:
            The globals of the script at its end, and `res` as `tracer_res`.

        Raises:
            FileNotFoundError: There is no such script.
            ScriptFailed: The script has ended with `sys.exit`, and not with 0.
            TypeError: `pre_fn` or `post_fn` has returned something else than is described.
            Exception: The exception of the script.
        """
        script, *arguments = map(str, args)
        check_script(script)
        argv, path = sys.argv, sys.path
        sys.argv, sys.path = [script, *arguments], [os.path.dirname(os.path.abspath(script)), *path]
        try:
            with self.tracing():
                found = runpy.run_path(script, init_globals, run_name="__main__")
        except SystemExit as end:
            check_end(script, end)
            found = _globals_at(end)
        finally:
            sys.argv, sys.path = argv, path
        return {**found, "tracer_res": self.res}

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Trace the methods in a `with` block; `trace` does that while a script runs."""
        calls: _Calls = {}
        try:
            with ExitStack() as wrapped:
                for traced in self._methods:
                    wrapped.enter_context(traced.wrapped(calls))
                yield
        finally:
            self.res = {
                name: [
                    {"id": key, **{method: list(found) for method, found in methods.items()}}
                    for key, methods in objects.items()
                ]
                for name, objects in calls.items()
            }


class _Traced(NamedTuple):
    """One traced method; the fields are the arguments of `Tracer.add_traced`."""

    cls: type
    name: str
    stack_level: int
    pre_fn: Callable[..., Any] | None
    post_fn: Callable[..., Any] | None

    @contextmanager
    def wrapped(self, calls: _Calls) -> Iterator[None]:
        """Replace the method in the class during a `with` block.

        Args:
            calls: Gets the calls.
        """
        own = self.cls.__dict__.get(self.name)
        found: Any = inspect.getattr_static(self.cls, self.name)
        kind = type(found) if isinstance(found, classmethod | staticmethod) else None
        method = self._recording(found.__func__ if kind else found, kind, calls)
        setattr(self.cls, self.name, method if kind is None else classmethod(method))
        try:
            yield
        finally:
            if own is None:  # the method is inherited
                delattr(self.cls, self.name)
            else:
                setattr(self.cls, self.name, own)

    def _recording(self, function: Any, kind: type | None, calls: _Calls) -> Callable[..., Any]:
        """Return a function that calls the two functions and `function`, and records the call."""
        defaults = _defaults_of(function)

        @wraps(function)
        def traced(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
            entry: dict[str, Any] = {"frame": _describe_caller(self.stack_level), "default_args": defaults}
            methods = calls.setdefault(self.cls.__qualname__, {}).setdefault(id(owner), {})
            methods.setdefault(self.name, deque(maxlen=_KEPT)).append(entry)
            if self.pre_fn is not None:
                returned = self.pre_fn(owner, *args, **kwargs)
                self._check(self.pre_fn, returned, 3, "(record, args, kwargs)")
                entry["pre"], args, kwargs = returned
            entry["call_args"] = kwargs
            entry["call"] = {"start": time.time_ns()}
            value = function(*args, **kwargs) if kind is staticmethod else function(owner, *args, **kwargs)
            entry["call"]["end"] = time.time_ns()
            if self.post_fn is not None:
                returned = self.post_fn(owner, value)
                self._check(self.post_fn, returned, 2, "(record, value)")
                entry["post"], value = returned
            return value

        return traced

    def _check(self, function: Any, returned: Any, length: int, form: str) -> None:
        if not isinstance(returned, tuple) or len(returned) != length:
            name = getattr(function, "__qualname__", repr(function))
            raise TypeError(
                f"{name}, which traces {self.cls.__qualname__}.{self.name}, must return a tuple {form}; "
                f"found {returned!r}."
            )


def _defaults_of(function: Any) -> dict[str, Any]:
    """Return the defaults of the parameters, as far as Python knows them: some C functions hide them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return {}
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def _describe_caller(level: int) -> dict[str, Any]:
    """Return the place of a call; level 1 is the caller of the function that calls this one."""
    frames = []
    frame = sys._getframe(2)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    caller = frames[min(level, len(frames)) - 1]
    return {
        "filename": caller.f_code.co_filename,
        "lineno": caller.f_lineno,
        "function": caller.f_code.co_name,
        "depth": len(frames),
    }


def _globals_at(end: SystemExit) -> dict[str, Any]:
    """Return the globals of the script that has raised this: `runpy` returns none then."""
    trace = end.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_globals
        if names.get("__name__") == "__main__" and trace.tb_frame.f_code.co_name == "<module>":
            return dict(names)
        trace = trace.tb_next
    return {}
