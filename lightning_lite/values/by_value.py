"""Pickles classes and functions by value: those that the receiver can't import travel with their globals.

`cloudpickle` reduces many kinds of objects to their parts. Functions, classes and objects that are found by
their names are reduced here, so that `values/definitions` puts them into their module in the other process.
"""

from __future__ import annotations

import abc
import copyreg
import dataclasses
import functools
import io
import linecache
import marshal
import os
import pickle
import sys
import types
import typing
import weakref
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from lightning_lite.values import definitions, namespaces, object_tokens
from lightning_lite.values.array_views import reduce_array
from lightning_lite.values.by_name import (
    check_arrival,
    is_found,
    is_importable,
    name_for_main,
    name_of_single,
    reduce_in_own_way,
    single_for_main,
)
from lightning_lite.values.code_names import names_of, words_of
from lightning_lite.values.exceptions import builtin_base, reduce_error
from lightning_lite.values.lazy_definitions import WaitingDefinitions
from lightning_lite.values.transferable import PackingError, PickleTooLarge, check_travels

_PROTOCOL = 5

#: Class attributes that are not sent: Python sets them, or they are valid in this process only.
_MADE_BY_CREATION = frozenset(
    {"__dict__", "__weakref__", "__module__", "__qualname__", "__annotate_func__", "__annotations_cache__"}
)
_OF_ABSTRACT_CLASSES = frozenset({"_abc_impl", "_abc_registry", "_abc_cache", "_abc_negative_cache"})
_OF_ENUMS = frozenset(
    {"_generate_next_value_", "_member_names_", "_member_map_", "_member_type_", "_value2member_map_"}
    | {"_hashable_values_", "_unhashable_values_", "_unhashable_values_map_", "_value_repr_"}
    | {"_unhashable_map_", "__new__"}
)

_CACHED = type(functools.lru_cache(len))

#: Types that are found by their name in the module `types`, as `types.FunctionType`.
_UNNAMED_TYPES = {id(value): name for name, value in vars(types).items() if type(value) is type}

#: Attributes of a function that are set after its creation.
_FUNCTION_FIELDS = (
    *("__name__", "__qualname__", "__module__", "__doc__"),
    *("__defaults__", "__kwdefaults__", "__annotations__", "__type_params__"),
)

_OF_MEMBERS = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})

_TYPES_OF: dict[int, Any] = {id(type(value)): value for value in (None, ..., NotImplemented)}


def dump_by_value(
    value: Any,
    make_file: Callable[[], Any],
    to_main: bool = False,
    reduce: Callable[[Any], Any] | None = None,
    with_script: bool = False,
) -> Any:
    """Pickle `value` into a file object, with all classes and functions that the receiver can't import.

    Args:
        value: Any object that cloudpickle can handle.
        make_file: Returns a file object: it has `write`, and `add` for out-of-band buffers.
        to_main: Whether the receiver is the main process, which has the script loaded.
        reduce: Called first with each object; its result is that of `reducer_override` of a pickler.
        with_script: Whether the other definitions of the modules travel, too, to be found there by name.

    Returns:
        The file object.

    Raises:
        PackingError: `value` can't be pickled.
        PickleTooLarge: The file object refuses its size.
    """
    pickler = _ValuePickler(file := make_file(), to_main, reduce)
    try:
        try:
            _dump(pickler, value, with_script)
            return file
        except Exception as error:
            if isinstance(error, PickleTooLarge) or not pickler.has_noted:
                raise
        # A word of a text may be the name of a class that can't be pickled, and that nothing uses.
        pickler = _ValuePickler(file := make_file(), to_main, reduce, with_noted=False)
        _dump(pickler, value, with_script)
    except RecursionError as error:
        raise PackingError("RecursionError: it is nested too deeply to be pickled") from error
    except (PackingError, PickleTooLarge):
        raise
    except (Exception, SystemExit) as error:
        raise PackingError(f"{type(error).__name__}: {error}") from error
    return file


