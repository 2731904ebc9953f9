"""A module that only the folder of the app has, so that its works need that folder."""

from __future__ import annotations


def twice(number):
    return 2 * number
