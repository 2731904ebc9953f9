"""The limit of P10: processes of the standard library that the kernel kills when their parent has died."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Callable
from ctypes import CDLL
from multiprocessing.connection import Connection

PR_SET_PDEATHSIG, SIGKILL = 1, 9


def die_with_parent() -> None:
    """Ask the kernel for the parent-death signal."""
    CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def work(connection: Connection) -> None:
    """Report the process id, and compute for ever."""
    die_with_parent()
    connection.send(os.getpid())
    while True:
        pass


def work_with_program(connection: Connection) -> None:
    """Start a program, report its process id, and compute for ever."""
    die_with_parent()
    with subprocess.Popen(["sleep", "3600"], preexec_fn=die_with_parent) as program:
        connection.send(program.pid)
        while True:
            pass


def bare(number: int, target: Callable[[Connection], None] = work) -> None:
    """Start that many processes, print the ids that they report, and wait to be killed."""
    context = multiprocessing.get_context("spawn")
    pids = []
    for _ in range(number):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=target, args=(sender,))
        process.start()
        pids.append(receiver.recv())
    print(*pids, flush=True)
    process.join()


def bare_with_programs(number: int) -> None:
    """Start that many processes, print the ids of their programs, and wait to be killed."""
    bare(number, work_with_program)
