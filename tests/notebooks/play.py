"""Runs the cells of a notebook in a real Jupyter kernel: reads cells as JSON, writes their outputs as JSON.

A cell is its code. A cell to interrupt is a dict of its `code` and of the file `when`: the interrupt follows
as soon as that file exists.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from lightning_lite.testing import poll_until

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 100


def interrupt(kernel: int, when: str) -> None:
    poll_until(lambda: os.path.exists(when), timeout=DEADLINE)
    os.kill(kernel, signal.SIGINT)


def play(cells: list[str | dict[str, str]]) -> list[list[dict[str, object]]]:
    import nbformat  # noqa: PLC0415 - takes a second, and pytest imports this file
    from nbclient import NotebookClient  # noqa: PLC0415 - as above

    v4: Any = nbformat.v4  # its functions have no types
    notebook = v4.new_notebook()
    client = NotebookClient(notebook, timeout=DEADLINE, kernel_name="python3", allow_errors=True)
    outputs = []
    with client.setup_kernel():
        for index, cell in enumerate(cells):
            code = cell if isinstance(cell, str) else cell["code"]
            notebook.cells.append(v4.new_code_cell(code))
            if not isinstance(cell, str):
                manager: Any = client.km  # its type allows None, which it is only before the set-up
                arguments = (manager.provisioner.pid, cell["when"])
                threading.Thread(target=interrupt, args=arguments, daemon=True).start()
            outputs.append(client.execute_cell(notebook.cells[index], index)["outputs"])
    return outputs


if __name__ == "__main__":
    json.dump(play(json.load(sys.stdin)), sys.stdout)
