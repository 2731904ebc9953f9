"""All settings: their table, and where their values come from.

    argument > environment variable > [tool.lightning_lite] in pyproject.toml > default

The documentation, the help pages and `lightning-lite config` show the same table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from lightning_lite import store_url
from lightning_lite.context import process_caller
from lightning_lite.errors import SettingError
from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple
from lightning_lite.masking import MASK
from lightning_lite.paths import absolute, working_directory_if_there
from lightning_lite.project_file import TABLE, ProjectFile, find_project_file
from lightning_lite.resources import read_table
from lightning_lite.root_access import ANY, DEFAULT_ROOT, GROUP, OWN, PRIVATE, ROOT_MODE_VARIABLE, TRUSTED
from lightning_lite.store_url import is_url

if TYPE_CHECKING:
    from typing import Any

ROOT_VARIABLE = "LIGHTNING_LITE_ROOT"
DRIVES_VARIABLE = "LIGHTNING_LITE_DRIVES"
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

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_LETTERS_OF_TAGS = _LETTERS | frozenset(":/=+@")

#: In a url they separate passwords and options, which are not shown.
_BEFORE_SECRETS = frozenset("@?#")

#: Maximum number of characters of the name of a run, and of a tag.
_MAX_LETTERS = 64

#: Maximum number of digits of a number in a variable.
_MAX_DIGITS = 18

#: A word that `lightning-lite run --resume` uses for the latest run, so no run has it as its name.
LATEST = "latest"

#: What a user may ask of a root: that it is private or shared with a group, or that its writers are trusted.
ROOT_MODES = (PRIVATE, GROUP, TRUSTED)

#: Names of the runners, the default first.
RUNNERS = ("processes", "inline", "ray")

#: Start methods of the processes of works, the default first.
START_METHODS = ("spawn", "forkserver")

#: What becomes of an app in which nothing can change any more; with the default, a terminal decides.
ON_IDLE = ("auto", "wait", "fail")

#: Log levels of the framework, the default first.
LOG_LEVELS = ("info", "debug")

#: The address that switches messages off.
OFF = "off"

#: After which ends of a run a message is sent, the default first.
NOTIFY_ON = ("failure", "end")

#: Ended calls that the journal of a run keeps for `timeline`; remembered answers are always kept.
HISTORY = 10_000


class Setting(NamedTuple):
    """One setting.

    Attributes:
        name: Its name as an argument and in `pyproject.toml`.
        variable: Its environment variable.
        kind: What its values are: `choice`, `flag`, `number`, `seconds`, `folder`, `place`, which is a
            folder or a url, `name`, `tags`, `patterns`, `address`, `cluster`, `table` as
            `resources.read_table` takes it, or `run`, which is a flag, or the id or the name of a run.
        about: What it means, in one line.
        default: Its value if it is set nowhere.
        choices: The values of a `choice`.
        not_in_file: Those of them that a file may not select: the file of a project must not weaken checks.
        least: The lowest value of a `number` or of `seconds`.
        in_file: Whether `pyproject.toml` may set it, or only an argument and the variable.
    """

    name: str
    variable: str
    kind: str
    about: str
    default: object = None
    choices: tuple[str, ...] = ()
    not_in_file: tuple[str, ...] = ()
    least: int = 0
    in_file: bool = True


#: All settings by name, in the order in which they are shown.
SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("root_dir", ROOT_VARIABLE, "folder", "Folder of runs and drives.", DEFAULT_ROOT),
        Setting(
            "drives",
            DRIVES_VARIABLE,
            "place",
            "Where drives are, if not in root_dir: a folder, or an object store.",
        ),
        Setting(
            "root_mode",
            ROOT_MODE_VARIABLE,
            "choice",
            "group: a new root is shared with a group; private: such a root is refused; trusted: owners and "
            "modes in it are not checked.",
            choices=ROOT_MODES,
            not_in_file=(TRUSTED,),
        ),
        Setting("runner", RUNNER_VARIABLE, "choice", "Where works run.", RUNNERS[0], RUNNERS),
        Setting(
            "start_method",
            "LIGHTNING_LITE_START_METHOD",
            "choice",
            "How the processes of works start.",
            START_METHODS[0],
            START_METHODS,
        ),
        Setting(
            "max_running",
            "LIGHTNING_LITE_MAX_RUNNING",
            "number",
            "How many works may run a call at the same time.",
            least=1,
        ),
        Setting(
            "compute",
            "LIGHTNING_LITE_COMPUTE",
            "table",
            "What the names of CloudCompute ask of a machine, for the runner ray.",
        ),
        Setting(
            "ray_address",
            "LIGHTNING_LITE_RAY_ADDRESS",
            "cluster",
            "The Ray cluster; else $RAY_ADDRESS, else one that runs on this machine, else a new one.",
        ),
        Setting(
            "ray_lease",
            "LIGHTNING_LITE_RAY_LEASE",
            "seconds",
            "After how many seconds without word of its app a work on another machine ends itself.",
            10.0,
            least=1,
        ),
        Setting(
            "ray_working_dir",
            "LIGHTNING_LITE_RAY_WORKING_DIR",
            "folder",
            "Folder whose files works on other machines get; else that of the script; off: none.",
        ),
        Setting(
            "ray_excludes",
            "LIGHTNING_LITE_RAY_EXCLUDES",
            "patterns",
            "Which files of that folder they do not get, in the form of a .gitignore.",
            default=(),
        ),
        Setting(
            "ray_direct",
            "LIGHTNING_LITE_RAY_DIRECT",
            "flag",
            "Whether the app opens connections of its own to its works, which are faster than Ray's calls.",
            default=True,
        ),
        Setting(
            "durable",
            "LIGHTNING_LITE_DURABLE",
            "flag",
            "Whether journal and drives survive the loss of power.",
            default=False,
        ),
        Setting(
            "view",
            VIEW_VARIABLE,
            "flag",
            "Whether to show the works at the bottom of the terminal.",
            default=True,
        ),
        Setting(
            "ui",
            UI_VARIABLE,
            "flag",
            "Whether to serve a page that shows the run; else only if a flow has a layout or routes.",
        ),
        Setting(
            "on_idle",
            ON_IDLE_VARIABLE,
            "choice",
            "What becomes of an app in which nothing can change any more; auto: a terminal decides.",
            ON_IDLE[0],
            ON_IDLE,
        ),
        Setting(
            "log_level",
            "LIGHTNING_LITE_LOG_LEVEL",
            "choice",
            "debug: each pass of the flow is logged, and why a call was run or not.",
            LOG_LEVELS[0],
            LOG_LEVELS,
        ),
        Setting(
            "command_channel",
            "LIGHTNING_LITE_COMMAND_CHANNEL",
            "flag",
            "Whether other terminals may send commands to the app.",
            default=True,
        ),
        Setting(
            "history",
            "LIGHTNING_LITE_HISTORY",
            "number",
            "How many ended calls a run keeps for timeline and status.",
            HISTORY,
        ),
        Setting(
            "notify",
            NOTIFY_VARIABLE,
            "address",
            "Where a message about the end of a run goes: an address of apprise.",
        ),
        Setting(
            "notify_on",
            "LIGHTNING_LITE_NOTIFY_ON",
            "choice",
            "Whether a message is sent after a failure only, or after each end.",
            NOTIFY_ON[0],
            NOTIFY_ON,
        ),
        Setting("tags", TAGS_VARIABLE, "tags", "Tags of the run, by which ps --tag finds it.", default=()),
        Setting(
            "name",
            NAME_VARIABLE,
            "name",
            "Name of the run, which verbs take in place of its id.",
            in_file=False,
        ),
        Setting(
            "resume",
            RESUME_VARIABLE,
            "run",
            "Continue the latest run of the app, or the run with this id.",
            default=False,
            in_file=False,
        ),
        Setting(
            "retry_failed",
            RETRY_FAILED_VARIABLE,
            "flag",
            "On resume, run failed calls again.",
            default=False,
            in_file=False,
        ),
    )
}

#: Stands for a value that is not valid.
_INVALID = object()


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
            if not _is_valid(setting, given, setting.choices):
                expected = describe_values(setting, flags="True or False")
                found = show_value(setting, given)
                raise SettingError(f"{name} must be {expected}. Found {found}", setting=name)
            _check_table(setting, given, name)
            return Found(given, "argument")
        text = self._environ.get(setting.variable, "").strip()
        if text:
            value = _from_text(setting, text)
            if value is _INVALID:
                raise SettingError(
                    f"The environment variable {setting.variable} must be "
                    f"{describe_values(setting, flags='1 or 0')}. Found {show_value(setting, text)}",
                    setting=name,
                )
            _check_table(setting, value, f"{setting.variable}: {name}")
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
        choices = tuple(choice for choice in setting.choices if choice not in setting.not_in_file)
        if not _is_valid(setting, value, choices):
            raise SettingError(
                f"{file.path}: {name} in [tool.{TABLE}] must be "
                f"{describe_values(setting, choices=choices)}. "
                f"Found {show_value(setting, value)}",
                path=file.path,
                setting=name,
            )
        _check_table(setting, value, f"{file.path}: {name}")
        if (setting.kind == "folder" and value != OFF) or (setting.kind == "place" and not is_url(value)):
            value = os.path.normpath(os.path.join(os.path.dirname(file.path), os.path.expanduser(value)))
        values[name] = value
    return ProjectFile(file.path, values)


def _check_table(setting: Setting, value: object, where: str) -> None:
    """Refuse a table with a wrong entry.

    Raises:
        SettingError: An entry is wrong; the message names its keys.
    """
    if setting.kind == "table":
        read_table(value, where)


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


def describe_values(
    setting: Setting, *, choices: tuple[str, ...] | None = None, flags: str = "true or false"
) -> str:
    """Return what the values of a setting are, in words.

    Args:
        setting: The setting.
        choices: The values of a `choice`, if they are not all of its choices.
        flags: How the two values of a `flag` are written.

    Example:
        >>> describe_values(SETTINGS["runner"]), describe_values(SETTINGS["view"], flags="1 or 0")
        ("'processes' or 'inline' or 'ray'", '1 or 0')
    """
    match setting.kind:
        case "choice":
            return " or ".join(map(repr, setting.choices if choices is None else choices))
        case "flag":
            return flags
        case "number":
            return f"a whole number, {setting.least} or more"
        case "seconds":
            return f"a number of seconds, {setting.least} or more"
        case "patterns":
            return "a list of patterns such as '*.bin', without empty ones"
        case "cluster":
            return "'auto', 'local', or host and port of the head of a cluster, such as '10.0.0.1:6379'"
        case "table":
            return (
                "a table of tables such as {'big': {'cpus': 8, 'memory': '32 GiB'}}; in a variable, as JSON"
            )
        case "run":
            return f"{flags}, or the id or the name of a run"
        case "name":
            return (
                f"1 to {_MAX_LETTERS} letters, digits and '._-', a letter or a digit first, and not "
                f"{LATEST!r}, 'root' or the id of a run"
            )
        case "tags":
            return f"a list of tags, each of 1 to {_MAX_LETTERS} letters, digits and '._-:/=+@'"
        case "address":
            return f"an address of apprise, such as 'slack://...', or {OFF!r} for none"
        case "place":
            return "the path of a folder, or a url such as 's3://bucket/prefix'"
        case _:
            return "the path of a folder"


def show_value(setting: Setting, value: object) -> str:
    """Return a value for people: as Python writes it, but what may have a password only with its scheme.

    Example:
        >>> show_value(SETTINGS["notify"], "slack://TokenA/TokenB/TokenC"), show_value(SETTINGS["view"], True)
        ("'slack://**********'", 'True')
    """
    if setting.kind == "place":
        if not (isinstance(value, str) and is_url(value)) or _BEFORE_SECRETS.isdisjoint(value):
            return repr(value)
        return repr(value.partition(store_url.SCHEME_END)[0] + store_url.SCHEME_END + MASK)
    if setting.kind != "address" or value in (None, "", OFF):
        return repr(value)
    if not isinstance(value, str):
        return f"a value of the type {type(value).__qualname__}"  # a list may have addresses
    scheme, separator, _ = value.partition("://")  # the rest has passwords and tokens
    is_scheme = separator and _LETTERS.issuperset(scheme)
    return repr(f"{scheme}://{MASK}" if is_scheme else MASK)


def _is_valid(setting: Setting, value: object, choices: tuple[str, ...]) -> bool:
    """Return whether `value` is one of an argument or of a file."""
    match setting.kind:
        case "choice":
            return value in choices
        case "flag":
            return type(value) is bool
        case "number":
            return type(value) is int and value >= setting.least
        case "seconds":
            return type(value) in (int, float) and setting.least <= value < float("inf")  # type: ignore[operator]
        case "patterns":
            return isinstance(value, list | tuple) and all(map(_is_pattern, value))
        case "cluster":
            return isinstance(value, str) and _is_cluster(value)
        case "table":
            return isinstance(value, dict)
        case "run":
            return isinstance(value, bool | str)
        case "name":
            return isinstance(value, str) and _is_name(value)
        case "tags":
            return isinstance(value, list | tuple | set | frozenset) and all(map(_is_tag, value))
        case "address":
            return isinstance(value, str) and ("://" in value or value in ("", OFF))
        case "place":
            return _is_place(value)
        case _:
            return _is_folder(value)


def _is_folder(value: object) -> bool:
    """Return whether `value` is the path of a folder, which need not exist."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    return isinstance(path, str) and path != "" and "\0" not in path


