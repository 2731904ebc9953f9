"""The actions of the page: it stops, kills, restarts and resumes, as the verbs of the command line do."""

from __future__ import annotations

import os
import subprocess
from threading import Thread
from typing import Any

from lightning_lite import timeouts
from lightning_lite.monitor.control import (
    check_is_here,
    is_held_by,
    kill_run,
    kill_works,
    restart_works,
    stop_run,
    stop_works,
    wait_until,
)
from lightning_lite.monitor.resume_command import resume_command
from lightning_lite.monitor.run_status import ask_app
from lightning_lite.monitor.stacks import read_flow_stack, read_work_stacks
from lightning_lite.process_places import Place
from lightning_lite.regular_files import open_regular
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.parameters import Parameter
from lightning_lite.web.refusals import Refused
from lightning_lite.web.server_context import ServerContext

#: The commands of an action.
COMMANDS = ("stop", "kill", "restart", "stack")

#: Name of the file in the folder of a run with the output of the programs that resumed it.
OUTPUT_NAME = "resumed-output.log"

#: Seconds to wait until a resumed program has taken its run, or has ended.
_BEGIN_TIMEOUT = 10.0


def act(
    server_context: ServerContext, id: str, command: str, work: str | None, timeout: float | None
) -> dict[str, Any]:
    """Execute a command on a run or on one of its works, wait for its effect, and say what has happened.

    Raises:
        Refused: There is no such run or work, or the command needs a work.
        CommandError: The app does not answer, or a process does not end.
        OSError: The process belongs to another user.
    """
    run = server_context.find_run(id)
    if run.state != "running":
        raise Refused(409, f"Run {run.id} is not running: its state is {run.state}.")
    seconds = timeouts.STOP_TIMEOUT if timeout is None else timeout
    if command == "stack":
        return _read_stack(run, work)
    if work is None:
        if command == "restart":
            raise Refused(400, "work is missing: only a work can be restarted.")
        outcomes = [stop_run(run) if command == "stop" else kill_run(run)]
    else:
        works = {work: _place_of(run, work)}
        if command == "stop":
            outcomes = list(stop_works(run, works, seconds))
        elif command == "restart":
            outcomes = list(restart_works(run, works, seconds))
        else:
            check_is_here(run, work, works[work])
            outcomes = list(kill_works(run, works))
    return {"text": None, "done": " ".join(f"{outcome.text}." for outcome in outcomes)}


def resume(server_context: ServerContext, id: str, retry_failed: bool) -> dict[str, Any]:
    """Start the recorded command of a run again, detached from this server.

    Its output goes into a file in the folder of the run.

    Raises:
        Refused: There is no such run, or the program has failed before it has taken the run.
        CommandError: The run can't be resumed.
        OSError: The program can't be started.
    """
    run = server_context.find_run(id)
    resumed = resume_command(run, server_context.root, retry_failed=retry_failed)
    output = os.path.join(run.path, OUTPUT_NAME)
    fd = open_regular(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        # A session of its own: Ctrl-C at the terminal of this server does not reach it.
        process = subprocess.Popen(
            resumed.argv,
            cwd=resumed.cwd,
            env={**os.environ, **resumed.variables},
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            start_new_session=True,
        )
    finally:
        os.close(fd)
    Thread(target=process.wait, name="lightning-lite-page-reaper", daemon=True).start()
    place = Place.of(process.pid)
    wait_until(lambda: process.returncode is not None or is_held_by(run, place), _BEGIN_TIMEOUT)
    code = process.returncode
    if code:
        raise Refused(409, f"The program of run {run.id} has ended with the exit code {code}; see {output}.")
    what = f"resumed by process {process.pid}" if code is None else "resumed, and has ended already"
    return {"done": f"{run.id}: {what}; its output is in {output}.", "pid": process.pid}


def _read_stack(run: RunSummary, work: str | None) -> dict[str, Any]:
    if work in (None, "root"):
        return {"text": read_flow_stack(run), "done": "root: the stack of the flow."}
    return {
        "text": read_work_stacks(run, str(work), _place_of(run, str(work))),
        "done": f"{work}: its stacks.",
    }


def _place_of(run: RunSummary, work: str) -> Place | None:
    """Return the place of the process of a work.

    Raises:
        Refused: The app does not answer, or has no such work.
    """
    answer = ask_app(run)
    if answer.works is None:
        raise Refused(503, f"{answer.trouble or 'the app takes no commands yet'}.")
    for row in answer.works:
        if row.name == work:
            return row.place
    raise Refused(404, f"There is no work {work[:100]!r} in run {run.id}.")


#: The endpoints.
ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/runs/{id}/actions",
        act,
        "Stop, kill or restart a work or the run, or read a stack, and wait for the effect.",
        "Done",
        (
            Parameter("command", "text", "The command.", required=True, choices=COMMANDS),
            Parameter("work", "text", "Full name of a work; without it, the run or its flow is meant."),
            Parameter(
                "timeout",
                "number",
                "Seconds that a work has to end before it is killed.",
                least=0,
                highest=3600,
            ),
        ),
        changes=True,
    ),
    Endpoint(
        "POST",
        "/api/runs/{id}/resume",
        resume,
        "Start the recorded command of a run that ended or died again, detached from the server.",
        "Resumed",
        (Parameter("retry_failed", "flag", "Whether to run failed calls again.", default=False),),
        changes=True,
    ),
)
