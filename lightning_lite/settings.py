"""All settings: their table, and where their values come from.

    argument > environment variable > [tool.lightning_lite] in pyproject.toml > default

The documentation, the help pages and `lightning-lite config` show the same table.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from lightning_lite.context import process_caller
from lightning_lite.errors import SettingError
from lightning_lite.project_file import TABLE, ProjectFile, find_project_file
from lightning_lite.root_access import ANY, DEFAULT_ROOT, GROUP, OWN, PRIVATE
from lightning_lite.setting_kinds import (
    INVALID,
    Address,
    Choice,
    Cluster,
    Flag,
    Folder,
    Kind,
    Name,
    Number,
    Patterns,
    Place,
    Run,
    Seconds,
    Table,
    Tags,
)
from lightning_lite.store_url import UNSEEN, is_url
from lightning_lite.trusted_roots import ROOT_MODE_VARIABLE, TRUSTED, TRUSTED_ROOT_VARIABLE
from lightning_lite.working_directory import absolute, working_directory_if_there

ROOT_VARIABLE = "LIGHTNING_LITE_ROOT"
DRIVES_VARIABLE = "LIGHTNING_LITE_DRIVES"
DURABLE_VARIABLE = "LIGHTNING_LITE_DURABLE"
RUNNER_VARIABLE = "LIGHTNING_LITE_RUNNER"
RESUME_VARIABLE = "LIGHTNING_LITE_RESUME"
RETRY_FAILED_VARIABLE = "LIGHTNING_LITE_RETRY_FAILED"
VIEW_VARIABLE = "LIGHTNING_LITE_VIEW"
UI_VARIABLE = "LIGHTNING_LITE_UI"
ON_IDLE_VARIABLE = "LIGHTNING_LITE_ON_IDLE"
NAME_VARIABLE = "LIGHTNING_LITE_NAME"
TAGS_VARIABLE = "LIGHTNING_LITE_TAGS"
NOTIFY_VARIABLE = "LIGHTNING_LITE_NOTIFY"

#: Names the process of a frontend, which loads the file of the app and must not run the app again.
FRONTEND_VARIABLE = "LIGHTNING_LITE_FRONTEND_PROCESS"

#: Prefix of the variables of this package.
_PREFIX = "LIGHTNING_LITE_"

#: Variables with this prefix that are not settings: the package sets them, or they configure a connection.
_OTHER_VARIABLES = frozenset(
    {
        FRONTEND_VARIABLE,
        TRUSTED_ROOT_VARIABLE,
        "LIGHTNING_LITE_INSTANCE_ROLE",
        "LIGHTNING_LITE_MARK",
        "LIGHTNING_LITE_NODE_ADDRESS",
    }
)

#: Prefixes of the variables of the test suite.
_OF_TESTS = ("LIGHTNING_LITE_TEST", "LIGHTNING_LITE_TORTURE_")

#: Modes of a root that a user may choose: private, shared with a group, or with trusted writers.
ROOT_MODES = (PRIVATE, GROUP, TRUSTED)

#: Names of the runners, the default first.
RUNNERS = ("processes", "inline", "ray")

#: Start methods of the processes of works, the default first.
START_METHODS = ("spawn", "forkserver")

#: Whether an app in which nothing can change any more continues; with the default, if it has a terminal.
ON_IDLE = ("auto", "wait", "fail")

#: Log levels of the framework, the default first.
LOG_LEVELS = ("info", "debug")

#: After which ends of a run a message is sent, the default first.
NOTIFY_ON = ("failure", "end")

#: Ended calls that the journal of a run keeps for `timeline`; remembered answers are always kept.
HISTORY = 10_000


class Setting(NamedTuple):
    """One setting.

    Attributes:
        name: Its name as an argument and in `pyproject.toml`.
        variable: Its environment variable.
        values: The kind of its values.
        about: A description in one line.
        default: Its value if it is set nowhere.
        in_file: Whether `pyproject.toml` may set it, or only an argument and the variable.
        file_values: The kind of its values in `pyproject.toml`, or `None` for `values`: the file of a project
            must not weaken checks.
    """

    name: str
    variable: str
    values: Kind
    about: str
    default: object = None
    in_file: bool = True
    file_values: Kind | None = None

    @property
    def kind(self) -> str:
        """Name of the kind of its values, such as `choice`."""
        return type(self.values).__name__.lower()

    @property
    def choices(self) -> tuple[str, ...]:
        """The values, if they are some words."""
        return self.values.choices if isinstance(self.values, Choice) else ()


#: All settings by name, in the order in which they are shown.
SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("root_dir", ROOT_VARIABLE, Folder(), "Folder of runs and drives.", DEFAULT_ROOT),
        Setting(
            "drives",
            DRIVES_VARIABLE,
            Place(),
            "Where drives are, if not in root_dir: a folder, or an object store.",
        ),
        Setting(
            "root_mode",
            ROOT_MODE_VARIABLE,
            Choice(ROOT_MODES),
            "group: a new root is shared with a group; private: such a root is refused; trusted: owners and "
            "modes in it are not checked.",
            file_values=Choice((PRIVATE, GROUP)),
        ),
        Setting("runner", RUNNER_VARIABLE, Choice(RUNNERS), "Where works run.", RUNNERS[0]),
        Setting(
            "start_method",
            "LIGHTNING_LITE_START_METHOD",
            Choice(START_METHODS),
            "How the processes of works start.",
            START_METHODS[0],
        ),
        Setting(
            "max_running",
            "LIGHTNING_LITE_MAX_RUNNING",
            Number(least=1),
            "How many works may run a call at the same time.",
        ),
        Setting(
            "compute",
            "LIGHTNING_LITE_COMPUTE",
            Table(),
            "The resources that each name of CloudCompute requests, for the runner ray.",
        ),
        Setting(
            "ray_address",
            "LIGHTNING_LITE_RAY_ADDRESS",
            Cluster(),
            "The Ray cluster; else $RAY_ADDRESS, else one that runs on this machine, else a new one.",
        ),
        Setting(
            "ray_lease",
            "LIGHTNING_LITE_RAY_LEASE",
            Seconds(least=1),
            "After how many seconds without a message from its app a work on another machine ends itself.",
            10.0,
        ),
        Setting(
            "ray_working_dir",
            "LIGHTNING_LITE_RAY_WORKING_DIR",
            Folder(),
            "Folder whose files works on other machines get; else the folder of the script; off: none.",
        ),
        Setting(
            "ray_excludes",
            "LIGHTNING_LITE_RAY_EXCLUDES",
            Patterns(),
            "Which files of that folder they do not get, in the form of a .gitignore.",
            default=(),
        ),
        Setting(
            "ray_direct",
            "LIGHTNING_LITE_RAY_DIRECT",
            Flag(),
            "Whether the app opens connections of its own to its works, which are faster than Ray's calls.",
            default=True,
        ),
        Setting(
            "durable",
            DURABLE_VARIABLE,
            Flag(),
            "Whether journal and drives survive the loss of power.",
            default=False,
        ),
        Setting(
            "view",
            VIEW_VARIABLE,
            Flag(),
            "Whether to show the works at the bottom of the terminal.",
            default=True,
        ),
        Setting(
            "ui",
            UI_VARIABLE,
            Flag(),
            "Whether to serve a page that shows the run; else only if a flow has a layout or routes.",
        ),
        Setting(
            "on_idle",
            ON_IDLE_VARIABLE,
            Choice(ON_IDLE),
            "Whether an app in which nothing can change any more waits or fails; auto: a terminal decides.",
            ON_IDLE[0],
        ),
        Setting(
            "log_level",
            "LIGHTNING_LITE_LOG_LEVEL",
            Choice(LOG_LEVELS),
            "debug: each pass of the flow is logged, and why a call was run or not.",
            LOG_LEVELS[0],
        ),
        Setting(
            "command_channel",
            "LIGHTNING_LITE_COMMAND_CHANNEL",
            Flag(),
            "Whether other terminals may send commands to the app.",
            default=True,
        ),
        Setting(
            "history",
            "LIGHTNING_LITE_HISTORY",
            Number(),
            "How many ended calls a run keeps for timeline and status.",
            HISTORY,
        ),
        Setting(
            "notify",
            NOTIFY_VARIABLE,
            Address(),
            "Where a message about the end of a run goes: an address of apprise.",
        ),
        Setting(
            "notify_on",
            "LIGHTNING_LITE_NOTIFY_ON",
            Choice(NOTIFY_ON),
            "Whether a message is sent after a failure only, or after each end.",
            NOTIFY_ON[0],
        ),
        Setting("tags", TAGS_VARIABLE, Tags(), "Tags of the run, by which ps --tag finds it.", default=()),
        Setting(
            "name",
            NAME_VARIABLE,
            Name(),
            "Name of the run, which verbs take in place of its id.",
            in_file=False,
        ),
        Setting(
            "resume",
            RESUME_VARIABLE,
            Run(),
            "Continue the latest run of the app, or the run with this id.",
            default=False,
            in_file=False,
        ),
        Setting(
            "retry_failed",
            RETRY_FAILED_VARIABLE,
            Flag(),
            "On resume, run failed calls again.",
            default=False,
            in_file=False,
        ),
    )
}


class Found(NamedTuple):
    """The value of a setting.

    Attributes:
        value: The value.
        origin: Where it comes from: `argument`, `default`, the name of a variable, or the path of a file.
    """

    value: Any
    origin: str


class Settings:
    """Finds the values of settings: in the environment, else in the file, else in the table.

    The file is searched from the working directory on, at the first value that needs it.

    Args:
        environ: The environment.

    Example:
        >>> settings = Settings({"LIGHTNING_LITE_RUNNER": "inline"})
        >>> settings.find("runner")
        Found(value='inline', origin='LIGHTNING_LITE_RUNNER')
        >>> settings.value("runner", "processes"), settings.value("history")
        ('processes', 10000)
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._file: ProjectFile | None = None
        self._has_looked = False

    @property
    def file(self) -> ProjectFile | None:
        """The file with settings, checked, or `None`.

        Raises:
            SettingError: It can't be read, or it has unknown names or invalid values.
        """
        if not self._has_looked:
            caller = process_caller()
            if caller.kind == "work":  # its app has found and checked the file
                self._file = None if caller.project is None else ProjectFile(*caller.project)
            else:
                self._file = _find_file()
            self._has_looked = True
        return self._file

    def find(self, name: str, given: object = None) -> Found:
        """Return the value of a setting, and its origin.

        Args:
            name: Name of the setting.
            given: The argument of the user, or `None`.

        Raises:
            SettingError: The value is not valid, or the file with settings is not.
        """
        setting = SETTINGS[name]
        if given is not None:
            if not setting.values.accepts(given):
                expected = describe_values(setting, flags="True or False")
                found = show_value(setting, given)
                raise SettingError(f"{name} must be {expected}. Found {found}", setting=name)
            setting.values.check(given, name)
            return Found(given, "argument")
        text = self._environ.get(setting.variable, "").strip()
        if text:
            value = setting.values.parse(text)
            if value is INVALID:
                raise SettingError(
                    f"The environment variable {setting.variable} must be "
                    f"{describe_values(setting, flags='1 or 0')}. Found {show_value(setting, text)}",
                    setting=name,
                )
            setting.values.check(value, f"{setting.variable}: {name}")
            return Found(value, setting.variable)
        if setting.in_file and self.file is not None and name in self.file.table:
            return Found(self.file.table[name], self.file.path)
        return Found(setting.default, "default")

    def value(self, name: str, given: object = None) -> Any:
        """Return the value of a setting; see `find`."""
        return self.find(name, given).value

    def root_dir(self, given: str | os.PathLike[str] | None) -> str:
        """Return the absolute folder that holds drives, runs and logs; see `resolve_root`."""
        return absolute(self.value("root_dir", None if given == "" else given))

    def root_mode(self, given: str | None, *, is_named: bool) -> str:
        """Return with whom the root may be shared; see `resolve_root_mode`."""
        mode = self.value("root_mode", given)
        if mode is not None:
            return str(mode)
        # A file does not name a root for its reader: the project may be of another user.
        return ANY if is_named or self.find("root_dir").origin == ROOT_VARIABLE else OWN

    def drives(self, given: str | os.PathLike[str] | None) -> str | None:
        """Return the absolute folder or the url of drives that are not in the root; see `drives_apart`."""
        place = self.value("drives", given)
        if place is not None and str(place).startswith(UNSEEN):
            return str(place)  # of a work: `storage.stores` refuses it, also in programs that the work starts
        return None if place is None else absolute_place(place, "drives")


