"""Takes the settings of the interpreter and of `logging` from the main process to the processes of works.

    main process: capture ──bytes──▶ process of a work: apply, before any of the user's code runs

Environment, search path, arguments and working directory are not among them; see `processes.spawn`. A work
loads this module only if there is something to apply.
"""

from __future__ import annotations

import fcntl
import os
import sys
from typing import Any, NamedTuple

from lightning_lite.late_import import late_import
from lightning_lite.tracebacks import warn_user
from lightning_lite.values.pickling import PackingError, is_importable, pack, unpack

_DEFAULT_RECURSION_LIMIT = 1000

#: The value of `warnings.filters` without options of the interpreter.
_DEFAULT_FILTERS = [
    ("default", None, DeprecationWarning, "__main__", 0),
    ("ignore", None, DeprecationWarning, None, 0),
    ("ignore", None, PendingDeprecationWarning, None, 0),
    ("ignore", None, ImportWarning, None, 0),
    ("ignore", None, ResourceWarning, None, 0),
]

#: Loggers that a dependency sets up: `multiprocess` imports dill. Works would load `logging` for it.
_NOT_OF_THE_USER = frozenset({"dill"})

#: Targets of handlers: a standard stream, or the path of a file.
_STREAMS = ("stdout", "stderr")

#: Imported by name, if the script logs to a file: it imports `logging`.
_LOG_FILE = "lightning_lite.runners.wire.log_file_handler"


class _Handler(NamedTuple):
    """One handler of a logger.

    Attributes:
        target: "stdout", "stderr" or the absolute path of a file.
        kind: Class and target of the handler in the main process, as `_kind` returns them.
        encoding: Encoding of the file.
        level: Its level.
        formatter: Its formatter, or `None`.
        filters: Its filters.
        is_usable: Whether all its filters are known; else it must not write.
    """

    target: str
    kind: str
    encoding: str | None
    level: int
    formatter: Any
    filters: list[Any]
    is_usable: bool


class _Logger(NamedTuple):
    """The settings of one logger; "" is the name of the root."""

    name: str
    level: int
    propagate: bool
    disabled: bool
    handlers: list[_Handler]
    filters: list[Any]


class _Later:
    """A formatter or filter of a package, unpickled when the first record comes.

    So a work does not import the package at its start, and perhaps for nothing.

    Args:
        packed: The formatter or filter.
    """

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._unpacked: Any = None

    def format(self, record: Any) -> Any:
        """Format as the formatter does."""
        return self._get().format(record)

    def filter(self, record: Any) -> Any:
        """Filter as the filter does."""
        found = self._get()
        return found.filter(record) if hasattr(found, "filter") else found(record)

    def _get(self) -> Any:
        if self._unpacked is None:
            self._unpacked = unpack(self._packed)
        return self._unpacked


class _NotTwice:
    """A filter of a handler in a work that lets nothing pass if its logger has another such handler.

    A package that adds a handler while it is imported does so in the work, too, and later than `apply`.

    Args:
        kind: That of the handler in the main process.
        logger: Its logger in this process.
        ours: The handlers of the logger that `apply` has created.
    """

    def __init__(self, kind: str, logger: Any, ours: list[Any]) -> None:
        self._kind = kind
        self._logger = logger
        self._ours = ours

    def filter(self, _: Any) -> bool:
        """Return whether the handler may write."""
        return not any(
            _kind(other) == self._kind for other in self._logger.handlers if other not in self._ours
        )


class _Logging(NamedTuple):
    """The settings of `logging`.

    Attributes:
        loggers: Those that are not as a new logger is.
        disabled_level: Of `logging.disable`.
        level_names: Names that `logging.addLevelName` has added, by level.
        captures_warnings: Of `logging.captureWarnings`.
        logger_class: Of `logging.setLoggerClass`; `None` for the class of the standard library.
    """

    loggers: list[_Logger]
    disabled_level: int
    level_names: dict[int, str]
    captures_warnings: bool
    logger_class: Any


def capture() -> bytes | None:
    """Return the settings of this process that differ from the defaults; `None` if there are none."""
    settings: dict[str, Any] = {}
    if (limit := sys.getrecursionlimit()) != _DEFAULT_RECURSION_LIMIT:
        settings["recursion_limit"] = limit
    # An option or a variable of the environment may give a work another limit than the default.
    digits, default = sys.get_int_max_str_digits(), sys.int_info.default_max_str_digits
    if digits != default or sys.flags.int_max_str_digits not in (-1, default):
        settings["int_max_str_digits"] = digits
    if (warnings := sys.modules.get("warnings")) is not None and warnings.filters != _DEFAULT_FILTERS:
        settings["warnings"] = [entry for entry in warnings.filters if _can_travel(entry)]
    if (locale := sys.modules.get("locale")) is not None and _has_set_locale(locale):
        settings["locale"] = locale.setlocale(locale.LC_ALL)
    if (logging := sys.modules.get("logging")) is not None:
        found = _capture_logging(logging)
        if found.loggers or found[1:] != (0, {}, False, None):
            settings["logging"] = found
    return pack(settings) if settings else None


