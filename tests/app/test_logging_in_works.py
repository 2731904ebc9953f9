"""The effect that `logging` of the script has in works: loggers of modules, files, filters, formats."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.forked_scripts import ForkedScripts

FLOW = """
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()
        self.other = Work()

    def run(self):
        self.work.run()
        self.other.run()
        self.stop()

LightningApp(Flow()).run(view=False)
"""

START = """
import logging, sys, threading
from lightning_lite import LightningWork
"""


def lines_of(forked_scripts: ForkedScripts, tmp_path: Path, script: str) -> list[str]:
    """Return the lines of the first work."""
    (tmp_path / "app.py").write_text(START + script + FLOW)
    lines = forked_scripts.run(tmp_path / "app.py", cwd=tmp_path).splitlines()
    return [line.removeprefix("root.work | ") for line in lines if line.startswith("root.work | ")]


def test_a_logger_with_a_formatter_of_the_script_logs_in_works(
    forked_scripts: ForkedScripts, tmp_path: Path
) -> None:
    script = """
class Shout(logging.Formatter):
    def format(self, record):
        return super().format(record).upper()

logs = [logging.getLogger(name) for name in ("__main__", "not_a_module", "json")]
for log in logs:
    log.setLevel("INFO")
    log.addHandler(logging.StreamHandler(sys.stdout))
    log.handlers[0].setFormatter(Shout("%(levelname)s %(name)s %(message)s"))

class Work(LightningWork):
    def run(self):
        for log in logs:
            log.info("hello")
            log.debug("not this")
"""
    expected = ["INFO __MAIN__ HELLO", "INFO NOT_A_MODULE HELLO", "INFO JSON HELLO"]
    assert lines_of(forked_scripts, tmp_path, script) == expected


PACKAGE = """
import logging, sys

class Formatter(logging.Formatter):
    pass

class Handler(logging.StreamHandler):
    pass

def setup():
    log = logging.getLogger("mypkg")
    log.setLevel("INFO")
    log.propagate = False
    handler = {handler}
    handler.setFormatter(Formatter("mypkg %(message)s"))
    log.addHandler(handler)

def work(number):
    logging.getLogger("mypkg").info("number %d", number)

{at_import}
"""


@pytest.mark.parametrize(
    ("handler", "at_import"),
    [
        ("logging.StreamHandler(sys.stdout)", ""),
        ("logging.StreamHandler()", "setup()"),
        ("Handler(sys.stdout)", ""),
        ("Handler(sys.stdout)", "setup()"),
    ],
)
def test_a_logger_of_a_package_has_its_handler_once_in_works(
    forked_scripts: ForkedScripts, tmp_path: Path, handler: str, at_import: str
) -> None:
    (tmp_path / "mypkg.py").write_text(PACKAGE.format(handler=handler, at_import=at_import))
    call = "" if at_import else "mypkg.setup()"
    script = f"""
import mypkg
{call}

class Work(LightningWork):
    def on_start(self):
        assert logging.getLogger("mypkg").isEnabledFor(logging.INFO)

    def run(self):
        mypkg.work(1)
        mypkg.work(2)
"""
    assert lines_of(forked_scripts, tmp_path, script) == ["mypkg number 1", "mypkg number 2"]


@pytest.mark.parametrize("options", ['"w"', '"w", delay=True', '"a"', '"w", encoding="utf-16-le"'])
def test_the_main_process_and_works_write_to_one_file_without_loss(
    forked_scripts: ForkedScripts, tmp_path: Path, options: str
) -> None:
    script = f"""
open("log.txt", "w").close()
log = logging.getLogger("mine")
log.setLevel("INFO")
log.addHandler(logging.FileHandler("log.txt", {options}))
if "delay" not in {options!r}:
    log.info("begin")

class Work(LightningWork):
    def run(self):
        for i in range(3):
            log.info("work %d", i)

