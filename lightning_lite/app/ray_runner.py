"""Creates the runner that lets works run on the machines of a Ray cluster."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping

from lightning_lite.errors import SettingError
from lightning_lite.extras import check_setting
from lightning_lite.late_import import late_import
from lightning_lite.run_options import RunOptions
from lightning_lite.runners.base import RemoteOptions, Runner, RunnerOptions
from lightning_lite.runners.output.display_queue import Display
from lightning_lite.setting_kinds import OFF

#: By their names, because an app on one machine needs none of them; Ray alone takes half a second.
_RUNNER = "lightning_lite.runners.remote.runner"
_CLUSTER = "lightning_lite.runners.remote.ray_cluster"

_ADDRESS_VARIABLE = "RAY_ADDRESS"  # of Ray itself

#: A script that has imported one of them keeps files in the root or in the store of its drives. A work that
#: imports them later is refused when it uses a drive.
_USERS_OF_FILES = tuple(
    f"lightning_lite.storage.{module}" for module in ("drive", "path", "payload", "file_system")
)


def check_ray_is_installed() -> None:
    """Refuse the runner if its package is missing.

    Raises:
        SettingError: Ray is not installed.
    """
    check_setting("runner='ray'", "ray", "ray")


def cluster_address(options: RunOptions, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the cluster, `None` if the app finds or starts one.

    Args:
        options: The options of the run.
        environ: Where the variable of Ray itself is looked up, which counts if there is no other address.

    Raises:
        SettingError: The variable has an address of Ray Client.

    Example:
        >>> cluster_address(RunOptions("/root"), {"RAY_ADDRESS": "10.0.0.1:6379"})
        '10.0.0.1:6379'
    """
    if options.ray_address not in (None, "auto"):
        return options.ray_address
    address = environ.get(_ADDRESS_VARIABLE, "")
    if "://" in address:
        raise SettingError(
            f"{_ADDRESS_VARIABLE}={address}: works can't report to the app through Ray Client; give host and "
            "port of the head of the cluster, such as 10.0.0.1:6379.",
            setting="ray_address",
        )
    return address or options.ray_address


def remote_options(options: RunOptions) -> RemoteOptions:
    """Return the options of a run for the runner of several machines.

    Raises:
        SettingError: The folder to send to the machines does not exist, or see `cluster_address`.
    """
    folder = options.ray_working_dir
    if folder is None:
        folder = script_folder()
    elif folder == OFF:
        folder = None
    elif not os.path.isdir(folder):
        raise SettingError(f"ray_working_dir: there is no folder {folder!r}.", setting="ray_working_dir")
    return RemoteOptions(
        cluster_address(options),
        options.ray_lease,
        folder,
        options.ray_excludes,
        options.ray_direct,
        keeps_files=options.drives is not None or any(module in sys.modules for module in _USERS_OF_FILES),
    )


def make_remote_runner(options: RunnerOptions, display: Display) -> Runner:
    """Connect to the cluster, and return the runner.

    Args:
        options: The options of the runner; they have remote ones.
        display: Shows the output of works.

    Raises:
        RunnerError: There is no cluster, or it can't be used; the message says why.
    """
    cluster = late_import(_CLUSTER).RayCluster(options.remote)
    try:
        runner: Runner = late_import(_RUNNER).RemoteRunner(options, cluster, display)
    except BaseException:
        cluster.close()
        raise
    return runner


def script_folder() -> str | None:
    """Return the folder from which the script imports its modules; `None` without a script of the user."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if not isinstance(path, str) or not os.path.isfile(path):
        return None  # the prompt, a notebook, or a program in an archive
    folder = os.path.dirname(os.path.abspath(path))
    spec = getattr(main, "__spec__", None)
    package = spec.parent if spec is not None else ""
    for _ in filter(None, package.split(".")):  # `python -m package.module`
        folder = os.path.dirname(folder)
    installed = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib", "scripts")}
    # A program that is installed, such as pytest: the machines have its packages, which may be some GB.
    return None if folder in installed else folder
