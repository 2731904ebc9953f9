"""Settings of the process follow to works: logging, warnings, limits of Python, locale, and `setup=`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import ArgumentError, ComponentError, WorkStartFailed

from tests.support.forked_scripts import ForkedScripts

APP = """
import decimal, locale, logging, logging.config, sys, warnings
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Short(logging.Formatter):
    def format(self, record):
        return "SHORT " + super().format(record)

logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}, "short": {"()": Short}},
    "filters": {"only": {"()": "logging.Filter", "name": "mine"}},
    "handlers": {
        "out": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stdout"},
        "short": {"class": "logging.StreamHandler", "formatter": "short", "filters": ["only"]},
        "file": {"class": "logging.FileHandler", "filename": "log.txt", "formatter": "plain"},
    },
    "root": {"level": "INFO", "handlers": ["out"]},
    "loggers": {"mine": {"level": "DEBUG", "handlers": ["short", "file"]}, "noisy": {"level": "ERROR"}},
})
logging.addLevelName(25, "NOTE")
logging.captureWarnings(True)
warnings.filterwarnings("error", "as an error", UserWarning)
warnings.filterwarnings("ignore", "not shown")
sys.setrecursionlimit(4321)
sys.set_int_max_str_digits(5432)
locale.setlocale(locale.LC_NUMERIC, "C.UTF-8")

def prepare():
    decimal.getcontext().prec = 5

class Work(LightningWork):
    def on_start(self):
        assert decimal.getcontext().prec == 5, "setup is called before on_start"

    def run(self):
        logging.getLogger("mine").debug("debug")
        logging.getLogger("mine.part").log(25, "note")
        logging.getLogger("noisy").warning("noise")
        logging.getLogger("other").info("info")
        logging.getLogger("other").debug("nothing")
        warnings.warn("not shown")
        warnings.warn("captured")
        try:
            warnings.warn("as an error")
        except UserWarning:
            print("raised")
        numeric = locale.setlocale(locale.LC_NUMERIC)
        return sys.getrecursionlimit(), sys.get_int_max_str_digits(), numeric, str(decimal.Decimal(1) / 3)

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        print("ANSWER", self.work.run())
        self.stop()

LightningApp(Flow(), setup=prepare).run(start_method=sys.argv[1])
"""


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_settings_of_the_script_are_those_of_its_works(
    forked_scripts: ForkedScripts, start_method: str, tmp_path: Path
) -> None:
    script = tmp_path / "app.py"
    script.write_text(APP)

    output = forked_scripts.run(script, start_method, cwd=tmp_path)

    lines = [line.removeprefix("root.work | ") for line in output.splitlines()]
    warned = [line for line in lines if "UserWarning" in line or "warnings.warn" in line]
    assert [line for line in lines if line not in warned and line.strip()] == [
        "SHORT debug",
        "DEBUG mine debug",
        "SHORT note",
        "NOTE mine.part note",
        "INFO other info",
        "raised",
        "ANSWER (4321, 5432, 'C.UTF-8', '0.33333')",
    ]
    assert "UserWarning: captured" in warned[0]
    assert (tmp_path / "log.txt").read_text().splitlines() == ["DEBUG mine debug", "NOTE mine.part note"]


class Idle(LightningWork):
    def run(self) -> None:
        pass


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.work = Idle()

    def run(self) -> None:
        self.work.run()
        self.stop()


def fail() -> None:
    raise LookupError("no such device")


def test_an_error_of_setup_is_that_of_the_start_of_the_work() -> None:
    with pytest.raises(WorkStartFailed, match=r"root.work could not start: LookupError: no such device"):
        LightningApp(Flow(), setup=fail).run()
    with pytest.raises(LookupError, match="no such device"):
        LightningApp(Flow(), setup=fail).run("inline")


def test_a_setup_that_is_no_function_or_can_not_be_sent_is_refused() -> None:
    with pytest.raises(ComponentError, match="setup must be a function without arguments"):
        LightningApp(Flow(), setup=3)  # type: ignore[arg-type]
    lock = threading.Lock()
    with pytest.raises(ArgumentError, match=r"LightningApp\(setup=...\): the function can't be sent"):
        LightningApp(Flow(), setup=lambda: lock.acquire()).run()