import atexit
atexit.register(log.info, "end")
"""
    lines_of(forked_scripts, tmp_path, script)

    encoding = "utf-16-le" if "utf-16" in options else "utf-8"
    written = (tmp_path / "log.txt").read_bytes().decode(encoding).splitlines()
    begin = [] if "delay" in options else ["begin"]
    assert written == [*begin, *(f"work {i}" for i in range(3)), *(f"work {i}" for i in range(3)), "end"]


HIDE = """
class Hide(logging.Filter):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def filter(self, record):
        record.msg = record.msg.replace("secret", "***")
        return True

log = logging.getLogger({name!r})
log.setLevel("INFO")
log.addHandler(logging.{handler})
log{owner}.addFilter(Hide())

class Work(LightningWork):
    def run(self):
        log.warning("secret")
        logging.getLogger("other").error("visible")
"""


@pytest.mark.parametrize(
    ("name", "handler", "owner"),
    [
        ("", "StreamHandler()", ""),
        ("mine.part", "StreamHandler()", ""),
        ("", "StreamHandler()", ".handlers[0]"),
        ("mine", "FileHandler('log.txt')", ".handlers[0]"),
        ("mine.part", "handlers.MemoryHandler(9)", ".handlers[0]"),
    ],
)
def test_a_filter_that_can_not_travel_lets_nothing_pass_and_is_named(
    forked_scripts: ForkedScripts, tmp_path: Path, name: str, handler: str, owner: str
) -> None:
    script = START + "import logging.handlers" + HIDE.format(name=name, handler=handler, owner=owner) + FLOW
    (tmp_path / "app.py").write_text(script)

    done = forked_scripts.run_to_end(tmp_path / "app.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    log = tmp_path / "log.txt"
    assert "secret" not in done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    warnings = re.findall("UserWarning: (.*)", done.stderr)
    place = f"the handler {handler.split('(')[0].split('.')[-1]} of " if owner else ""
    assert len(warnings) == 1
    assert warnings[0].startswith(f"The filter Hide of {place}the logger {name or 'root'!r} can't be sent")
    assert "LightningApp(setup=...)" in warnings[0]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('"{levelname} {message}", style="{"', "INFO hello"),
        ('"$levelname $message", style="$"', "INFO hello"),
        ('"%(levelname)s %(message)s"', "INFO hello"),
        ('"{levelname} {extra}", style="{", defaults={"extra": 3}', "INFO 3"),
        ('"{levelname}", style="{", defaults={"extra": threading.Lock()}', "INFO|hello"),
    ],
)
def test_a_formatter_that_can_not_travel_is_replaced_by_one_of_its_format_and_named(
    forked_scripts: ForkedScripts, tmp_path: Path, arguments: str, shown: str
) -> None:
    script = f"""
class Locked(logging.Formatter):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.lock = threading.Lock()

log = logging.getLogger("mine")
log.setLevel("INFO")
log.addHandler(logging.StreamHandler(sys.stdout))
log.handlers[0].setFormatter(Locked({arguments}))

class Work(LightningWork):
    def run(self):
        log.info("hello")
"""
    (tmp_path / "app.py").write_text(START + script + FLOW)

    done = forked_scripts.run_to_end(tmp_path / "app.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    (line,) = re.findall(r"root\.work \| (.*)", done.stdout)
    assert line in shown.split("|")
    (warning,) = re.findall("UserWarning: (.*)", done.stderr)
    assert warning.startswith(
        "The formatter Locked of the handler StreamHandler of the logger 'mine' can't be sent"
    )
    assert "LightningApp(setup=...)" in warning


@pytest.mark.parametrize("travels", [True, False])
def test_the_class_of_loggers_follows_or_is_named(
    forked_scripts: ForkedScripts, tmp_path: Path, travels: bool
) -> None:
    script = f"""
lock = None if {travels} else threading.Lock()

class Logger(logging.Logger):
    def info(self, message):
        super().info(message + (" from the class" if lock is None else ""))

logging.setLoggerClass(Logger)
logging.basicConfig(stream=sys.stdout, level="INFO", format="%(message)s")

class Work(LightningWork):
    def run(self):
        logging.getLogger("new").info("hello")
