"""The programs on the pages that use large packages print the text below them; see `make test-ml`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import Program, programs, run_program

for package in ("sklearn", "torch", "gradio"):
    pytest.importorskip(package, reason="only in `make test-ml`")


@pytest.mark.parametrize(
    "program",
    [program for program in programs() if program.needs_large_packages],
    ids=lambda program: program.place,
)
def test_a_program_with_large_packages_prints_the_text_below_it(
    program: Program, own_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # torch keeps its cache in the folder of temporary files, for the next program.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))

    assert run_program(program, own_place) == program.printed
