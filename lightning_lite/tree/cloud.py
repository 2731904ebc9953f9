"""`CloudCompute` and `BuildConfig` of Lightning Apps: data without effect on one machine."""

from __future__ import annotations

import os
from _collections_abc import Iterable

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values.protocol import Transferable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

_MAX_GROUP_LENGTH = 64


class BuildConfig:
    """What a work's environment needs; kept and shown, never installed.

    Args:
        requirements: Names of packages, or files that list them.
        dockerfile: Path of a Dockerfile.
        image: Name of an image.

    Example:
        >>> BuildConfig(requirements=["torch>=2"]).to_dict()["requirements"]
        ['torch>=2']
    """

    def __init__(
        self,
        requirements: Sequence[str] | None = None,
        dockerfile: str | os.PathLike[str] | None = None,
        image: str | None = None,
    ) -> None:
        if isinstance(requirements, str):
            raise TypeError(f"requirements is a list of names or files, found the text {requirements!r}.")
        self.requirements = _expand_requirements(requirements or ())
        self.dockerfile = None if dockerfile is None else os.fspath(dockerfile)
        self.image = image

    def build_commands(self) -> list[str]:
        """Return commands to run before the installation; override it to have some."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain data."""
        return {
            "requirements": list(self.requirements),
            "dockerfile": self.dockerfile,
            "image": self.image,
            "build_commands": self.build_commands(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the configuration that `to_dict` described."""
        return cls(data.get("requirements"), data.get("dockerfile"), data.get("image"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BuildConfig) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((tuple(self.requirements), self.dockerfile, self.image))

    def __repr__(self) -> str:
        return (
            f"BuildConfig(requirements={self.requirements}, dockerfile={self.dockerfile}, image={self.image})"
        )


class CloudCompute(Transferable):
    """The machine that a component asks for; kept and shown, without effect here.

    Args:
        name: Kind of machine; `default` and `cpu` mean `cpu-small`.
        disk_size: Disk, in GiB.
        idle_timeout: Seconds without a call after which the machine may go, or `None`.
        shm_size: Shared memory in MiB; 1024 for machines with a GPU unless given.
        mounts: One `Mount` or several, each with a mount path of its own.
        colocation_group_id: Name of a group of works on one machine, at most 64 characters.

    Raises:
        ValueError: Two mounts share a path, or the group's name is too long.

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
    ) -> None:
        lowered = name.lower()
        # An object is attached to one work, so each has an identity of its own, but for the default.
        self.id = "default" if lowered in ("default", "cpu") else os.urandom(8).hex()
        self.name = "cpu-small" if self.id == "default" else lowered
        self.disk_size = disk_size
        self.idle_timeout = idle_timeout
        self.shm_size = shm_size if shm_size is not None else (1024 if "gpu" in lowered else 0)
        self.mounts = list(mounts) if isinstance(mounts, Iterable) else ([] if mounts is None else [mounts])
        paths = [mount.mount_path for mount in self.mounts]
        if len(set(paths)) < len(paths):
            raise ValueError(f"Every Mount attached to a work must have a unique mount_path, found {paths}.")
        if colocation_group_id is not None and not 0 < len(colocation_group_id) <= _MAX_GROUP_LENGTH:
            raise ValueError(
                f"colocation_group_id has 1 to {_MAX_GROUP_LENGTH} characters, "
                f"found {len(colocation_group_id)}: {colocation_group_id[:80]!r}."
            )
        self.colocation_group_id = colocation_group_id

    def is_default(self) -> bool:
        """Return whether no machine in particular was asked for."""
        return self.id == "default"

    def call_key(self) -> Any:
        """Return what makes two requests the same argument of a call."""
        return self.to_dict()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CloudCompute) and self.id == other.id and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.id)

    def clone(self) -> CloudCompute:
        """Return an equal request that may be attached to another work."""
        return CloudCompute.from_dict(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain data."""
        return {
            "name": "default" if self.is_default() else self.name,
            "disk_size": self.disk_size,
            "idle_timeout": self.idle_timeout,
            "shm_size": self.shm_size,
            "mounts": list(self.mounts),
            "colocation_group_id": self.colocation_group_id,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CloudCompute:
        """Return the request that `to_dict` described."""
        return cls(**data)

    def __repr__(self) -> str:
        return f"CloudCompute(name={self.name!r})"


def _expand_requirements(requirements: Iterable[str]) -> list[str]:
    expanded: list[str] = []
    for requirement in requirements:
        if os.path.isfile(requirement):
            with open(requirement, encoding="utf-8") as lines:
                expanded += _read_requirements(lines)
        else:
            expanded.append(requirement)
    return expanded


def _read_requirements(lines: Iterable[str]) -> list[str]:
    """Return the names in a requirements file, without comments, addresses and upper bounds.

    As Lightning App reads them: a bound stays where its comment says `strict`.
    """
    import re  # noqa: PLC0415 - 6 ms for each child

    found = []
    for line in lines:
        requirement, _, comment = line.partition("#")
        requirement = requirement.strip()
        if not requirement or requirement.startswith("-") or "://" in requirement:
            continue
        if "strict" not in comment:
            requirement = re.sub(r",?\s*<=?\s*[^,;\s]+", "", requirement).strip()
        found.append(requirement)
    return found
