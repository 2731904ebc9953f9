"""Functions of Lightning App that test an app in its cloud.

A file of tests often has tests of both kinds. These functions can be imported, so that its other tests run;
each says at its call why it can't do anything here.
"""

from __future__ import annotations

from typing import Any, NoReturn

from lightning_lite.lightning_app.stubs import LightningPlatformException


def run_app_in_cloud(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Refuse to run an app in the cloud.

    Raises:
        LightningPlatformException: Always.

    Example:
        >>> run_app_in_cloud("app")
        Traceback (most recent call last):
        lightning_lite.lightning_app.stubs.LightningPlatformException: run_app_in_cloud: there is no ...
    """
    _refuse("run_app_in_cloud", "application_testing")


def wait_for(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Refuse to wait for a page of the cloud.

    Raises:
        LightningPlatformException: Always.
    """
    _refuse("wait_for", "lightning_lite.testing.poll_until")


def delete_cloud_lightning_apps(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Refuse to delete apps in the cloud.

    Raises:
        LightningPlatformException: Always.
    """
    _refuse("delete_cloud_lightning_apps", "lightning-lite clean")


def _refuse(name: str, replacement: str) -> NoReturn:
    raise LightningPlatformException(f"{name}: there is no cloud here, use {replacement}.")
