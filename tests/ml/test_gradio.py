"""`ServeGradio` with the real gradio; `make test-ml` installs it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lightning_lite.components import ServeGradio
from lightning_lite.errors import ComponentError

from tests.support.processes import finish, run_python, starting, wait_until_gone

pytest.importorskip("gradio", reason="only in `make test-ml`")

pytestmark = pytest.mark.timeout(400)  # four processes import gradio

SCRIPT = Path(__file__).with_name("gradio_app.py")


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"GRADIO_TEMP_DIR": str(tmp_path / "gradio")}


def test_the_page_of_gradio_is_served_and_asked(environment):
    done = run_python(SCRIPT, "end", env=environment, timeout=300)

    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.startswith("root.ask")]
    assert printed == [
        "root.ask | ('Hello Bob! Hello Bob! from gradio', True)",
        "root.ask | AppError False",
        "root.ask | ['a', 'ab', 'abc']",
    ]


def test_an_app_of_lightning_trains_and_serves_unmodified(environment):
    app = SCRIPT.with_name("quick_start_app.py")
    done = run_python(
        "-m", "lightning_lite", "run", "app", app, "--open-ui", "false", "--without-server",
        env=environment, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["root.visit | y is 7.0", "Quick start ends"]


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_page_that_is_busy_ends_with_its_app(signum, code, environment):
    with starting() as start:
        process = start(SCRIPT, "hang", env=environment)
        line = next(line for line in process.stdout if "| pid " in line)
        process.send_signal(signum)
        returned = finish(process)[0]
        wait_until_gone(int(line.split()[-1]))

    assert returned in (code, -signum)


@pytest.mark.parametrize("missing", ["inputs", "outputs", "build_model", "predict"])
def test_a_page_that_lacks_something_is_refused(missing):
    parts = {
        "inputs": "text",
        "outputs": "text",
        "build_model": lambda self: None,
        "predict": lambda self, text: text,
    }
    page = type("Page", (ServeGradio,), {name: part for name, part in parts.items() if name != missing})

    with pytest.raises(ComponentError, match=f"`Page` is missing the .*`{missing}"):
        page()
