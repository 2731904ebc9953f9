"""Writes logs of works without running one."""

from __future__ import annotations

from pathlib import Path

from lightning_lite.runners.output.line_times import TimesWriter


def make_log(run: Path, work: str, *pieces: tuple[float, str | bytes]) -> Path:
    """Append pieces to the log of a work and to its index, and return the path of the log.

    Args:
        run: Folder of the run.
        work: Name of the work.
        pieces: Time at which a piece of output arrived, and the piece.
    """
    (run / "logs").mkdir(exist_ok=True)
    log = run / "logs" / f"{work}.log"
    now = [0.0]
    times = TimesWriter(str(log), lambda: now[0])
    with open(log, "ab") as file:
        for moment, piece in pieces:
            now[0] = moment
            times.note(file.tell())
            file.write(piece.encode() if isinstance(piece, str) else piece)
    times.close()
    return log
