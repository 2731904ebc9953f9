"""What a drive is, whatever is done with it: its id, its root, and who acts through it."""

from __future__ import annotations

import os
from typing import Any, Self

from lightning_lite.context import Caller, current_caller
from lightning_lite.settings import resolve_durable, resolve_root
from lightning_lite.storage.errors import DriveContextError
from lightning_lite.storage.folders import PathLike, UserFolder, existing_folder
from lightning_lite.storage.local import LocalStore
from lightning_lite.storage.names import component_folder, drive_name, path_text
from lightning_lite.storage.store import Store
from lightning_lite.travel import Traveller

#: What tells the plain data of a drive from that of other things.
_TYPE = "__drive__"

#: What the flow is not allowed to do, by verb.
_REFUSED = {
    "put": "put files into",
    "list": "list files from",
    "get": "get files from",
    "delete": "delete files from",
    "open": "open files of",
}


class DriveHandle(Traveller):
    """The part of a `Drive` that travels; see there for the arguments."""

    def __init__(
        self,
        id: str | os.PathLike[str],
        allow_duplicates: bool = False,
        component_name: str | None = None,
        root_folder: PathLike | None = None,
        *,
        root_dir: PathLike | None = None,
        durable: bool | None = None,
        portable_names: bool = True,
    ) -> None:
        text = getattr(id, "located", None) or id  # components make a `Path` of the text of an id
        self._name = drive_name(text)
        self.id = str(text)
        self.allow_duplicates = allow_duplicates
        self.component_name = None if component_name is None else component_folder(component_name)
        self.root_folder = None if root_folder is None else existing_folder(root_folder)
        self.durable = durable
        self.portable_names = portable_names
        self._root = None if root_dir is None else os.path.abspath(path_text(root_dir))
        self._opened: Store | None = None

    @property
    def root_dir(self) -> str:
        """Absolute folder that holds all drives; fixed from the first use on."""
        if self._root is None:
            self._root = self._resolved_root()
        return self._root

    def call_key(self) -> tuple[str, str]:
        """Return what makes two drives the same for a call: the id and the root."""
        return self.id, self._resolved_root()

    def before_run(self, work: str) -> Self:
        """Resolve the root for the work that gets the drive, whatever directory it changes to."""
        self._root = self._resolved_root()
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments that make the same drive as plain data, for `from_dict`."""
        return {
            "type": _TYPE,
            "id": self.id,
            "allow_duplicates": self.allow_duplicates,
            "component_name": self.component_name,
            "root_folder": self.root_folder,
            "root_dir": self._root,
            "durable": self.durable,
            "portable_names": self.portable_names,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Return the drive of which `to_dict` has made `content`."""
        return cls(**{name: value for name, value in content.items() if name != "type"})

    def __repr__(self) -> str:
        options = [
            f"{name}={value!r}"
            for name, value, usual in (
                ("allow_duplicates", self.allow_duplicates, False),
                ("component_name", self.component_name, None),
                ("root_folder", self.root_folder, None),
                ("root_dir", self._root, None),
                ("durable", self.durable, None),
                ("portable_names", self.portable_names, True),
            )
            if value != usual
        ]
        return f"{type(self).__name__}({', '.join((repr(self.id), *options))})"

    def __str__(self) -> str:
        return self.id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DriveHandle):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self.id)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _identity(self) -> dict[str, Any]:
        return {**self.__getstate__(), "_root": self._resolved_root()}

    def _resolved_root(self) -> str:
        return self._root or resolve_root(current_caller().root)

    def _admit(self, verb: str) -> Caller:
        """Return who asks, if it is somebody who may touch files."""
        caller = current_caller()
        if caller.kind == "flow":
            raise DriveContextError(
                f"The flow isn't allowed to {_REFUSED[verb]} a Drive. Hand the drive to a work, and do it in "
                f"the run of that."
            )
        if caller.kind == "init":
            raise DriveContextError(
                f"The __init__ of a component isn't allowed to {_REFUSED[verb]} a Drive. Do it in the run of "
                f"a work."
            )
        return caller

    def _owner(self, caller: Caller) -> str:
        return self.component_name or component_folder(caller.component)

    def _is_durable(self, caller: Caller) -> bool:
        if self.durable is not None:
            return self.durable
        return caller.durable or resolve_durable(None)

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = LocalStore(self.root_dir, self._name)
        return self._opened

    def _folder(self) -> UserFolder:
        return UserFolder(self.root_folder or os.getcwd(), portable=self.portable_names)
