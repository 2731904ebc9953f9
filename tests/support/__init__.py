"""Helpers that several folders of tests share; import them by their full name, `tests.support.<module>`.

A helper of one folder stays in that folder. A helper that a second folder needs moves here.
"""