"""
    (tmp_path / "app.py").write_text(START + script + FLOW)

    done = forked_scripts.run_to_end(tmp_path / "app.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert ("root.work | hello from the class" in done.stdout) is travels
    assert ("The class Logger of logging.setLoggerClass can't be sent to works" in done.stderr) is not travels
    assert "lightning_lite/" not in done.stderr  # the warning shows a line of the script
    assert "root.work | hello" in done.stdout


ROTATION = """
import logging.handlers, os, shutil
from lightning_lite import LightningApp, LightningFlow, LightningWork

os.mkdir("logs")
handler = logging.handlers.{handler}
logging.basicConfig(level="INFO", format="%(message)s", handlers=[handler])

class Work(LightningWork):
    def run(self, number):
        logging.info("work %d", number)

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        for number in range(9):
            self.work.run(number)
            if number in (3, 6):
                {rotate}
            logging.info("flow %d", number)
        self.stop()

LightningApp(Flow()).run({options})
"""


SIZED = "RotatingFileHandler('logs/log', maxBytes=50, backupCount=9)"
TIMED = "TimedRotatingFileHandler('logs/log', 'D')"
RENAME = "os.rename('logs/log', f'logs/log.{number}')"


@pytest.mark.parametrize(
    ("handler", "rotate", "options"),
    [
        (SIZED, "pass", ""),
        (SIZED, "pass", "start_method='forkserver'"),
        (SIZED, "pass", "runner='inline'"),
        (TIMED, "handler.suffix = str(number); handler.doRollover()", ""),
        ("WatchedFileHandler('logs/log', delay=True)", RENAME, ""),
        ("WatchedFileHandler('logs/log', 'w')", RENAME, ""),
        ("WatchedFileHandler('logs/log', 'x')", RENAME, ""),
    ],
)
def test_no_line_is_lost_when_the_file_is_rotated(
    forked_scripts: ForkedScripts, tmp_path: Path, handler: str, rotate: str, options: str
) -> None:
    (tmp_path / "app.py").write_text(ROTATION.format(handler=handler, rotate=rotate, options=options))

    forked_scripts.run(tmp_path / "app.py", cwd=tmp_path)

    files = list((tmp_path / "logs").iterdir())
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) > 2
    assert sorted(lines) == [f"{name} {number}" for name in ("flow", "work") for number in range(9)]
    if rotate != "pass":
        assert (tmp_path / "logs" / "log").read_text().splitlines()[-2:] == ["work 8", "flow 8"]


@pytest.mark.parametrize(
    ("handler", "is_open"),
    [
        ("RotatingFileHandler('logs/log', maxBytes=9999, backupCount=1)", True),
        ("RotatingFileHandler('logs/log', maxBytes=9999, backupCount=1)", False),
        ("logging.FileHandler('logs/log')", False),
    ],
)
def test_a_call_goes_on_if_its_line_can_not_be_written_to_the_file(
    forked_scripts: ForkedScripts, tmp_path: Path, handler: str, is_open: bool
) -> None:
    script = ROTATION.format(handler=handler, rotate="shutil.rmtree('logs', True)", options="view=False")
    if not is_open:
        script = script.replace(
            "for number in range(9):", "for number in (3,):\n            shutil.rmtree('logs', True)"
        )
    (tmp_path / "app.py").write_text(script)

    done = forked_scripts.run_to_end(tmp_path / "app.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "root.work | --- Logging error ---\n" in done.stdout
    assert re.search(r"root\.work \| FileNotFoundError: .*/logs/log'\n", done.stdout)


CLOSED = """
import logging
from lightning_lite import LightningApp, LightningFlow, LightningWork

logging.basicConfig(level="INFO", filename="log")

class Work(LightningWork):
    def run(self):
        (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, logging.FileHandler)]
        logging.info("one")
        handler.stream.close()
        logging.info("two")
        return "done"

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.stop(self.work.run())

LightningApp(Flow()).run()
"""


def test_a_call_goes_on_if_it_has_closed_the_file_itself(
    forked_scripts: ForkedScripts, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(CLOSED)

    done = forked_scripts.run_to_end(tmp_path / "app.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
    assert "root.work | ValueError: I/O operation on closed file." in done.stdout
