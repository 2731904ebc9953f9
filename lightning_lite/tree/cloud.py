"""`CloudCompute` and `BuildConfig` of Lightning App: stored and shown, but without effect on one machine."""

from __future__ import annotations

import os
from _collections_abc import Iterable

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values.base import Transferable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

_MAX_GROUP_LENGTH = 64


class BuildConfig:
    """Requirements of the environment of a work; stored and shown, but never installed.

    Args:
        requirements: Names of packages, or files that list them.
        dockerfile: Path of a Dockerfile.
        image: Name of a container image.

    Raises:
        TypeError: `requirements` is a single string.

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
            raise TypeError(
                f"requirements must be a list of names or files, found the string {requirements!r}."
            )
        self.requirements = _expand_requirements(requirements or ())
        self.dockerfile = None if dockerfile is None else os.fspath(dockerfile)
        self.image = image

    def build_commands(self) -> list[str]:
        """Return the commands to run before the installation; override it to return some."""
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
        """Return a configuration from the data of `to_dict`."""
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
    """Kind of machine for a component; stored and shown, but without effect on one machine.

    Args:
        name: Name of the kind; `default` and `cpu` mean `cpu-small`.
        disk_size: Size of the disk, in GiB.
        idle_timeout: Seconds without a call after which the machine may be released, or `None`.
        shm_size: Shared memory, in MiB; `None` means 1024 for a machine with a GPU, else 0.
        mounts: One `Mount` or several, each with a different mount path.
        colocation_group_id: Name of a group of works on one machine, at most 64 characters.

    Raises:
        ValueError: Two mounts have the same path, or the name of the group is empty or too long.

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
        # Each object belongs to one work, so each has its own id, except the default.
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
                f"colocation_group_id must have 1 to {_MAX_GROUP_LENGTH} characters, "
                f"found {len(colocation_group_id)}: {colocation_group_id[:80]!r}."
            )
        self.colocation_group_id = colocation_group_id

    def is_default(self) -> bool:
        """Return whether this is the default kind."""
        return self.id == "default"

    def call_key(self) -> Any:
        """Return plain data from which the key of a call is computed."""
        return self.to_dict()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CloudCompute) and self.id == other.id and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.id)

    def clone(self) -> CloudCompute:
        """Return a copy for another work, with its own id."""
        return CloudCompute.from_dict(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as plain data."""
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
        """Return an object from the data of `to_dict`."""
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
    """Return the requirements in a file, without comments, URLs and upper bounds.

    As in Lightning App, an upper bound is kept if the comment of its line contains `strict`.
    """
    import re  # noqa: PLC0415 - it takes 6 ms, and few works need it

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
