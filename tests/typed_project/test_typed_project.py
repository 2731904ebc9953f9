"""The types that mypy and pyright prove in `make check` are true when the program runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import run_script


def test_what_type_checkers_know_of_components_structures_and_apps_runs(own_place: Path) -> None:
    run_script(Path(__file__).with_name("right_types.py"), cwd=own_place)
