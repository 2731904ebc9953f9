"""Commands in the comments at the top of an app's file, which `lightning-lite run --setup` executes.

Such a comment begins with an exclamation mark: `# !pip install lmdb`.
"""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple

from lightning_lite.lightning_app.stubs import MisconfigurationException


class CommandLines(NamedTuple):
    """The commands in a file.

    Attributes:
        file: Path of the file.
        commands: The commands.
        line_numbers: The number of the line of each command, from 1.
    """

    file: str
    commands: list[str]
    line_numbers: list[int]


def extract_commands(file_name: str) -> CommandLines:
    """Return the commands in the comments of a file before its first other line.

    A command is a comment that begins with `!`. Empty lines and other comments may be between two commands.

    Args:
        file_name: Path of the file.
    """
    found = CommandLines(file_name, [], [])
    with open(file_name, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if text and not text.startswith("#"):
                break
            comment = text.removeprefix("#").strip()
            if comment.startswith("!"):
                found.commands.append(comment.removeprefix("!").strip())
                found.line_numbers.append(number)
    return found


def execute_commands(lines: CommandLines) -> None:
    """Execute commands in a shell, one after another, in the working directory and with the environment.

    Args:
        lines: The commands.

    Raises:
        MisconfigurationException: A command has failed; those after it were not executed.
    """
    for command, number in zip(lines.commands, lines.line_numbers, strict=True):
        done = subprocess.run(command, shell=True, env=os.environ, check=False)
        if done.returncode:
            raise MisconfigurationException(
                f"There was a problem on line {number} of {lines.file} while executing the command: "
                f"{command}. Its exit code is {done.returncode}."
            )


def run_app_commands(file: str) -> None:
    """Execute the commands at the top of a file.

    Args:
        file: Path of the file.

    Raises:
        MisconfigurationException: A command has failed.
    """
    execute_commands(extract_commands(file))
