"""Reduces NumPy arrays whose content NumPy would put into the pickle, so that it becomes a buffer.

NumPy gives a pickler the content of an array as a buffer only if the array is contiguous, of no subclass, and
of a type that the buffer protocol knows, which `datetime64` is not. Other arrays are sent as a view, or a
copy, for which that is true.
"""

from __future__ import annotations

from typing import Any

#: Size in bytes from which a buffer is a section of the file of a value; the pickle has smaller ones in it.
MIN_BUFFER = 64 * 1024

_PROTOCOL = 5


def is_array(kind: type) -> bool:
    """Return whether a class is `numpy.ndarray` or `numpy.memmap`, without an import of NumPy.

    Other subclasses may have a state besides their content.
    """
    return kind.__module__ == "numpy" and kind.__name__ in ("ndarray", "memmap")


def reduce_array(array: Any) -> Any:
    """Return how to pickle an array so that its content is a buffer.

    `NotImplemented` means that its class says how: it is small, its content is a buffer anyway, it contains
    Python objects, or it is no array.

    Args:
        array: Any object.
    """
    kind = type(array)
    if not is_array(kind):
        return NotImplemented
    dtype = array.dtype
    if array.nbytes < MIN_BUFFER or dtype.hasobject:
        return NotImplemented
    is_plain = kind.__name__ == "ndarray"
    content = array if is_plain else array.view(kind.__base__)
    if not (content.flags.c_contiguous or content.flags.f_contiguous):
        content = content.copy()
    try:
        memoryview(content)
    except ValueError:  # the type is unknown to the buffer protocol
        content = content.view(f"V{dtype.itemsize}")
    else:
        if content is array:
            return NotImplemented
        if is_plain:
            return content.__reduce_ex__(_PROTOCOL)
    return view_of, (content, dtype, kind)


def view_of(content: Any, dtype: Any, kind: type) -> Any:
    """Return the array that `reduce_array` has reduced.

    Args:
        content: An array of the same shape and the same bytes.
        dtype: The type of its items.
        kind: Its class.
    """
    return content.view(dtype).view(kind)
