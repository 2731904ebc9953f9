"""Takes the settings of the interpreter and of `logging` from the main process to the processes of works.

    main process: capture ──bytes──▶ process of a work: apply, before any of the user's code runs

Environment, search path, arguments and working directory are not among them; see `processes.spawn`. A work
loads this module only if there is something to apply.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from lightning_lite.values.pickling import PackingError, pack, unpack

_DEFAULT_RECURSION_LIMIT = 1000

#: What `warnings.filters` is without options of the interpreter.
_DEFAULT_FILTERS = [
    ("default", None, DeprecationWarning, "__main__", 0),
    ("ignore", None, DeprecationWarning, None, 0),
    ("ignore", None, PendingDeprecationWarning, None, 0),
    ("ignore", None, ImportWarning, None, 0),
    ("ignore", None, ResourceWarning, None, 0),
]

#: Targets of handlers: a standard stream, or the path of a file.
_STREAMS = ("stdout", "stderr")


class _Handler(NamedTuple):
    """One handler of a logger.

    Attributes:
        target: "stdout", "stderr" or the absolute path of a file.
        encoding: Encoding of the file.
        level: Its level.
        formatter: Its formatter, or `None`.
        filters: Its filters.
    """

    target: str
    encoding: str | None
    level: int
    formatter: Any
    filters: list[Any]


class _Logger(NamedTuple):
    """The settings of one logger; "" is the name of the root."""

    name: str
    level: int
    propagate: bool
    disabled: bool
    handlers: list[_Handler]
    filters: list[Any]


class _Logging(NamedTuple):
    """The settings of `logging`.

    Attributes:
        loggers: Those that are not as a new logger is.
        disabled_level: Of `logging.disable`.
        level_names: Names that `logging.addLevelName` has added, by level.
        captures_warnings: Of `logging.captureWarnings`.
    """

    loggers: list[_Logger]
    disabled_level: int
    level_names: dict[int, str]
    captures_warnings: bool


def capture() -> bytes | None:
    """Return the settings of this process that differ from the defaults; `None` if there are none."""
    settings: dict[str, Any] = {}
    if (limit := sys.getrecursionlimit()) != _DEFAULT_RECURSION_LIMIT:
        settings["recursion_limit"] = limit
    if (warnings := sys.modules.get("warnings")) is not None and warnings.filters != _DEFAULT_FILTERS:
        settings["warnings"] = [entry for entry in warnings.filters if _can_travel(entry)]
    if (locale := sys.modules.get("locale")) is not None and _has_set_locale(locale):
        settings["locale"] = locale.setlocale(locale.LC_ALL)
    if (logging := sys.modules.get("logging")) is not None:
        found = _capture_logging(logging)
        if found.loggers or found[1:] != (0, {}, False):
            settings["logging"] = found
    return pack(settings) if settings else None


def apply(packed: bytes) -> None:
    """Make the settings those of this process."""
    settings = unpack(packed)
    if "recursion_limit" in settings:
        sys.setrecursionlimit(settings["recursion_limit"])
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
        if isinstance(logger, logging.Logger) and not _is_set_by_its_package(name, logger)
    ]
    found: list[_Logger] = []
    for name, logger in loggers:
        settings = _Logger(
            name,
            logger.level,
            logger.propagate,
            logger.disabled,
            _capture_handlers(logging, logger),
            list(filter(_can_travel, logger.filters)),
        )
        default_level = logging.WARNING if logger is logging.root else logging.NOTSET
        if settings[1:] != (default_level, True, False, [], []):
            found.append(settings)
    known = {"CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET"}
    names = {level: name for level, name in logging._levelToName.items() if name not in known}
    return _Logging(found, logging.root.manager.disable, names, logging._warnings_showwarning is not None)


def _is_set_by_its_package(name: str, logger: Any) -> bool:
    """Return whether a package has set up its own logger, as dill does; it will do so in the work, too."""
    package = name.partition(".")[0]
    parts = [part for handler in logger.handlers for part in (handler, handler.formatter)]
    return any(type(part).__module__.partition(".")[0] == package for part in parts)


def _capture_handlers(logging: Any, logger: Any) -> list[_Handler]:
    """Return the handlers of a logger: those of other kinds become one that writes to standard error."""
    found: list[_Handler] = []
    others: list[_Handler] = []
    for handler in logger.handlers:
        formatter = (
            handler.formatter if _can_travel(handler.formatter) else _plain(logging, handler.formatter)
        )
        settings = _Handler(
            "stderr", None, handler.level, formatter, list(filter(_can_travel, handler.filters))
        )
        if isinstance(handler, logging.NullHandler):
            continue
        if isinstance(handler, logging.FileHandler):
            found.append(settings._replace(target=handler.baseFilename, encoding=handler.encoding))
        elif type(handler) is logging.StreamHandler and handler.stream in (sys.stdout, sys.__stdout__):
            found.append(settings._replace(target="stdout"))
        elif type(handler) is logging.StreamHandler and handler.stream in (sys.stderr, sys.__stderr__):
            found.append(settings)
        else:
            others.append(settings)
    if others and not any(handler.target in _STREAMS for handler in found):
        found.append(others[0])
    return found


def _plain(logging: Any, formatter: Any) -> Any:
    """Return a formatter of the standard library in place of one that can't be pickled."""
    return logging.Formatter(getattr(formatter, "_fmt", None), getattr(formatter, "datefmt", None))


def _apply_logging(settings: _Logging) -> None:
    import logging  # noqa: PLC0415 - 8 ms that only an app with logging has to pay

    for level, name in settings.level_names.items():
        logging.addLevelName(level, name)
    for name, level, propagate, disabled, handlers, filters in settings.loggers:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        for handler_settings in handlers:
            logger.addHandler(_make_handler(logging, handler_settings))
        for each in filters:
            logger.addFilter(each)
    logging.disable(settings.disabled_level)
    logging.captureWarnings(settings.captures_warnings)


def _make_handler(logging: Any, settings: _Handler) -> Any:
    if settings.target in _STREAMS:
        handler = logging.StreamHandler(getattr(sys, settings.target))
    else:
        # Appended to, as other processes write to it, too; a handler that rotates would rename it for all.
        handler = logging.FileHandler(settings.target, "a", settings.encoding, delay=True)
    handler.setLevel(settings.level)
    handler.setFormatter(settings.formatter)
    for each in settings.filters:
        handler.addFilter(each)
    return handler