def _is_place(value: object) -> bool:
    """Return whether `value` is the path of a folder or the url of an object store."""
    if not _is_folder(value):
        return False
    text = os.fspath(value)  # type: ignore[call-overload] # it is a path
    if not is_url(text):
        # A `Path` made of a url has lost a slash.
        return not text.startswith(store_url.SCHEME.replace("//", "/"))
    try:
        store_url.parse(text)
    except store_url.InvalidUrl:
        return False
    return True


def _from_text(setting: Setting, text: str) -> Any:
    """Return the value that the text of a variable means, or `_INVALID`."""
    word = text.lower()
    match setting.kind:
        case "flag":
            return True if word in _YES else False if word in _NO else _INVALID
        case "number":
            # Python reads no number that has thousands of digits.
            number = int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else -1
            return number if number >= setting.least else _INVALID
        case "seconds":
            digits = text.replace(".", "", 1)
            seconds = float(text) if digits.isdecimal() and len(digits) <= _MAX_DIGITS else -1.0
            return seconds if seconds >= setting.least else _INVALID
        case "patterns":
            return tuple(pattern.strip() for pattern in text.split(",") if pattern.strip())
        case "cluster":
            return text if _is_cluster(text) else _INVALID
        case "table":
            return _table_from_text(text)
        case "choice":
            return text if text in setting.choices else _INVALID
        case "run":
            return True if word in _YES else False if word in _NO else text
        case "name":
            return text if _is_name(text) else _INVALID
        case "tags":
            tags = tuple(tag.strip() for tag in text.split(",") if tag.strip())
            return tags if all(map(_is_tag, tags)) else _INVALID
        case "address":
            return text if "://" in text else OFF if word in _NO else _INVALID
        case "place":
            return text if _is_place(text) else _INVALID
        case _:
            return text