def _find_file() -> ProjectFile | None:
    here = working_directory_if_there()
    found = None if here is None else find_project_file(here)
    return None if found is None else _checked(found)


def _checked(file: ProjectFile) -> ProjectFile:
    """Return a file with only valid settings; its paths are absolute.

    Raises:
        SettingError: A name is unknown, or a value is not valid.
    """
    values = {}
    for name, value in file.table.items():
        setting = SETTINGS.get(name)
        if setting is None or not setting.in_file:
            raise SettingError(
                f"{file.path}: [tool.{TABLE}] can't have {name!r}{_explain(name)}",
                path=file.path,
                setting=name,
            )
        kind = setting.file_values or setting.values
        if not kind.accepts(value):
            raise SettingError(
                f"{file.path}: {name} in [tool.{TABLE}] must be {kind.describe('true or false')}. "
                f"Found {kind.show(value)}",
                path=file.path,
                setting=name,
            )
        kind.check(value, f"{file.path}: {name}")
        values[name] = kind.resolve(value, os.path.dirname(file.path))
    return ProjectFile(file.path, values)


def _explain(name: str) -> str:
    """Return the end of an error about a name that a file can't have."""
    if name in SETTINGS:
        return f"; use the argument, or the variable {SETTINGS[name].variable}."
    import difflib  # noqa: PLC0415 - takes 10 ms, and only wrong names need it

    names = {known: known for known, setting in SETTINGS.items() if setting.in_file}
    names |= {SETTINGS[known].variable: known for known in names}
    similar = difflib.get_close_matches(name, names, n=1)
    hint = (
        f"did you mean {names[similar[0]]!r}?" if similar else "`lightning-lite config` lists the settings."
    )
    return f": there is no such setting; {hint}"


