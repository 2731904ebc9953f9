"""Finds packages that are not installed, and says which extra of this package brings them."""

from __future__ import annotations

from importlib.util import find_spec

from lightning_lite.distribution import NAME
from lightning_lite.errors import SettingError

#: The packages of the extra `ui` that the page needs.
UI_PACKAGES = ("starlette", "uvicorn")

#: The packages of the extra `lightning` that the API of an app needs.
API_PACKAGES = ("fastapi", *UI_PACKAGES)


def missing_package(*packages: str) -> str:
    """Return the first of these packages that is not installed; "" if all are.

    Args:
        *packages: Their names in an import.

    Example:
        >>> missing_package("json", "absent")
        'absent'
    """
    return next(iter(missing_packages(*packages)), "")


def missing_packages(*packages: str) -> list[str]:
    """Return the packages among these that are not installed.

    Args:
        *packages: Their names in an import; a name with a dot is the name of a module in a package.

    Example:
        >>> missing_packages("json", "absent", "absent.module")
        ['absent', 'absent.module']
    """
    return [package for package in packages if not _is_installed(package)]


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package that the module would be in
        return False


def install_command(extra: str) -> str:
    """Return the command that installs an extra of this package."""
    return f"pip install '{NAME}[{extra}]'"


def check_installed(user: str, extra: str, *packages: str) -> None:
    """Refuse to continue without the packages that a component or a frontend needs.

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
    if package := missing_package(*packages):
        raise ModuleNotFoundError(
            f"{user} needs {package}, which is not installed: {install_command(extra)}", name=package
        )


def check_setting(setting: str, extra: str, *packages: str) -> None:
    """Refuse a setting that needs packages which are not installed.

    Args:
        setting: Name of the setting.
        extra: The extra of this package that brings them.
        *packages: Their names in an import.

    Raises:
        SettingError: One is not installed; the message has the command that installs it.

    Example:
        >>> check_setting("drives", "s3", "json")
    """
    try:
        check_installed(setting, extra, *packages)
    except ModuleNotFoundError as error:
        raise SettingError(str(error), setting=setting) from None
