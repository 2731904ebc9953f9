"""`CloudCompute` and `BuildConfig` of Lightning App; on one machine they are only stored and shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values.transferable import Transferable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

_MAX_GROUP_LENGTH = 64

#: The key of `CloudCompute.id` in its plain data, as in Lightning App.
_ID = "_internal_id"

#: Imported by name when it is needed: few apps have a mount, and each work loads this module.
_MOUNT = "lightning_lite.storage.mount"

#: Imported by name too, because the process of a work receives a `CloudCompute`, and makes none.
_RESOURCES = "lightning_lite.resources"


class _OfDataclass:
    """An attribute of `BuildConfig` that dataclasses have, made when it is read.

    The module `dataclasses` takes 4 ms to import, which each work would pay, and few apps need it.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        from dataclasses import make_dataclass  # noqa: PLC0415 - see above

        fields = [(name, "Any", None) for name in ("requirements", "dockerfile", "image")]
        return getattr(make_dataclass("BuildConfig", fields), self._name)


class Dockerfile:
    """A Dockerfile that was read.

    Args:
        path: Its path.
        data: Its lines, each with its line end.
    """

    def __init__(self, path: str, data: Sequence[str]) -> None:
        self.path = path
        self.data = list(data)

    def to_dict(self) -> dict[str, Any]:
        """Return path and lines as plain data."""
        return {"path": self.path, "data": list(self.data)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dockerfile) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.path, *self.data))

    def __repr__(self) -> str:
        return f"Dockerfile({self.path!r}, number of lines: {len(self.data)})"


