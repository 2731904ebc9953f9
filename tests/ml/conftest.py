"""The scripts are run by tests, and are no tests themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

collect_ignore = [
    "frontends_script.py",
    "gradio_app.py",
    "lightning_script.py",
    "ml_script.py",
    "quick_start_app.py",
    "redrawn_app.py",
    "spawn_script.py",
    "streamlit_app.py",
    "torch_script.py",
]


@pytest.fixture(autouse=True)
def cache_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give torch a folder for its cache; by default it is one for temporary files, and stays there."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))
