"""Frontends with the real Streamlit and Panel, looked at as a browser does: over their socket."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.testing import poll_until

from tests.support.processes import DEADLINE, starting

for package in ("streamlit", "panel"):
    pytest.importorskip(package, reason="only in `make test-ml`")

APP = Path(__file__).with_name("frontends_script.py")


def tabs() -> list[Any]:
    files = list(Path(os.environ["LIGHTNING_LITE_ROOT"]).glob("runs/*/layout.json"))
    try:
        return json.loads(files[0].read_text())["tabs"] if files else []  # type: ignore[no-any-return]
    except ValueError:
        return []


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return answer.read().decode()  # type: ignore[no-any-return]


@pytest.mark.parametrize("words", [(), ("-m", "lightning_lite", "run", "app")])
def test_an_app_shows_pages_of_streamlit_and_panel(own_place: Path, words: tuple[str, ...]):
    with starting() as start:
        app = start(*words, APP, *(("--app_args",) if words else ()), "an argument")
        poll_until(lambda: len(tabs()) == 3 and all(tab["url"] for tab in tabs()), DEADLINE)
        shown = {tab["name"]: tab["url"] for tab in tabs()}

        assert read(shown["Streamlit"].replace("/root.streamlit", "/root.streamlit/_stcore/health")) == "ok"
        assert "streamlit" in read(shown["Streamlit"]).lower()
        assert "Panel shows an argument" in read(shown["Panel"])
        assert "The file of a page" in read(shown["File"])
        assert app.poll() is None
        app.terminate()
        assert app.wait(DEADLINE) == 143
    assert len(list(Path(os.environ["LIGHTNING_LITE_ROOT"]).glob("runs/*"))) == 1
