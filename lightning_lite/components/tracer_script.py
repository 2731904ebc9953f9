"""`TracerPythonScript`: a work that runs a script in its own process."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from lightning_lite.components.code_archive import Code, extract_code
from lightning_lite.components.scripts import arguments_of, check_script, plain_variables
from lightning_lite.components.tracer import Tracer
from lightning_lite.errors import ComponentError, ScriptFailed
from lightning_lite.storage.drive import Drive
from lightning_lite.storage.payload import Payload
from lightning_lite.tree.work import LightningWork


class TracerPythonScript(LightningWork):
    """Runs a script in the process of the work, as the command `python` would.

    Override `configure_tracer` to call functions before and after methods that the script calls.

    Args:
        script_path: The script; a relative path starts at the working directory of the call.
        script_args: Its arguments: a list, or a text that is split as in a shell.
        outputs: Names of globals of the script. When it has ended, each one is an attribute of the work, as a
            `Payload`.
        env: Environment variables to add while the script runs.
        code: A `Code`: the archive of a drive that is extracted before each run, if the drive has it.
        **kwargs: Arguments of `LightningWork`.

    Raises:
        ComponentError: An argument is invalid; the message names it.

    Example:
        >>> with open("train.py", "w") as script:
        ...     _ = script.write("import sys; loss = 1 / float(sys.argv[1])")
        >>> work = TracerPythonScript("train.py", script_args="0.5", outputs=["loss"])
        >>> work.run()
        >>> work.loss.value
        2.0
    """

    def __init__(
        self,
        script_path: str | os.PathLike[str],
        script_args: Sequence[Any] | str | None = None,
        outputs: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        code: Code | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(env=env, **kwargs)
        name = type(self).__qualname__
        self.script_path = os.fspath(script_path)
        self.script_args = arguments_of(script_args, name)
        self.original_args = list(self.script_args)
        self.env = plain_variables(self._policy.env)
        self.outputs = _checked_outputs(outputs, name)
        for output in self.outputs:
            setattr(self, output, None)
        self.params: dict[str, Any] | None = None
        self.drive: Drive | None = None if code is None else code["drive"]
        self.code_name: str | None = None if code is None else code["name"]
        self.restart_count = 0

    def run(
        self,
        params: dict[str, Any] | None = None,
        restart_count: int | None = None,
        code_dir: str = ".",
        **kwargs: Any,
    ) -> Any:
        """Run the script.

        Args:
            params: Further arguments of the script, each one as `name=value`, in place of those of the last
                call. None leaves `script_args` as an override of this method has set it.
            restart_count: Another number makes it another call, which runs the script again.
            code_dir: Working directory of the script, into which `code` is extracted.
            **kwargs: Globals of the script. Of a `Payload`, the script gets the value.

        Returns:
            The value of `on_after_run`.

        Raises:
            FileNotFoundError: There is no such script.
            ScriptFailed: The script has ended with an exit code other than 0, or has no such output, or its
                code can't be extracted.
            Exception: The exception of the script.
        """
        if restart_count:
            self.restart_count = restart_count
        if params is not None:
            self.params = params
            added = [f"{name}={value}" for name, value in params.items()]
            self.script_args = [*self.original_args, *added]
        script_globals = {
            name: value.value if isinstance(value, Payload) else value for name, value in kwargs.items()
        }
        with _process_settings_kept():
            has_code = self.drive is None or extract_code(self.drive, self.code_name or "", code_dir)
            os.chdir(code_dir)
            try:
                check_script(self.script_path)
            except FileNotFoundError as error:
                if not has_code:
                    error.add_note(f"The drive {self.drive} has no archive {self.code_name!r} either.")
                raise
            self.on_before_run()
            os.environ.update(self.env)
            found = self._run_script(script_globals)
        return self.on_after_run(found)

    def on_before_run(self) -> None:
        """Do nothing; override it to prepare a run. Called before the script, in its working directory."""

    def on_after_run(self, res: dict[str, Any]) -> Any:
        """Assign the outputs; override it for more.

        Args:
            res: The globals of the script at its end, and `Tracer.res` as `tracer_res`.

        Returns:
            The value of the call, by default `None`.

        Raises:
            ScriptFailed: The script has no such global.
        """
        missing = [name for name in self.outputs if name not in res]
        if missing:
            raise ScriptFailed(
                f"The script {self.script_path!r} has ended without the outputs {missing}. "
                "Assign them to globals of the script.",
                script=self.script_path,
            )
        for name in self.outputs:
            setattr(self, name, Payload(res[name]))

    def configure_tracer(self) -> Tracer:
        r"""Return the tracer that runs the script; override it to add methods to trace.

        Example:
            >>> import string
            >>> class InCapitals(TracerPythonScript):
            ...     def configure_tracer(self):
            ...         tracer = super().configure_tracer()
            ...         tracer.add_traced(string.Template, "substitute", post_fn=self.in_capitals)
            ...         return tracer
            ...
            ...     def in_capitals(self, template, text):
            ...         return None, text.upper()
            >>> with open("greet.py", "w") as script:
            ...     _ = script.write("import string\nprint(string.Template('$a!').substitute(a='hi'))")
            >>> InCapitals("greet.py").run()
            HI!
        """
        return Tracer()

    def _run_script(self, script_globals: dict[str, Any]) -> dict[str, Any]:
        pid = os.getpid()
        try:
            found = self.configure_tracer().trace(
                self.script_path, *self.script_args, init_globals=script_globals
            )
        except BaseException as error:
            if os.getpid() == pid:
                raise
            if not isinstance(error, ScriptFailed):
                traceback.print_exc()
            _end_forked(getattr(error, "exit_code", 1))
        if os.getpid() != pid:
            _end_forked(0)
        return found


@contextmanager
def _process_settings_kept() -> Iterator[None]:
    """Restore the working directory and the environment at the end of a `with` block."""
    folder, environment = os.getcwd(), dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        os.chdir(folder)


def _end_forked(code: int) -> NoReturn:
    """End a forked process at the end of the script. Without a work it would end there, too."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _checked_outputs(outputs: Any, what: str) -> list[str]:
    if outputs is None:
        return []
    if isinstance(outputs, list | tuple) and all(isinstance(name, str) for name in outputs):
        return list(outputs)
    raise ComponentError(
        f"{what}(outputs={outputs!r}): outputs must be a list of names of globals of the script.",
        argument="outputs",
        found=outputs,
    )