def _dump(pickler: _ValuePickler, value: Any, with_script: bool) -> None:
    waiting = WaitingDefinitions(pickler, _ValuePickler, with_script)
    pickler.dump(_Made(namespaces.with_waiting, value, waiting))


class _Made:
    """Stands for the object that a function makes in the receiving process; pickled once per pickler."""

    is_imported = False

    def __init__(self, make: Callable[..., Any], *args: Any) -> None:
        self._reduced = make, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced


class _ValuePickler(pickle.Pickler):
    """Pickles by value the definitions that the receiver can't import.

    Args:
        file: Gets the bytes.
        to_main: Whether the receiver is the main process.
        reduce: Called first with each object.
        alone: A definition that is pickled on its own: then others of `modules` are named, not included.
        modules: The names of these modules.
        with_noted: Whether classes travel whose names are words of texts and annotations.

    Attributes:
        spaces: The namespaces of the modules that the receiver can't import, by name.
        placed: Module and name of each object that the receiver finds there.
        has_noted: Whether classes were pickled because their names are words of texts or annotations.
        cells: The cells that stand for the values of type aliases, by the id of the alias.
        uses, sizes: The globals that were pickled; see `lazy_definitions.ValuePickler`.
        whole: Names of those modules of which the receiver may use any name.
    """

    def __init__(
        self,
        file: Any,
        to_main: bool = False,
        reduce: Callable[[Any], Any] | None = None,
        *,
        alone: Any = None,
        modules: Collection[str] = (),
        with_noted: bool = True,
    ) -> None:
        super().__init__(file, _PROTOCOL, buffer_callback=getattr(file, "add", None))
        self._to_main = to_main
        self._reduce = reduce
        self._carried: Any = None
        self._alone = alone
        self._modules = modules
        self._with_noted = with_noted
        self.has_noted = False
        self._spaces: dict[tuple[int, bool], _Made] = {}
        self._files: set[str] = set()
        self.cells: dict[int, CellType] = {}
        self.uses: list[tuple[Mapping[str, Any], str, Any]] = []
        self.sizes: list[tuple[Mapping[str, Any], int]] = []
        self.whole: set[str] = set()
        self.spaces: dict[str, dict[str, Any]] = {}
        self.placed: set[tuple[str, str]] = set()

    # For these classes cloudpickle knows what to do, unless `_REDUCERS` does.
    dispatch_table = ChainMap({}, cloudpickle.Pickler.dispatch_table, copyreg.dispatch_table)  # type: ignore[arg-type] # noqa: RUF012

    def reducer_override(self, obj: Any) -> Any:
        if self._reduce is not None and (reduced := self._reduce(obj)) is not NotImplemented:
            return reduced
        kind = type(obj)
        if kind is FunctionType:
            return self._reduce_function(obj)
        if issubclass(kind, type):
            return self._reduce_class(obj)
        reducer = _REDUCERS.get(kind)
        if reducer is not None:
            return reducer(self, obj)
        if isinstance(obj, BaseException):
            return reduce_error(obj)
        self._carried = check_travels(obj, self._carried)
        check_arrival(kind)
        if (reduced := reduce_array(obj)) is not NotImplemented:
            return reduced
        return self._reduce_object(obj, kind)

    # Functions.

    def _reduce_function(self, function: FunctionType) -> Any:
        named = self._reduce_by_name(function)
        if named is not None:
            return named
        token = object_tokens.token_of(function)
        space, _ = self._place_of(function, function.__globals__)
        names = names_of(function.__code__)
        used = self._globals_for(space, function.__globals__, names.used, names.noted)
        used |= self._annotated(space, function.__globals__, function.__annotations__)
        fields = {name: getattr(function, name) for name in _FUNCTION_FIELDS if hasattr(function, name)}
        cells = function.__closure__ or ()
        values = [*used.values(), *(cell.cell_contents for cell in cells if _is_filled(cell))]
        state = (
            token,
            used,
            fields,
            dict(function.__dict__),
            list(_submodules(values, names.attributes)),
            self._source_of(function.__code__),
        )
        return *self._skeleton_of(function), state, None, None, definitions.set_function

    def _skeleton_of(self, function: FunctionType) -> tuple[Any, tuple[Any, ...]]:
        """Return the call that makes a function, without its globals and attributes."""
        space, name = self._place_of(function, function.__globals__)
        token = object_tokens.token_of(function)
        return definitions.make_function, (token, function.__code__, space, name, function.__closure__ or ())

    def _globals_for(
        self, space: _Made, globals_: dict[str, Any], used: Iterable[str], noted: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return the globals that travel with code.

        Args:
            space: The object that stands for the globals in the other process.
            globals_: The globals.
            used: Names in the code.
            noted: Words of texts; those that are names of classes travel.
        """
        if space.is_imported:
            return {}
        found = {name: globals_[name] for name in sorted(used) if name in globals_}
        for word in noted if self._with_noted else ():
            if word in globals_ and _is_of_annotations(globals_[word]):
                found[word] = globals_[word]
                self.has_noted = True
        self._note_placed(globals_, found)
        self.uses += [(globals_, name, value) for name, value in found.items()]
        return found

    def _annotated(self, space: _Made, globals_: dict[str, Any], annotations: Any) -> dict[str, Any]:
        """Return the globals that annotations name which are text, or which contain text as `list["Net"]`."""
        if not self._with_noted:
            return {}
        texts = [value if type(value) is str else repr(value) for value in annotations.values()]
        found = self._globals_for(space, globals_, words_of(texts))
        self.has_noted = self.has_noted or bool(found)
        return found

    def _source_of(self, code: CodeType) -> _Made | None:
        """Return the call that registers the lines of a notebook cell or of an archive, once per pickler."""
        file = code.co_filename
        if file in self._files:
            return None
        self._files.add(file)
        cached = linecache.cache.get(file)
        if cached is None or len(cached) == 1 or os.path.exists(file):
            return None
        return _Made(definitions.add_source, file, cached[2])

    def reduce_cached(self, cached: Any) -> Any:
        """Return how a function with a `functools.lru_cache` is made again, with an empty cache."""
        function = cached.__wrapped__
        options = cached.cache_parameters()
        attributes = {name: value for name, value in vars(cached).items() if name != "__wrapped__"}
        module = getattr(cached, "__module__", None) or ""
        name = getattr(cached, "__qualname__", "<cached>")
        if is_importable(module) and is_found(cached, module, name):
            return NotImplemented
        made = function
        if type(function) is FunctionType and self._reduce_by_name(function) is None:
            make, args = self._skeleton_of(function)
            made = _Made(make, *args)  # complete only later: it may use its cached form
        args = made, options["maxsize"], options["typed"]
        reduced = self._reduce_single(cached, name, definitions.make_cached, *args, module=module)
        if len(reduced) > 2:
            return *reduced[:2], (function, attributes), None, None, definitions.set_cached
        return reduced

    # Classes.

    def _reduce_class(self, cls: Any) -> Any:
        if id(cls) in _UNNAMED_TYPES:
            return getattr, (types, _UNNAMED_TYPES[id(cls)])
        if id(cls) in _TYPES_OF:
            return type, (_TYPES_OF[id(cls)],)
        named = self._reduce_by_name(cls)
        if named is not None:
            return named
        space: _Made | None = None
        name: str | None = None
        names: dict[str, Any] = {}
        globals_ = _globals_of_class(cls)
        if globals_ is not None:
            space, name = self._place_of(cls, globals_)
            names = self._annotated(space, globals_, vars(cls).get("__annotations__") or {})
        attributes = _attributes_of(cls)
        self.uses += [(vars(cls), name, value) for name, value in attributes.items()]
        self.sizes.append((vars(cls), len(vars(cls))))
        bases = cls.__bases__
        if typing.is_typeddict(cls):
            bases = attributes.get("__orig_bases__", (typing.TypedDict,))
        contents = _take_contents(cls, attributes)
        members, values = _take_members(cls, attributes) if issubclass(cls, Enum) else ({}, None)
        token = object_tokens.token_of(cls)
        args = token, space, name, type(cls), bases, contents, values
        state = token, attributes, _registered_in(cls), members, space, names
        return definitions.make_class, args, state, None, None, definitions.set_class

    def reduce_module(self, module: ModuleType) -> Any:
        """Return how a module is imported; one that can't be imported brings its names."""
        name = module.__name__
        if is_importable(name) or name in ("__main__", "__mp_main__"):
            return namespaces.import_module, (name,)
        space = self._space(vars(module), None)
        if self.spaces.get(name) is not vars(module):  # another module has this name
            return NotImplemented
        self.whole.add(name)
        return namespaces.open_module, (space,)

    # Objects that are found by their names.

    def _reduce_by_name(self, definition: Any) -> Any:
        """Return how a class or function is found in the other process, or `None` if it must travel."""
        module, qualname = definition.__module__, definition.__qualname__
        if module is None:
            return None
        if is_importable(module):
            if is_found(definition, module, qualname):
                return NotImplemented
            if is_found(definition, module, f"{qualname}.__func__"):  # the function in a class method
                return getattr, (_Made(namespaces.find_global, module, qualname), "__func__")
            return None
        if self._to_main and (named := name_for_main(definition)) is not None:
            return named
        if self._is_named_only(definition, module, qualname):
            return namespaces.find_global, (module, qualname)
        return None

    def _is_named_only(self, obj: Any, module: str, qualname: str) -> bool:
        if obj is self._alone or module not in self._modules or "." in qualname:
            return False
        space = namespaces.namespace_of(module)
        return space is not None and space.get(qualname) is obj

    def _reduce_object(self, obj: Any, kind: type) -> Any:
        """Reduce an object that pickles as its name, or that is nothing but a global."""
        found = name_of_single(obj, kind)
        if found is not None:
            module, name = found
            if is_importable(module):
                return namespaces.find_single, (*found, kind)
            return self._reduce_single(obj, name, definitions.new_object, kind, module=module)
        reduced = NotImplemented if kind in self.dispatch_table else reduce_in_own_way(obj, kind)
        if not isinstance(reduced, str):
            return reduced
        return self._reduce_single(obj, reduced, definitions.new_object, kind)

    def reduce_named(self, obj: Any, make: Callable[..., Any], *args: Any) -> Any:
        """Return how an object with a name is made by `make(*args)`, unless the receiver imports it."""
        if is_importable(obj.__module__ or ""):
            return NotImplemented
        return self._reduce_single(obj, obj.__name__, make, *args)

    def _reduce_single(
        self, obj: Any, name: str, make: Callable[..., Any], *args: Any, module: str | None = None
    ) -> Any:
        """Reduce an object that exists once; `name` is its name in its module."""
        module = module or getattr(obj, "__module__", None) or ""
        if self._to_main and (named := single_for_main(obj, module, name)) is not None:
            return named
        if self._is_named_only(obj, module, name):
            return namespaces.find_global, (module, name)
        globals_ = namespaces.namespace_of(module)
        space = place = None
        if globals_ is not None and not is_importable(module):
            space = self._space(globals_, module)
            if globals_.get(name) is obj:
                place = name
                self._note_placed(globals_, [name])
        state = _state_of(obj) if make is definitions.new_object else {}
        made = definitions.make_object, (object_tokens.token_of(obj), space, place, type(obj), make, *args)
        return *made, state, None, None, definitions.set_attributes

    # Namespaces.

    def _place_of(self, definition: Any, globals_: dict[str, Any]) -> tuple[Any, str | None]:
        """Return the namespace of a definition, and its name there if it has one."""
        space = self._space(globals_, definition.__module__)
        name = definition.__qualname__
        if space.is_imported or "." in name or globals_.get(name) is not definition:
            return space, None
        self._note_placed(globals_, [name])
        return space, name

    def _note_placed(self, globals_: dict[str, Any], names: Iterable[str]) -> None:
        module = globals_.get("__name__", "")
        if self.spaces.get(module) is globals_:
            self.placed.update((module, name) for name in names)

    def _space(self, globals_: dict[str, Any], module: str | None) -> _Made:
        """Return the object that stands for the globals of a definition of `module` in the other process."""
        name: Any = globals_.get("__name__")
        is_script = isinstance(name, str) and not is_importable(name) and _is_namespace(name, globals_)
        # A local function gets a copy of the globals that it uses. A wrapper that a library has put around a
        # function of the script uses the library's.
        is_library = not is_script and name != module and _is_namespace(name, globals_)
        key = id(globals_), is_library
        if key not in self._spaces:
            if is_library:
                made = _Made(namespaces.import_namespace, name)
                made.is_imported = True
            elif is_script:
                self.spaces[name] = globals_
                made = _Made(
                    namespaces.open_namespace, *(namespaces.facts_of(name) or _facts(name, globals_))
                )
            else:
                kept = ("__name__", "__package__", "__path__", "__file__")
                made = _Made(dict, {key: globals_[key] for key in kept if key in globals_})
            self._spaces[key] = made
        return self._spaces[key]


def _is_namespace(name: Any, globals_: dict[str, Any]) -> bool:
    """Return whether `globals_` belong to the module `name`, not to another that has its name."""
    _note_namespace(name, globals_)
    return namespaces.namespace_of(name) is globals_


def _note_namespace(name: Any, globals_: dict[str, Any]) -> None:
    """Remember `globals_` as those of the module `name`, if it is a script or is in no other way known."""
    is_unknown = name == "__main__" or (name not in sys.modules and "__spec__" in globals_)
    if is_unknown and namespaces.namespace_of(name) is not globals_:
        namespaces.remember_namespace(name, globals_)


def _facts(name: str, globals_: dict[str, Any]) -> namespaces.Facts:
    file, path = globals_.get("__file__"), globals_.get("__path__")
    spec = getattr(globals_.get("__spec__"), "name", None)
    return namespaces.Facts(
        name,
        os.path.abspath(file) if isinstance(file, str) else None,
        globals_.get("__package__"),
        spec if spec != "__main__" else None,  # the spec of a profiler, which has run the file
        None if path is None else list(path),
        name in sys.modules,
        object_tokens.origin(),
    )


# Parts of functions.


def _submodules(values: Iterable[Any], attributes: frozenset[str]) -> Iterator[str]:
    """Yield the loaded modules inside packages that code reaches through attributes of the packages."""
    for value in values:
        if isinstance(value, ModuleType) and hasattr(value, "__path__"):
            prefix = f"{value.__name__}."
            for name in list(sys.modules):
                is_used = name.startswith(prefix) and attributes.issuperset(name[len(prefix) :].split("."))
                if is_used and is_importable(name):
                    yield name


#: Modules with objects that are used in annotations: `typing.Optional`, `dataclasses.KW_ONLY`.
_OF_ANNOTATIONS = frozenset({"typing", "typing_extensions", "dataclasses"})


def _is_of_annotations(value: Any) -> bool:
    """Return whether annotations may name a value: a class, `typing.Optional`, the module `typing`."""
    if isinstance(value, ModuleType):
        return value.__name__ in _OF_ANNOTATIONS
    is_special = type(value).__module__ in _OF_ANNOTATIONS or hasattr(value, "__origin__")
    return is_special or isinstance(value, type)


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading it is the test
    except ValueError:
        return False
    return True


def _state_of(obj: Any) -> dict[str, Any]:
    """Return the attributes of an object, also those in slots."""
    slots = {name: getattr(obj, name) for name in copyreg._slotnames(type(obj)) if hasattr(obj, name)}  # type: ignore[attr-defined]
    return {**getattr(obj, "__dict__", {}), **slots}


def _globals_of_class(cls: Any) -> dict[str, Any] | None:
    """Return the globals of the module of a class, or `None` if another process imports the module."""
    module = cls.__module__
    if not isinstance(module, str) or is_importable(module):
        return None
    for value in vars(cls).values():  # under a profiler, `__main__` is another module than that of the script
        function = getattr(value, "__func__", value)
        function = getattr(function, "__wrapped__", function)  # `run` of a work is wrapped
        if type(function) is FunctionType and function.__globals__.get("__name__") == module:
            _note_namespace(module, function.__globals__)
            break
    return namespaces.namespace_of(module)


# Parts of classes.


def _attributes_of(cls: Any) -> dict[str, Any]:
    """Return the attributes in the body of a class that are set after its creation."""
    attributes = {name: value for name, value in vars(cls).items() if name not in _MADE_BY_CREATION}
    for name in _OF_ABSTRACT_CLASSES if isinstance(cls, abc.ABCMeta) else ():
        attributes.pop(name, None)
    if sys.version_info >= (3, 14) and "__annotations__" not in attributes:
        with suppress(Exception):  # a name in them is not defined; the script could not evaluate them either
            attributes["__annotations__"] = dict(cls.__annotations__)
    return attributes


def _take_contents(cls: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the body of a class that its creation needs; all else is set afterwards.

    Args:
        cls: The class.
        attributes: Its attributes; the slots, which the creation makes, are removed from them.
    """
    contents = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    if "__slots__" in attributes:
        slots = [
            name
            for name, value in vars(cls).items()
            if type(value) is types.MemberDescriptorType and value.__objclass__ is cls
        ]
        contents["__slots__"] = (*slots, *({"__dict__", "__weakref__"} & vars(cls).keys()))
        for slot in slots:
            del attributes[slot]
    if isinstance(vars(cls).get("__dict__"), property):
        contents["__dict__"] = vars(cls)["__dict__"]
    if "__orig_bases__" in attributes:  # the creation of a generic class looks at it
        contents["__orig_bases__"] = attributes["__orig_bases__"]
    return contents


def _take_members(
    cls: type[Enum], attributes: dict[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, tuple[Any, tuple[Any, ...]]]]:
    """Remove all that belongs to the members of an enumeration from its attributes.

    Returns:
        For each name of a member, the attributes of the member; and its value, with the arguments for its
        builtin base.
    """
    for key in _OF_ENUMS | set(cls.__members__):
        attributes.pop(key, None)
    members = {key: _values_of_member(member) for key, member in cls.__members__.items()}
    values = {key: (member.value, _data_of_member(member)) for key, member in cls.__members__.items()}
    return members, values


def _registered_in(cls: Any) -> list[Any]:
    """Return the classes that were registered in an abstract class, with `register`."""
    if not isinstance(cls, abc.ABCMeta):
        return []
    registered = abc._get_dump(cls)[0]  # type: ignore[attr-defined] # there is no public way
    return [subclass for reference in registered if (subclass := reference()) is not None]


def _values_of_member(member: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(member).items() if name not in _OF_MEMBERS}


def _data_of_member(member: Any) -> tuple[Any, ...]:
    """Return the arguments with which the builtin base of an enumeration, as `int`, makes a member."""
    base = builtin_base(type(member))
    if base is object:
        return ()
    if hasattr(base, "__getnewargs__"):
        return tuple(base.__getnewargs__(member))
    return tuple(base.__reduce_ex__(member, 2)[1])


# Other types that are reduced in another way than cloudpickle does.


def _reduce_code(pickler: _ValuePickler, code: CodeType) -> Any:
    """Return how a code object is rebuilt in the work, with the file name that the script gave it.

    From version 3.1.3 on, cloudpickle replaces the name of the file with `<dynamic-code>`. Tracebacks,
    debuggers, warnings and `inspect` would then show neither the file nor the line of code. `marshal` keeps
    the whole code object, as in a .pyc file; both processes run the same interpreter.
    """
    try:
        return marshal.loads, (marshal.dumps(code),)
    except ValueError:  # a tool that rewrites bytecode put in a constant that no .pyc file can hold
        return NotImplemented  # the default of cloudpickle, which keeps all but the name of the file


def _reduce_cell(pickler: _ValuePickler, cell: CellType) -> Any:
    """Return how a cell is made: empty first, because its content may use the cell."""
    if not _is_filled(cell):
        return CellType, ()
    return CellType, (), (cell.cell_contents,), None, None, definitions.set_cell


def _reduce_cached_property(pickler: _ValuePickler, obj: Any) -> Any:
    attributes = {name: value for name, value in vars(obj).items() if name not in ("lock", "func")}
    return definitions.make_cached_property, (type(obj), obj.func, attributes)


def _reduce_field_kind(pickler: _ValuePickler, obj: Any) -> Any:
    return namespaces.find_global, ("dataclasses", obj.name)


def _reduce_weak_dict(pickler: _ValuePickler, obj: Any) -> Any:
    return definitions.make_weak_dict, (type(obj), list(obj.items()))


def _reduce_type_variable(pickler: _ValuePickler, variable: Any) -> Any:
    """Return how a `TypeVar`, `ParamSpec` or `TypeVarTuple` of the script is created again."""
    options: dict[str, Any] = {}
    args: tuple[Any, ...] = (variable.__name__,)
    if isinstance(variable, typing.TypeVar):
        args += variable.__constraints__
    if not isinstance(variable, typing.TypeVarTuple):
        options = {"bound": variable.__bound__} if variable.__bound__ is not None else {}
        for name in ("covariant", "contravariant", "infer_variance"):
            if getattr(variable, f"__{name}__", False):
                options[name] = True
    if sys.version_info >= (3, 13) and variable.has_default():
        options["default"] = variable.__default__
    return pickler.reduce_named(
        variable, definitions.make_type_variable, type(variable), variable.__module__, args, options
    )


def _reduce_new_type(pickler: _ValuePickler, obj: Any) -> Any:
    return pickler.reduce_named(obj, definitions.new_object, type(obj))


def _reduce_type_alias(pickler: _ValuePickler, alias: Any) -> Any:
    """Return how the statement `type NAME = ...` is executed again; the value may contain the alias."""
    if not alias.__type_params__:
        cell = pickler.cells.setdefault(id(alias), CellType(alias.__value__))
        return pickler.reduce_named(
            alias, definitions.make_type_alias, alias.__module__, alias.__name__, cell
        )
    parts = alias.__name__, alias.__value__, alias.__type_params__
    return pickler.reduce_named(alias, definitions.make_generic_alias, alias.__module__, type(alias), *parts)


def _reduce_text_file(pickler: _ValuePickler, file: io.TextIOWrapper) -> Any:
    """Refuse an open file as pickle does; cloudpickle would replace it by a `StringIO` with its content."""
    if file is sys.stdout or file is sys.stderr:
        return NotImplemented  # cloudpickle names them: the receiver has its own
    raise TypeError("cannot pickle '_io.TextIOWrapper' object")


_REDUCERS: dict[type, Callable[[_ValuePickler, Any], Any]] = {
    CodeType: _reduce_code,
    CellType: _reduce_cell,
    ModuleType: _ValuePickler.reduce_module,
    namespaces.ScriptModule: _ValuePickler.reduce_module,
    _CACHED: _ValuePickler.reduce_cached,
    io.TextIOWrapper: _reduce_text_file,
    functools.cached_property: _reduce_cached_property,
    dataclasses._FIELD_BASE: _reduce_field_kind,  # type: ignore[attr-defined] # the class of `_FIELD`
    weakref.WeakKeyDictionary: _reduce_weak_dict,
    typing.TypeVar: _reduce_type_variable,
    typing.ParamSpec: _reduce_type_variable,
    typing.TypeVarTuple: _reduce_type_variable,
    typing.NewType: _reduce_new_type,
}
if sys.version_info >= (3, 12):
    _REDUCERS[typing.TypeAliasType] = _reduce_type_alias