class BuildConfig:
    """Requirements of the environment of a work; stored and shown, but never installed.

    Args:
        requirements: Names of packages, or files that list them.
        dockerfile: Path of a Dockerfile, which is read if it exists.
        image: Name of a container image.

    A relative path is one from the folder of the file that calls. A work whose configuration has no
    requirements or no Dockerfile takes the `requirements.txt` or the `Dockerfile` next to its own file.

    A subclass may have the decorator `dataclass`: it takes the arguments above, too.

    Raises:
        TypeError: `requirements` is a single string.

    Example:
        >>> BuildConfig(requirements=["torch>=2"]).to_dict()["requirements"]
        ['torch>=2']
    """

    requirements: Sequence[str]
    dockerfile: str | os.PathLike[str] | Dockerfile | None
    image: str | None

    # The decorator `dataclass` reads both of each base class, to know the fields of a subclass.
    __dataclass_fields__ = _OfDataclass()
    __dataclass_params__ = _OfDataclass()

    def __init__(
        self,
        requirements: Sequence[str] | None = None,
        dockerfile: str | os.PathLike[str] | Dockerfile | None = None,
        image: str | None = None,
    ) -> None:
        self.requirements = requirements or ()
        self.dockerfile = dockerfile
        self.image = image
        self._read_files(sys._getframe(1).f_code.co_filename)

    def __post_init__(self) -> None:
        # The `__init__` that `dataclass` makes for a subclass has set the fields, and calls this, or that of
        # the subclass, which may call this. The file of that `__init__` has the name <string>.
        frame = sys._getframe(1)
        while frame.f_back and (
            frame.f_code.co_name == "__post_init__" or frame.f_code.co_filename == "<string>"
        ):
            frame = frame.f_back
        self._read_files(frame.f_code.co_filename)

    def _read_files(self, caller: str) -> None:
        if isinstance(self.requirements, str):
            raise TypeError(
                f"requirements must be a list of names or files, found the string {self.requirements!r}."
            )
        folder = os.path.dirname(caller)
        self.requirements = _expand_requirements(self.requirements, folder)
        self.dockerfile = _read_dockerfile(self.dockerfile, folder)

    # `Any`, so that an override may declare the `LightningWork`, whose module imports this one.
    def on_work_init(self, work: Any, cloud_compute: CloudCompute | None = None) -> None:
        """Read the files next to the module of a work, where the configuration has nothing else.

        Called when a work gets the configuration; override it to find the requirements in another way.

        Args:
            work: The work.
            cloud_compute: Its kind of machine, if this is its configuration in the cloud.
        """
        requirements = self._find_requirements(work)
        if not self.requirements:
            self.requirements = requirements
        elif requirements and requirements != self.requirements:
            _say(f"A 'requirements.txt' exists with {requirements} but {self.requirements} was passed", work)
        dockerfile = self._find_dockerfile(work)
        if self.dockerfile is None:
            self.dockerfile = _read_dockerfile(dockerfile, "")
        elif dockerfile is not None and not _is_at(self.dockerfile, dockerfile):
            _say(f"A Dockerfile exists at {dockerfile!r} but {self.dockerfile!r} was passed", work)

    def _find_requirements(self, work: object) -> list[str]:
        """Return the requirements in the file next to the module of a work."""
        folder = _folder_of(work)
        return [] if folder is None else load_requirements(folder, "requirements.txt")

    def _find_dockerfile(self, work: object) -> str | None:
        """Return the path of the Dockerfile next to the module of a work."""
        folder = _folder_of(work)
        path = None if folder is None else os.path.join(folder, "Dockerfile")
        return path if path is not None and os.path.isfile(path) else None

    def build_commands(self) -> list[str]:
        """Return the commands to run before the installation; override it to return some."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain data."""
        return {
            "requirements": list(self.requirements),
            "dockerfile": self.dockerfile.to_dict()
            if isinstance(self.dockerfile, Dockerfile)
            else self.dockerfile,
            "image": self.image,
            "build_commands": self.build_commands(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return a configuration from the data of `to_dict`."""
        dockerfile = data.get("dockerfile")
        if isinstance(dockerfile, dict):
            dockerfile = Dockerfile(**dockerfile)
        return cls(data.get("requirements"), dockerfile, data.get("image"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BuildConfig) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((tuple(self.requirements), self.dockerfile, self.image))

    def __repr__(self) -> str:
        return (
            f"BuildConfig(requirements={self.requirements}, dockerfile={self.dockerfile}, image={self.image})"
        )


class CloudCompute(Transferable):
    """Kind of machine for a work, for runners of several machines; on one machine it is stored and shown.

    Args:
        name: Name of the kind; capitals count in that of a custom resource only. `default` and `cpu` mean
            `cpu-small`. `lightning_lite.resources.KINDS` and the setting `compute` say what a name asks for.
        disk_size: Size of the disk, in GiB.
        idle_timeout: Seconds without a call after which the machine may be released, or `None`.
        shm_size: Shared memory, in MiB; `None` means 1024 for a machine with a GPU, else 0.
        mounts: One `Mount` or several, each with a different mount path; kept as it was given.
        colocation_group_id: Name of a group of works on one machine, at most 64 characters.
        interruptible: Whether the provider may take the machine away. As in Lightning App, this needs a GPU
            and the variable `LIGHTNING_INTERRUPTIBLE_WORKS=1`.

    Raises:
        ValueError: Two mounts have the same path, the name of the group is empty or too long, or
            `interruptible` is not possible.

    Example:
        >>> CloudCompute("GPU").name
        'gpu'
    """

    def __init__(
        self,
        name: str = "default",
        disk_size: int = 0,
        idle_timeout: int | None = None,
        shm_size: int | None = None,
        mounts: Any = None,
        colocation_group_id: str | None = None,
        interruptible: bool = False,
    ) -> None:
        lowered = name.lower()
        # Each object belongs to one work, so each has its own id, except the default.
        self.id = "default" if lowered in ("default", "cpu") else os.urandom(8).hex()
        # A name of no known kind may name a custom resource, in which capitals count.
        is_known = lowered in late_import(_RESOURCES).KINDS
        self.name = "cpu-small" if self.id == "default" else lowered if is_known else name
        self.disk_size = disk_size
        self.idle_timeout = idle_timeout
        self.shm_size = shm_size if shm_size is not None else (1024 if "gpu" in lowered else 0)
        self.mounts = mounts
        paths = [mount.mount_path for mount in _as_list(mounts)]
        if len(set(paths)) < len(paths):
            raise ValueError(f"Every Mount attached to a work must have a unique mount_path, found {paths}.")
        if colocation_group_id is not None and not 0 < len(colocation_group_id) <= _MAX_GROUP_LENGTH:
            raise ValueError(
                f"colocation_group_id must have 1 to {_MAX_GROUP_LENGTH} characters, "
                f"found {len(colocation_group_id)}: {colocation_group_id[:80]!r}."
            )
        self.colocation_group_id = colocation_group_id
        if interruptible:
            _check_interruptible(self.name)
        self.interruptible = interruptible

    @property
    def preemptible(self) -> bool:
        """Old name of `interruptible`."""
        return self.interruptible

    def is_default(self) -> bool:
        """Return whether this is the default kind."""
        return self.id == "default"

    def call_key(self) -> Any:
        """Return plain data from which the key of a call is computed; the same in each run."""
        return {name: value for name, value in self.to_dict().items() if name != _ID}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CloudCompute) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.id)

    def clone(self) -> CloudCompute:
        """Return a copy for another work, with its own id."""
        return CloudCompute.from_dict(self.call_key())

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as plain data."""
        return {
            "name": "default" if self.is_default() else self.name,
            "disk_size": self.disk_size,
            "idle_timeout": self.idle_timeout,
            "shm_size": self.shm_size,
            "mounts": None if self.mounts is None else [mount._asdict() for mount in _as_list(self.mounts)],
            "colocation_group_id": self.colocation_group_id,
            "interruptible": self.interruptible,
            _ID: self.id,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CloudCompute:
        """Return an object from the data of `to_dict`."""
        arguments = {name: value for name, value in data.items() if name not in ("type", _ID)}
        if arguments.get("mounts") is not None:
            arguments["mounts"] = [_as_mount(mount) for mount in _as_list(arguments["mounts"])]
        found = cls(**arguments)
        found.id = data.get(_ID, found.id)
        return found

    def __repr__(self) -> str:
        return f"CloudCompute(name={self.name!r})"


def _as_list(mounts: Any) -> list[Any]:
    """Return the mounts of an argument; one mount is a tuple of its fields, not of mounts."""
    if mounts is None:
        return []
    if isinstance(mounts, Mapping) or hasattr(mounts, "mount_path"):
        return [mounts]
    return list(mounts)


def _as_mount(mount: Any) -> Any:
    """Return the `Mount` of its plain data."""
    if not isinstance(mount, Mapping):
        return mount
    return late_import(_MOUNT).Mount(**mount)


def _check_interruptible(machine: str) -> None:
    """Refuse an interruptible machine, as Lightning App does.

    Raises:
        ValueError: The environment does not allow it, or the machine has no GPU.
    """
    if os.environ.get("LIGHTNING_INTERRUPTIBLE_WORKS", "0") != "1":
        raise ValueError(
            "CloudCompute(interruptible=True) isn't supported yet, unless the environment has "
            "LIGHTNING_INTERRUPTIBLE_WORKS=1. On one machine it has no effect: leave it out."
        )
    if "gpu" not in machine:
        raise ValueError(
            f"CloudCompute(interruptible=True) is supported only with GPU machines, found {machine!r}."
        )


def _is_at(dockerfile: str | os.PathLike[str] | Dockerfile, path: str) -> bool:
    """Return whether a Dockerfile has this path, however it is written."""
    given = dockerfile.path if isinstance(dockerfile, Dockerfile) else dockerfile
    return os.path.abspath(given) == os.path.abspath(path)


def _say(what: str, work: object) -> None:
    import logging  # noqa: PLC0415 - each work would pay for it, and few have such files

    logging.getLogger("lightning_lite").info(
        "%s to a %s; the file is not read.", what, type(work).__qualname__
    )


def _folder_of(work: object) -> str | None:
    """Return the folder of the module of a work, or `None` if it has no file."""
    file = getattr(sys.modules.get(type(work).__module__), "__file__", None)
    return os.path.dirname(os.path.abspath(file)) if isinstance(file, str) else None


def _read_dockerfile(
    dockerfile: str | os.PathLike[str] | Dockerfile | None, folder: str
) -> Dockerfile | str | None:
    """Return a Dockerfile with its lines, or its path if it does not exist."""
    if dockerfile is None or isinstance(dockerfile, Dockerfile):
        return dockerfile
    path = os.path.join(folder, dockerfile)
    if not os.path.isfile(path):
        return os.fspath(dockerfile)
    with open(path, encoding="utf-8") as lines:
        return Dockerfile(path, list(lines))


def _expand_requirements(requirements: Iterable[str] | None, folder: str) -> list[str]:
    expanded: list[str] = []
    for requirement in requirements or ():
        path = os.path.join(folder, requirement)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as lines:
                expanded += _read_requirements(lines)
        else:
            expanded.append(requirement)
    return expanded


def load_requirements(
    path_dir: str, file_name: str = "base.txt", comment_char: str = "#", unfreeze: bool = True
) -> list[str]:
    """Return the requirements in a file, without comments and addresses of files; none if there is no file.

    Args:
        path_dir: Folder of the file.
        file_name: Its name.
        comment_char: The text that begins a comment.
        unfreeze: Whether upper bounds are left out, unless the comment of the line contains `strict`.
    """
    path = os.path.join(path_dir, file_name)
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8") as lines:
        return _read_requirements(lines, comment_char, unfreeze=unfreeze)


def _read_requirements(lines: Iterable[str], comment_char: str = "#", *, unfreeze: bool = True) -> list[str]:
    """Return the requirements in a file, without comments, addresses of files and upper bounds.

    As in Lightning App, an upper bound is kept if the comment of its line contains `strict`, and so is the
    address of a repository (`git+https://...`).
    """
    import re  # noqa: PLC0415 - it takes 6 ms, and few works need it

    found = []
    for line in lines:
        requirement, _, comment = line.partition(comment_char)
        requirement = requirement.strip()
        if not requirement or requirement.startswith(("-", "http")) or re.search(r"@\s*http", requirement):
            continue
        if unfreeze and "strict" not in comment and "://" not in requirement:
            requirement = re.sub(r",?\s*<=?\s*[^,;\s]+", "", requirement).strip()
        found.append(requirement)
    return found
