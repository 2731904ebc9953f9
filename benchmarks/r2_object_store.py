"""R2: put and get of a drive on an object store, next to bare obstore on the same server.

All content is new to the server at a put and to this machine at a get: each program has a cache of its own.
Bare obstore has no folders: it puts and gets file after file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Measure
from benchmarks.object_server import BUCKET, IS_INSTALLED, endpoint, lead_to, stop
from benchmarks.programs import figure_of
from lightning_lite.storage import Drive

#: What is put: how many files of how many bytes, and how often in one figure.
CONTENTS = {"1 kB": (1, 1000, 20), "64 MB": (1, 64_000_000, 2), "a folder of 300 x 1 kB": (300, 1000, 2)}


def write(content: str) -> list[Path]:
    """Write the files of the put into the working directory; return each file or folder."""
    files, size, repeats = CONTENTS[content]
    sources = [Path(f"source{number}") for number in range(repeats)]
    for source in sources:
        if files == 1:
            source.write_bytes(os.urandom(size))
        else:
            source.mkdir()
            for number in range(files):
                (source / str(number)).write_bytes(os.urandom(size))
    return sources


def drive_at(address: str, place: str, cache: str) -> Drive:
    """Return a drive on the server, with a cache of its own, after a first request."""
    lead_to(address)
    os.environ["XDG_CACHE_HOME"] = os.path.abspath(cache)
    drive = Drive("lit://bench", root_dir=place)
    Path("first").touch()
    drive.put("first")
    return drive


def new_place() -> str:
    """Return a place for drives that no other program uses."""
    return f"s3://{BUCKET}/{time.time_ns()}"


def put(address: str, content: str) -> None:
    """Print the milliseconds of one put into a drive."""
    sources = write(content)
    drive = drive_at(address, new_place(), "cache")
    began = time.monotonic()
    for source in sources:
        drive.put(str(source))
    print((time.monotonic() - began) / len(sources) * 1e3)


def fill(address: str, place: str) -> None:
    """Put all sources of the working directory into the drive, with another cache."""
    drive = drive_at(address, place, "other-cache")
    for source in Path().glob("source*"):
        drive.put(str(source))


def get(address: str, content: str) -> None:
    """Print the milliseconds of one get from a drive that another process has filled."""
    sources, place = write(content), new_place()
    call = f"from {__name__} import fill; fill({address!r}, {place!r})"
    subprocess.run([sys.executable, "-c", call], check=True)
    drive = drive_at(address, place, "cache")
    began = time.monotonic()
    for source in sources:
        drive.get(str(source), to=f"got/{source}")
    print((time.monotonic() - began) / len(sources) * 1e3)


def bare(address: str, content: str, verb: str) -> None:
    """Print the milliseconds of one put or get with obstore alone, without a connection to open."""
    import obstore  # noqa: PLC0415 - of the extra s3
    from obstore.store import S3Store  # noqa: PLC0415

    lead_to(address)
    store = S3Store(
        BUCKET,
        prefix=new_place().rpartition("/")[2],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    sources = write(content)
    files = [[file for file in (source, *source.glob("*")) if file.is_file()] for source in sources]
    taken = 0.0
    obstore.put(store, "first", b"")
    for group in files:
        began = time.monotonic()
        for file in group:
            obstore.put(store, str(file), file)
        if verb == "get":
            began = time.monotonic()
            for file in group:
                with Path("got").open("wb") as target:
                    for chunk in obstore.get(store, str(file)).stream():
                        target.write(chunk)
        taken += time.monotonic() - began
    print(taken / len(sources) * 1e3)


def measure(verb: str, content: str, goal: float) -> Measure:
    """Return the measure of a verb with one content."""
    return Measure(
        name="R2",
        what=f"{verb} of {content}, object store",
        limit_name="bare obstore",
        unit="ms",
        goal=goal,
        ours=lambda: figure_of(__name__, verb, endpoint(), content),
        limit=lambda: figure_of(__name__, "bare", endpoint(), content, verb),
        rounds=5,
        end=stop,
    )


#: By content, for put and get. A put of a small file is three requests, a get two; bare ones are one.
GOALS = {"1 kB": (4.0, 2.5), "64 MB": (1.3, 1.3), "a folder of 300 x 1 kB": (0.3, 0.3)}

MEASURES = [
    measure(verb, content, goal)
    for content, goals in GOALS.items()
    for verb, goal in zip(("put", "get"), goals, strict=True)
    if IS_INSTALLED
]
