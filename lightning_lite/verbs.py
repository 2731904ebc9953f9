"""The verbs of the command line. An app knows them, too, because they hide its commands of the same name."""

from __future__ import annotations

#: The verbs with their help, in the order of the help page. Each is `command` in
#: `lightning_lite.cli.verbs.<verb>`.
VERBS = {
    "init": "Create the folder of a new app.",
    "run": "Run the app in a file.",
    "resume": "Resume a run that failed, was interrupted or died.",
    "ps": "List the runs.",
    "status": "Show the flows and works of a run.",
    "top": "Watch a run.",
    "ui": "Show the runs in a browser.",
    "logs": "Show the output of the flow and the works.",
    "stop": "End a run or a work in order.",
    "kill": "End a run or a work at once.",
    "restart": "Give a work a new process.",
    "app": "Give a command to an app.",
    "connect": "Show the commands of an app.",
    "disconnect": "Accepted for old scripts; there is no connection.",
    "stack": "Show the Python stacks of a work.",
    "timeline": "Write the calls of a run as a trace.",
    "otel": "Send the calls of a run to OpenTelemetry.",
    "numbers": "Show numbers of the state over time.",
    "clean": "Remove old runs.",
    "drive": "List drives, put files into them and get files out.",
    "config": "Show the settings, and where they come from.",
    "doctor": "Check this machine, and run a small app.",
}


def command_line_of(command: str) -> str:
    """Return what to type after `lightning-lite` for a command of an app.

    Args:
        command: Its name.

    Example:
        >>> command_line_of("add_name"), command_line_of("stop")
        ('add_name', 'app stop')
    """
    return f"app {command}" if command in VERBS else command
