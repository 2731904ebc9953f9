"""Checks the machine: Python, packages, system, limits and terminal."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
from collections.abc import Iterator
from importlib import metadata

import psutil

from lightning_lite import distribution
from lightning_lite.cli.checks.result import FAILURE, WARNING, Check, Finding
from lightning_lite.lightning_app.finder import installed_packages
from lightning_lite.quantity_text import format_bytes
from lightning_lite.run_options import RunOptions
from lightning_lite.settings import SETTINGS, Settings, show_value

if sys.platform != "win32":
    import resource

_NEEDED = (
    "multiprocess", "cloudpickle", "filelock", "rich", "cronsim", "click", "rich-click", "psutil", "xxhash",
)  # fmt: skip

#: With less, apps of some dozen works may fail. A work needs about ten open files in the main process.
_FEW_FILES = 512
_FEW_PROCESSES = 512
_LITTLE_MEMORY = 512 * 1024**2

_CGROUP = "/sys/fs/cgroup"


def checks() -> Iterator[tuple[str, Check]]:
    """Yield the checks with their subjects, in the order of the page."""
    yield "python", _python
    yield "install", _install
    yield "packages", _packages
    yield "system", _system
    yield "cpus", _cpus
    yield "memory", _memory
    yield "open files", _open_files
    yield "processes", _processes
    yield "exit detection", _exit_detection
    yield "start method", _start_method
    yield "lightning apps", _lightning_apps
    yield "settings", _settings
    yield "terminal", _terminal


def _python() -> Finding:
    value = f"{platform.python_version()} ({platform.python_implementation()}) {sys.executable}"
    return Finding("python", value)


def _install() -> Finding:
    """Report which distributions have a package `lightning_lite`, and the folder of the imported one."""
    folder = os.path.dirname(distribution.__file__)
    providers = set(metadata.packages_distributions().get("lightning_lite", ()))
    others = sorted(filter(None, providers - {distribution.NAME}))  # None: metadata of a broken installation
    if others:  # the distributions have written into one folder, so removal of one breaks the other
        value = f"{folder}; another distribution has a package lightning_lite, too: {', '.join(others)}"
        names = " ".join([*others, distribution.NAME])
        advice = f"pip uninstall {names}; then install {distribution.NAME} again, as its README says"
        return Finding("install", value, FAILURE, advice)
    try:
        version = metadata.version(distribution.NAME)
    except metadata.PackageNotFoundError:
        return Finding("install", f"{folder}, not installed")
    if version != distribution.__version__:
        value = f"{folder} is {distribution.__version__}, but {distribution.NAME} {version} is installed"
        advice = f"install it again, or remove the other one: pip uninstall {distribution.NAME}"
        return Finding("install", value, WARNING, advice)
    return Finding("install", f"{distribution.NAME} {version}, {folder}")


def _packages() -> Finding:
    versions, missing = [], []
    for name in _NEEDED:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        advice = f"pip install {' '.join(missing)}"
        return Finding("packages", f"{', '.join(versions)}; missing: {', '.join(missing)}", FAILURE, advice)
    return Finding("packages", ", ".join(versions))


def _system() -> Finding:
    return Finding("system", f"{platform.platform()}, {platform.machine()}")


def _cpus() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota, _, period = _read_limit("cpu.max").partition(" ")
    limit = f", limited to {int(quota) / int(period):g}" if quota.isdigit() and period.isdigit() else ""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return Finding("cpus", f"{usable} of {os.cpu_count()}{limit}, load {load}")


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    limit = _read_limit("memory.max")
    within = f", limited to {format_bytes(int(limit))}" if limit.isdigit() else ""
    value = f"{format_bytes(memory.total)}, {format_bytes(memory.available)} available{within}"
    if memory.available < _LITTLE_MEMORY:
        return Finding("memory", value, WARNING, "end other programs; each work needs at least some ten MiB")
    return Finding("memory", value)


def _open_files() -> Finding:
    if sys.platform == "win32":
        return Finding("open files", "not limited")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    value = f"{_count(soft)} (hard limit {_count(hard)})"
    if soft != resource.RLIM_INFINITY and soft < _FEW_FILES:
        command = f"ulimit -n {min(hard, 4096)}" if hard > soft else "the hard limit, in limits.conf"
        return Finding("open files", value, WARNING, f"raise it for many works: {command}")
    return Finding("open files", value)


def _processes() -> Finding:
    if sys.platform == "win32":
        return Finding("processes", "not limited")
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = _read_limit("pids.max")
    within = f", {most} in this container" if most.isdigit() else ""
    value = f"{_count(soft)} (hard limit {_count(hard)}){within}"
    few = [limit for limit in (soft, int(most) if most.isdigit() else -1) if 0 <= limit < _FEW_PROCESSES]
    if few:
        return Finding(
            "processes", value, WARNING, "raise it for many works: ulimit -u, or the container's limit"
        )
    return Finding("processes", value)


def _exit_detection() -> Finding:
    """Report how the exit of a work is detected, and how works end if the main process is killed."""
    try:
        os.close(os.pidfd_open(os.getpid()))
        notices = "pidfd"
    except (AttributeError, OSError):
        notices = "pipe"
    ends = "parent-death signal" if sys.platform == "linux" else "end of the pipe"
    value = f"{notices}, {ends}"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell without job control does so for `&`
        advice = "Ctrl-C and SIGINT do not end an app here; start it without `&`, or with job control"
        return Finding("exit detection", f"{value}; Ctrl-C is ignored", WARNING, advice)
    return Finding("exit detection", value)


def _start_method() -> Finding:
    options = RunOptions.resolve(environ=dict(os.environ))
    return Finding("start method", f"{options.start_method}, runner {options.runner}")


def _lightning_apps() -> Finding:
    """Report where the imports of Lightning App lead."""
    found = installed_packages()
    if found:
        value = f"{' and '.join(found)} of an installed package, not of lightning_lite"
        advice = (
            "for lightning_lite: pip uninstall lightning-app, and pip install -U lightning if you use that"
        )
        return Finding("lightning apps", value, WARNING, advice)
    return Finding("lightning apps", "import lightning.app leads to lightning_lite")


def _settings() -> Finding:
    settings = Settings()
    found = [(name, settings.find(name)) for name in SETTINGS]
    own = [
        f"{name}={show_value(SETTINGS[name], value)} ({origin})"
        for name, (value, origin) in found
        if origin != "default"
    ]
    return Finding("settings", ", ".join(own) or "none in the environment and in pyproject.toml")


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return Finding("terminal", f"none; output in {sys.stdout.encoding}")
    columns, lines = shutil.get_terminal_size()
    term = os.environ.get("TERM", "")
    plain = ", NO_COLOR" if os.environ.get("NO_COLOR") else ""
    value = f"{term or 'TERM is not set'}, {columns} x {lines}, {sys.stdout.encoding}{plain}"
    if sys.stdout.encoding.lower().replace("-", "") != "utf8":
        return Finding("terminal", value, WARNING, "set LANG to a locale with UTF-8, such as C.UTF-8")
    return Finding("terminal", value)


def _read_limit(name: str) -> str:
    """Return a limit of the container, or "" if it has none or it can't be read."""
    try:
        with open(os.path.join(_CGROUP, name), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def _count(limit: int) -> str:
    return "unlimited" if limit < 0 or limit >= sys.maxsize else str(limit)
