"""`ServeStreamlit`: a work with a page that its own method draws with Streamlit.

process of the work ── a copy of the work, without its calls ──▶ process of Streamlit: render
                    ◀── attributes that render sets ──────────── AppState, and so the flow
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from copy import copy
from typing import Any

from lightning_lite.components.model_server import ModelServer
from lightning_lite.components.server_port import share
from lightning_lite.context import current_caller
from lightning_lite.errors import ComponentError
from lightning_lite.extras import check_installed
from lightning_lite.frontends.child_process import end_program, page_settings, start_program
from lightning_lite.runners.exit_status import describe_exit
from lightning_lite.values.pickling import PackingError, pack, why_not
from lightning_lite.values.transferable import Carrier

#: The program, and the module in it that draws the page.
_PROGRAM = "lightning_lite.frontends.programs.streamlit_server"
_RENDER = "lightning_lite.components.streamlit_render"


class CarriedWork(Carrier):
    """Takes a copy of a work to the process of Streamlit.

    Args:
        work: The copy.
    """

    def __init__(self, work: ServeStreamlit) -> None:
        self._work = work

    @property
    def carried(self) -> ServeStreamlit:
        """The copy."""
        return self._work


class ServeStreamlit(ModelServer):
    """A page of Streamlit that a method of the work draws.

    `render` is called in a process of Streamlit each time that a page is drawn, with a copy of the work: its
    public attributes are those of the running work, and can be assigned; private attributes are as they were
    when `run` was called, and values that `render` sets in them are lost. A page is drawn again when an
    attribute that it has read has changed.

    Args:
        *args: Arguments of `LightningWork`.
        **kwargs: Arguments of `LightningWork`.

    Raises:
        TypeError: The class has no `render`.
        ModuleNotFoundError: Streamlit is not installed; the message names the extra that brings it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        check_installed(cls.__qualname__, "lightning", "streamlit")
        self._check_overrides(ServeStreamlit, "render")
        super().__init__(*args, **kwargs)

    def build_model(self) -> Any:
        """Return `None`; override it to return a model, which all visitors share.

        Called once, in the process of Streamlit, before the first page is drawn.
        """
        return None

    def render(self) -> None:
        """Draw the page with the functions of Streamlit; override this method."""
        raise NotImplementedError(f"{type(self).__qualname__} does not implement render().")

    def run(self) -> None:
        """Serve the page until the work is stopped.

        Raises:
            OSError: The given port is in use.
            ComponentError: The work can't be pickled for the process of Streamlit; the message says why.
            RuntimeError: The server has ended by itself; the output says why.
        """
        # The port stays bound here, without listening, and Streamlit binds it a second time, because both
        # sockets have SO_REUSEADDR. So could another program with SO_REUSEADDR until Streamlit listens.
        with self._bound_port() as bound, tempfile.TemporaryFile() as file:
            share(bound)
            file.write(self._packed())
            file.flush()
            process = self._start_program(bound.getsockname()[1], file.fileno())
            try:
                code = process.wait()
            finally:
                end_program(process)
        raise RuntimeError(
            f"The server of Streamlit has ended by itself with {describe_exit(code)}; its output says why."
        )

    def _has_model(self) -> bool:
        return type(self).build_model is not ServeStreamlit.build_model

    def _packed(self) -> bytes:
        twin = copy(self)
        try:
            return pack(CarriedWork(twin), with_script=True)
        except PackingError as error:
            raise ComponentError(
                f"{self._title()} can't be sent to the process of Streamlit: {why_not(twin, error)}"
            ) from None

    def _start_program(self, port: int, fd: int) -> subprocess.Popen[Any]:
        values = current_caller().values
        settings = page_settings(
            self.host,  # in a work on another machine the address of that, where its port is bound
            port,
            "/",
            self.name,
            os.path.dirname(values) if values else "",
            module=_RENDER,
            function="render" if values else "render_alone",
            work=fd,
        )
        output = 1 if sys.__stdout__ is None else sys.__stdout__.fileno()
        return start_program(_PROGRAM, [json.dumps(settings)], output, pass_fds=(fd,))
