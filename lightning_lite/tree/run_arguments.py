"""Checks whether the `run` of a work takes the arguments of a call, before the call is requested."""

from __future__ import annotations

from types import FunctionType

from lightning_lite.harmless_text import one_line
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.tree.component import MethodOfComponent

if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any


class RunParameters:
    """The parameters of `run` in one class of works.

    Args:
        cls: The class.
    """

    def __init__(self, cls: type[Any]) -> None:
        self._signature = _signature_of_run(cls)
        # The numbers of arguments by position that `run` takes without others by name.
        self._fitting = range(0) if self._signature is None else _fitting_numbers(self._signature)

    def mismatch(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return why `run` does not take these arguments; "" if it does, or if its parameters are not known.

        Args:
            args: The positional arguments of a call.
            kwargs: Its keyword arguments.

        Example:
            >>> from lightning_lite import LightningWork
            >>> class Train(LightningWork):
            ...     def run(self, epochs): ...
            >>> RunParameters(Train).mismatch((1, 2), {})
            'too many positional arguments, for run(epochs)'
        """
        if self._signature is not None and (kwargs or len(args) not in self._fitting):
            try:
                self._signature.bind(*args, **kwargs)
            except TypeError as error:
                return f"{error}, for {one_line(f'run{self._signature}', limit=200)}"
        return ""


def _signature_of_run(cls: type[Any]) -> Signature | None:
    """Return the signature of `run` without `self`; `None` for a compiled `run`, for example."""
    import inspect  # noqa: PLC0415 - 10 ms for each child, and only flows call it

    definition: Any = next(vars(base)["run"] for base in cls.__mro__ if "run" in vars(base))
    is_static_or_class = isinstance(definition, MethodOfComponent)
    function: Any = definition.__func__ if is_static_or_class else getattr(definition, "__wrapped__", None)
    # A decorator may have copied the mark of our wrapper, from the `run` of a base class, or a signature. Its
    # own function takes other arguments.
    copied = "_requests_calls", "__signature__"
    if type(function) is not FunctionType or any(hasattr(function, name) for name in copied):
        return None
    try:
        # A function that a decorator has made is called itself, so what it wraps does not count.
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:  # noqa: BLE001 - since Python 3.14, this evaluates the annotations
        return None
    parameters = list(signature.parameters.values())
    is_static = is_static_or_class and definition.is_static
    if is_static or not parameters or parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return signature
    return signature.replace(parameters=parameters[1:])


def _fitting_numbers(signature: Signature) -> range:
    """Return how many arguments a function takes that all come by position: most calls are such ones.

    `Signature.bind` knows all rules, but takes 3 microseconds for each new call.
    """
    parameters = list(signature.parameters.values())
    by_position = [
        each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if any(each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in parameters):
        return range(0)  # one must come by name
    num_required = sum(each.default is each.empty for each in by_position)
    return range(num_required, len(by_position) + 1)