def _table_from_text(text: str) -> Any:
    """Return the table in a text in JSON, or `_INVALID`."""
    import json  # noqa: PLC0415 - takes 5 ms, and few runs need it

    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return _INVALID
    return table if isinstance(table, dict) else _INVALID


def _is_pattern(pattern: object) -> bool:
    return isinstance(pattern, str) and pattern.strip() != "" and "\0" not in pattern and "\n" not in pattern


def _is_cluster(text: str) -> bool:
    """Return whether `text` is a word for a cluster, or a host with a port."""
    host, _, port = text.rpartition(":")
    is_host = host != "" and host.isascii() and host.isprintable() and not {*host} & {*" /@"}
    return text in ("auto", "local") or (
        is_host and port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536
    )


def _is_name(text: str) -> bool:
    """Return whether a run may have this name."""
    is_like_id = text[:8].isdecimal() and text[8:9] == "-" and text[9:18].isdecimal() and len(text) > 17
    is_component = text == "root" or text.startswith("root.")
    if is_like_id or is_component or text == LATEST or text[:1] in ("", ".", "_", "-"):
        return False
    return len(text) <= _MAX_LETTERS and _LETTERS.issuperset(text)


def _is_tag(tag: object) -> bool:
    """Return whether a run may have this tag."""
    return isinstance(tag, str) and 0 < len(tag) <= _MAX_LETTERS and _LETTERS_OF_TAGS.issuperset(tag)