def describe_unknown_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return a sentence about each variable that has a name like one of this package, and is none, by name.

    Example:
        >>> describe_unknown_variables({"LIGHTNING_LITE_VIEV": "0"})["LIGHTNING_LITE_VIEV"]
        'LIGHTNING_LITE_VIEV is not a variable of lightning_lite; did you mean LIGHTNING_LITE_VIEW?'
    """
    found = [name for name in environ if name.startswith(_PREFIX) and not name.startswith(_OF_TESTS)]
    known = {*_OTHER_VARIABLES, *(setting.variable for setting in SETTINGS.values())} if found else set()
    return {name: _describe_unknown(name, known) for name in sorted(found) if name not in known}


def _describe_unknown(name: str, known: Collection[str]) -> str:
    import difflib  # noqa: PLC0415 - as in `_explain`

    ends = [other.removeprefix(_PREFIX) for other in known]
    similar = difflib.get_close_matches(name.removeprefix(_PREFIX), ends, n=1)
    hint = (
        f"did you mean {_PREFIX}{similar[0]}?"
        if similar
        else "`lightning-lite config --json` lists those that are."
    )
    return f"{name} is not a variable of lightning_lite; {hint}"


def describe_values(setting: Setting, *, flags: str = "true or false") -> str:
    """Return a description of the values of a setting in words.

    Args:
        setting: The setting.
        flags: How the two values of a flag are written.

    Example:
        >>> describe_values(SETTINGS["runner"]), describe_values(SETTINGS["view"], flags="1 or 0")
        ("'processes' or 'inline' or 'ray'", '1 or 0')
    """
    return setting.values.describe(flags)


def show_value(setting: Setting, value: object) -> str:
    """Return a value as Python writes it; of a value that may have a password, only the scheme.

    Example:
        >>> show_value(SETTINGS["notify"], "slack://TokenA/TokenB/TokenC"), show_value(SETTINGS["view"], True)
        ("'slack://**********'", 'True')
    """
    return setting.values.show(value)


def absolute_place(place: str | os.PathLike[str], setting: str = "root_dir") -> str:
    """Return a folder as an absolute path, or a url without a slash at its end.

    Args:
        place: The folder or the url.
        setting: Name of the setting, for the error.

    Raises:
        SettingError: It is neither the path of a folder nor the url of an object store.
        WorkingDirectoryGone: It is relative, and the working directory was removed.

    Example:
        >>> absolute_place("s3://bucket/prefix/"), absolute_place("/data/../root")
        ('s3://bucket/prefix', '/root')
    """
    kind = SETTINGS["drives"].values
    if not kind.accepts(place):
        raise SettingError(
            f"{setting} must be {kind.describe('true or false')}. Found {kind.show(place)}", setting=setting
        )
    return str(place).rstrip("/") if is_url(place) else absolute(place)


def resolve_drives(given: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the absolute folder or the url that holds drives, and the files of `Path` and `Payload`.

    Args:
        given: The folder or the url of the app, or `None`.
        environ: Where `LIGHTNING_LITE_DRIVES` and `LIGHTNING_LITE_ROOT` are looked up.

    Returns:
        `given`, else the variable, else that of `pyproject.toml`, else the root, see `resolve_root`.

    Raises:
        WorkingDirectoryGone: It is relative, and the working directory was removed.
        SettingError: The place is not valid, or the file with settings is not valid.

    Example:
        >>> resolve_drives(environ={"LIGHTNING_LITE_DRIVES": "s3://bucket/prefix"})
        's3://bucket/prefix'
    """
    if given is not None:
        return given
    settings = Settings(environ)
    return settings.drives(None) or settings.root_dir(None)


