"""Frontends: servers of the pages that flows show, each in a process of its own."""

from __future__ import annotations

from lightning_lite.frontends.base import Frontend

__all__ = ["Frontend"]
