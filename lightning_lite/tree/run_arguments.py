"""Checks whether the `run` of a work takes the arguments of a call, before the call is requested."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from lightning_lite.harmless_text import one_line
from lightning_lite.tree.component import MethodOfComponent

if TYPE_CHECKING:
    from inspect import Signature


def mismatch(cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return why the `run` of a work does not take these arguments; "" if it does, or if that is not known.

    The answer depends on the number of `args` and the names in `kwargs`, not on their values.

    Args:
        cls: The class of the work.
        args: The positional arguments of a call.
        kwargs: Its keyword arguments.

    Example:
        >>> from lightning_lite import LightningWork
        >>> class Train(LightningWork):
        ...     def run(self, epochs): ...
        >>> mismatch(Train, (1, 2), {})
        'too many positional arguments, for run(epochs)'
    """
    signature = _signature_of_run(cls)
    if signature is not None:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            return f"{error}, for {one_line(f'run{signature}', limit=200)}"
    return ""


def _signature_of_run(cls: type[Any]) -> Signature | None:
    """Return the signature of `run` without `self`; `None` for a compiled `run`, for example."""
    import inspect  # noqa: PLC0415 - 10 ms for each work whose module imports flows; only the flow calls it

    definition: Any = next(vars(base)["run"] for base in cls.__mro__ if "run" in vars(base))
    is_static_or_class = isinstance(definition, MethodOfComponent)
    function: Any = definition.__func__ if is_static_or_class else getattr(definition, "__wrapped__", None)
    # A decorator may have copied the mark of our wrapper, from the `run` of a base class, or a signature. Its
    # own function takes other arguments.
    copied = "_requests_calls", "__signature__"
    if type(function) is not FunctionType or any(hasattr(function, name) for name in copied):
        return None
    try:
        # A function that a decorator has made is called itself, so the wrapped function does not count.
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:  # noqa: BLE001 - since Python 3.14, this evaluates the annotations
        return None
    parameters = list(signature.parameters.values())
    is_static = is_static_or_class and definition.is_static
    if is_static or not parameters or parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return signature
    return signature.replace(parameters=parameters[1:])