def drives_apart(given: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the absolute folder or the url of drives that are not in the root, or `None`.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_DRIVES` is looked up.

    Raises:
        WorkingDirectoryGone: It is relative, and the working directory was removed.
        SettingError: The place is not valid, or the file with settings is not valid.

    Example:
        >>> drives_apart("s3://bucket/prefix/")
        's3://bucket/prefix'
    """
    return Settings(environ).drives(given)


def resolve_root(given: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the absolute folder that holds drives, runs and logs.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_ROOT` is looked up.

    Returns:
        `given`, else the variable, else that of `pyproject.toml`, else `./.lightning_lite`; absolute.

    Raises:
        WorkingDirectoryGone: It is relative, and the working directory was removed.
        SettingError: `given` is not the path of a folder, or the file with settings is not valid.
    """
    return Settings(environ).root_dir(given)


def resolve_root_mode(given: str | None, *, is_named: bool, environ: Mapping[str, str] = os.environ) -> str:
    """Return with whom a root may be shared, as `root_access.opened` takes it.

    Args:
        given: The argument of the user: `private`, `group`, `trusted` or `None`.
        is_named: Whether the user named the root, with an argument or through the app.
        environ: Where `LIGHTNING_LITE_ROOT_MODE` and `LIGHTNING_LITE_ROOT` are looked up.

    Returns:
        `given`, else the variable, else that of `pyproject.toml`. Else the mode of the folder decides; the
        group root of another user is only accepted if the user named it, because any user can make one in a
        folder that others use.

    Raises:
        SettingError: There is no such mode, or the file with settings is not valid.

    Example:
        >>> resolve_root_mode("group", is_named=False)
        'group'
    """
    return Settings(environ).root_mode(given, is_named=is_named)


def resolve_durable(given: bool | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether written data must survive a power failure.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_DURABLE` is looked up.

    Raises:
        SettingError: The variable is neither yes nor no, or the file with settings is not valid.
    """
    return bool(Settings(environ).value("durable", given))


def resolve_log_level(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the log level of the framework: `info` or `debug`.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_LOG_LEVEL` is looked up.

    Raises:
        SettingError: The level is neither of them, or the file with settings is not valid.
    """
    return str(Settings(environ).value("log_level", given))