def apply(packed: bytes) -> None:
    """Apply the settings to this process."""
    settings = unpack(packed)
    if "recursion_limit" in settings:
        sys.setrecursionlimit(settings["recursion_limit"])
    if "int_max_str_digits" in settings:
        sys.set_int_max_str_digits(settings["int_max_str_digits"])
    if "warnings" in settings:
        import warnings  # noqa: PLC0415 - only where it is needed

        warnings.resetwarnings()
        for entry in reversed(settings["warnings"]):
            warnings.filters.insert(0, entry)  # type: ignore[attr-defined] # `filterwarnings` takes no regex
        warnings._filters_mutated()  # type: ignore[attr-defined] # as `catch_warnings` does
    if "locale" in settings:
        import locale  # noqa: PLC0415 - only where it is needed

        locale.setlocale(locale.LC_ALL, settings["locale"])
    if "logging" in settings:
        _apply_logging(settings["logging"])


def _has_set_locale(locale: Any) -> bool:
    """Return whether more than the category was set that Python itself sets at its start."""
    categories = locale.LC_COLLATE, locale.LC_MONETARY, locale.LC_NUMERIC, locale.LC_TIME
    return any(locale.setlocale(category) != "C" for category in categories)


def _can_travel(value: Any) -> bool:
    try:
        pack(value)
    except PackingError:
        return False
    return True


# Logging.