def absolute_place(place: str | os.PathLike[str], setting: str = "root_dir") -> str:
    """Return a folder as an absolute path, or a url without a slash at its end.

    Args:
        place: The folder or the url.
        setting: What the user has set, for the error.

    Raises:
        SettingError: It is neither the path of a folder nor the url of an object store.
        WorkingDirectoryGone: It is relative, and the working directory was removed.

    Example:
        >>> absolute_place("s3://bucket/prefix/"), absolute_place("/data/../root")
        ('s3://bucket/prefix', '/root')
    """
    if not _is_place(place):
        kind = SETTINGS["drives"]
        raise SettingError(
            f"{setting} must be {describe_values(kind)}. Found {show_value(kind, place)}", setting=setting
        )
    return str(place).rstrip("/") if is_url(place) else absolute(place)


def resolve_drives(given: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the absolute folder or the url that holds drives, and what `Path` and `Payload` refer to.

    Args:
        given: The folder or the url of the app, or `None`.
        environ: Where `LIGHTNING_LITE_DRIVES` and `LIGHTNING_LITE_ROOT` are looked up.

    Returns:
        `given`, else the variable, else that of `pyproject.toml`, else the root, see `resolve_root`.

    Raises:
        WorkingDirectoryGone: It is relative, and the working directory was removed.
        SettingError: It is no valid place, or the file with settings is not valid.

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
        SettingError: It is no valid place, or the file with settings is not valid.

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
        group root of another user is only accepted if the user named it, because anybody can make one in a
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
