"""Checks that the packages of an extra are installed, before a component or a frontend needs them."""

from __future__ import annotations

from importlib.util import find_spec

from lightning_lite.distribution import NAME


def check_installed(user: str, extra: str, *packages: str) -> None:
    """Refuse to go on without the packages that a component or a frontend needs.

    Args:
        user: Name of the component or the frontend.
        extra: The extra of this package that brings them.
        *packages: Their names in an import.

    Raises:
        ModuleNotFoundError: One is not installed; the message has the command that installs it.

    Example:
        >>> check_installed("PythonServer", "lightning", "json")
        >>> try:
        ...     check_installed("PythonServer", "lightning", "absent")
        ... except ModuleNotFoundError as error:
        ...     print(str(error).partition(": ")[0])
        PythonServer needs absent, which is not installed
    """
    for package in packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(
                f"{user} needs {package}, which is not installed: pip install '{NAME}[{extra}]'", name=package
            )