def _capture_logging(logging: Any) -> _Logging:
    loggers = [("", logging.root)]
    loggers += [
        (name, logger)
        for name, logger in list(logging.root.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and name not in _NOT_OF_THE_USER
    ]
    found: list[_Logger] = []
    for name, logger in loggers:
        filters, has_all = _capture_filters(name, "", logger)
        settings = _Logger(
            name,
            logger.level,
            logger.propagate,
            logger.disabled or not has_all,  # like filters, not for records of loggers below
            _capture_handlers(logging, name, logger),
            filters,
        )
        default_level = logging.WARNING if logger is logging.root else logging.NOTSET
        if settings[1:] != (default_level, True, False, [], []):
            found.append(settings)
    known = {"CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET"}
    names = {level: name for level, name in logging._levelToName.items() if name not in known}
    captures_warnings = logging._warnings_showwarning is not None
    disabled_level = logging.root.manager.disable
    return _Logging(found, disabled_level, names, captures_warnings, _capture_logger_class(logging))


def _capture_logger_class(logging: Any) -> Any:
    found = logging.getLoggerClass()
    if found is logging.Logger:
        return None
    if _can_travel(found):
        return found
    _warn_once(
        f"the class {found.__qualname__} of logging.setLoggerClass can't be sent to works: loggers there are "
        "of the standard class. Call logging.setLoggerClass in works with LightningApp(setup=...)."
    )
    return None


def _capture_handlers(logging: Any, name: str, logger: Any) -> list[_Handler]:
    """Return the handlers of a logger: handlers of other kinds become one that writes to standard error."""
    found: list[_Handler] = []
    others: list[_Handler] = []
    for handler in logger.handlers:
        if isinstance(handler, logging.NullHandler):
            continue
        filters, has_all = _capture_filters(name, f"the handler {type(handler).__name__} of ", handler)
        target = _target(handler)
        formatter = handler.formatter
        if not _can_travel(formatter):
            if target is not None:  # else the handler of the work is of another kind anyway
                _warn_once(
                    f"the formatter {type(formatter).__qualname__} of the handler {type(handler).__name__} "
                    f"of the logger {name or 'root'!r} can't be sent to works: there, a plain one with the "
                    "same format writes. Set up logging in works with LightningApp(setup=...), or make it "
                    "picklable."
                )
            formatter = _plain(logging, formatter)
        settings = _Handler(
            target or "stderr",
            _kind(handler),
            None,
            handler.level,
            _packed_if_of_package(formatter),
            filters,
            has_all,
        )
        if target is None:
            others.append(settings)
        elif target in _STREAMS:
            found.append(settings)
        else:
            _append_to_file(handler)
            found.append(settings._replace(encoding=handler.encoding))
    if others and not any(handler.target in _STREAMS for handler in found):
        found.append(next((handler for handler in others if handler.is_usable), others[0]))
    return found


def _kind(handler: Any) -> str:
    return f"{type(handler).__module__}.{type(handler).__qualname__} {_target(handler)}"


def _target(handler: Any) -> str | None:
    """Return the target of a handler that a work can have, too; `None` for other handlers."""
    logging = sys.modules["logging"]
    if isinstance(handler, logging.FileHandler):
        return str(handler.baseFilename)
    if type(handler) is logging.StreamHandler:
        if handler.stream in (sys.stdout, sys.__stdout__):
            return "stdout"
        if handler.stream in (sys.stderr, sys.__stderr__):
            return "stderr"
    return None


def _append_to_file(handler: Any) -> None:
    """Let a handler of this process append to its file, as works do, also with the mode "w".

    Otherwise it would write at its own position, over the lines of works; and if it opened its file later, or
    again after a rotation, it would remove them.
    """
    handler.acquire()
    try:
        if handler.stream is None and "a" not in handler.mode and not getattr(handler, "_closed", False):
            handler.stream = handler._open()
        if type(handler) is not sys.modules["logging"].FileHandler:  # one of that class never opens it again
            handler.mode = handler.mode.replace("w", "a").replace("x", "a")
        if handler.stream is not None:
            fd = handler.stream.fileno()
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    except (OSError, ValueError, AttributeError):
        pass  # it is closed, or has a stream of its own kind
    finally:
        handler.release()


def _capture_filters(name: str, place: str, owner: Any) -> tuple[list[Any], bool]:
    """Return the filters of a logger or handler that can travel, and whether these are all."""
    found, has_all = [], True
    for each in owner.filters:
        if _can_travel(each):
            found.append(_packed_if_of_package(each))
            continue
        has_all = False
        kind = getattr(each, "__qualname__", type(each).__qualname__)
        effect = "this handler writes nothing" if place else "this logger logs nothing"
        _warn_once(
            f"the filter {kind} of {place}the logger {name or 'root'!r} can't be sent to works: "
            f"there, {effect}. "
            "Set up logging in works with LightningApp(setup=...), or make the filter picklable."
        )
    return found, has_all


def _packed_if_of_package(part: Any) -> Any:
    """Return a formatter or filter, as `_Later` if it is of a package: importing one may take long."""
    module = getattr(part if hasattr(part, "__qualname__") else type(part), "__module__", None) or ""
    if module in ("logging", "builtins") or not is_importable(module):
        return part
    return _Later(pack(part))


_warned: set[str] = set()


def _warn_once(text: str) -> None:
    """Warn at the start of the first work, not of each."""
    if text not in _warned:
        _warned.add(text)
        warn_user(text[0].upper() + text[1:], UserWarning)


def _plain(logging: Any, formatter: Any) -> Any:
    """Return a formatter of the standard library in place of one that can't be pickled."""
    style = getattr(formatter, "_style", None)
    sign = next((sign for sign, (kind, _) in logging._STYLES.items() if type(style) is kind), "%")
    try:
        plain = logging.Formatter(
            getattr(formatter, "_fmt", None),
            getattr(formatter, "datefmt", None),
            sign,
            defaults=getattr(style, "_defaults", None),
        )
    except Exception:  # noqa: BLE001 - attributes of a class of the user may have any value
        return logging.Formatter()
    return plain if _can_travel(plain) else logging.Formatter()


def _apply_logging(settings: _Logging) -> None:
    import logging  # noqa: PLC0415 - 8 ms that only an app with logging has to pay

    if settings.logger_class is not None:
        logging.setLoggerClass(settings.logger_class)
    for level, name in settings.level_names.items():
        logging.addLevelName(level, name)
    for name, level, propagate, disabled, handlers, filters in settings.loggers:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        ours: list[Any] = []
        for handler_settings in handlers:
            handler = _make_handler(logging, handler_settings)
            handler.filters.insert(0, _NotTwice(handler_settings.kind, logger, ours))
            ours.append(handler)
            logger.addHandler(handler)
        for each in filters:
            logger.addFilter(each)
    logging.disable(settings.disabled_level)
    logging.captureWarnings(settings.captures_warnings)


def _make_handler(logging: Any, settings: _Handler) -> Any:
    if not settings.is_usable:
        return logging.NullHandler()  # without any handler, `logging` would write to standard error
    if settings.target in _STREAMS:
        handler = logging.StreamHandler(getattr(sys, settings.target))
    else:
        # Not of the same class: a handler that rotates would rename the file for all processes.
        handler = late_import(_LOG_FILE).LogFile(settings.target, settings.encoding)
    handler.setLevel(settings.level)
    handler.setFormatter(settings.formatter)
    for each in settings.filters:
        handler.addFilter(each)
    return handler
