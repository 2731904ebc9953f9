"""The resources that the process of a work needs, and those that each name of `CloudCompute` requests.

    CloudCompute("gpu")  ──table──▶  Resources(gpus=1)  ──StartWork──▶  a runner of several machines

A runner of one machine starts each work and looks at none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lightning_lite.errors import SettingError
from lightning_lite.quantity_text import format_bytes

#: Name of a `CloudCompute` without a name.
DEFAULT_KIND = "default"

#: The units of an amount of memory, in bytes.
_UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)},
}

_KEYS = ("cpus", "gpus", "memory", "custom")

#: The smallest amount besides 0 that Ray counts.
_SMALLEST = 0.0001

#: Names that Ray has for its own resources, and the key of a table that asks for each, or "".
_NAMES_OF_RAY = {"CPU": "cpus", "GPU": "gpus", "memory": "memory", "object_store_memory": "", "bundle": ""}


class Resources(NamedTuple):
    """The resources that a process needs; the default needs none, so that any number of works starts.

    Attributes:
        cpus: CPUs.
        gpus: GPUs.
        memory: Memory, in bytes.
        custom: Amounts of other resources, each with the name that the machines give it.
        group: Name of the works that must be on one machine, or `None`.

    Example:
        >>> Resources(gpus=1, custom=(("licence", 1.0),)).describe()
        '1 GPU, 1 licence'
        >>> Resources(cpus=0.5, memory=4 * 2**30).describe(), Resources().describe()
        ('0.5 CPUs, 4.0 GiB of memory', 'nothing')
    """

    cpus: float = 0.0
    gpus: float = 0.0
    memory: int = 0
    custom: tuple[tuple[str, float], ...] = ()
    group: str | None = None

    def describe(self) -> str:
        """Return the resources in words."""
        parts = [_count(self.cpus, "CPU")] if self.cpus else []
        parts += [_count(self.gpus, "GPU")] if self.gpus else []
        parts += [f"{format_bytes(self.memory)} of memory"] if self.memory else []
        parts += [f"{amount:g} {name}" for name, amount in self.custom]
        return ", ".join(parts) or "nothing"


#: The resources of the names of `CloudCompute` that are not in a table of the user. A name that is in neither
#: requests one custom resource of that name.
KINDS: dict[str, Resources] = {
    DEFAULT_KIND: Resources(),
    "cpu-small": Resources(cpus=2.0),
    "cpu-medium": Resources(cpus=8.0),
    "gpu": Resources(gpus=1.0),
    "gpu-fast": Resources(gpus=1.0),
    "gpu-fast-multi": Resources(gpus=4.0),
}


def resources_of(
    kind: str, group: str | None = None, table: Mapping[str, Resources] | None = None
) -> Resources:
    """Return the resources that a work with a `CloudCompute` needs.

    Args:
        kind: Name of the `CloudCompute`, `default` for the default one. Capitals count only in the name of a
            custom resource.
        group: Its `colocation_group_id`, or `None`.
        table: The resources of names; it has priority over `KINDS`.

    Raises:
        SettingError: The name is one that Ray keeps for itself.

    Example:
        >>> resources_of("gpu", "training")
        Resources(cpus=0.0, gpus=1.0, memory=0, custom=(), group='training')
        >>> resources_of("TPU").custom
        (('TPU', 1.0),)
    """
    lowered = kind.lower()
    found = (table or {}).get(lowered) or KINDS.get(lowered)
    if found is None:
        if kind in _NAMES_OF_RAY:
            raise SettingError(
                f"CloudCompute({kind!r}) asks for a custom resource, and Ray keeps that name for itself. "
                "Choose another name, and say what it asks for with the setting `compute`.",
                setting="compute",
            )
        found = Resources(custom=((kind, 1.0),))
    return found if group is None else found._replace(group=group)


def read_table(data: object, where: str) -> dict[str, Resources]:
    """Return a table of the names of `CloudCompute`, from plain data.

    Args:
        data: A dict of dicts, each with some of `cpus`, `gpus`, `memory` (bytes, or a text such as `16 GiB`)
            and `custom` (amounts by name).
        where: Name of the data, for errors.

    Raises:
        SettingError: Something in it is not valid; the message names the key.

    Example:
        >>> read_table({"Big": {"cpus": 8, "memory": "64 GiB"}}, "compute")["big"].describe()
        '8 CPUs, 64 GiB of memory'
        >>> try:
        ...     read_table({"big": {"cpu": 8}}, "compute")
        ... except SettingError as error:
        ...     print(error)
        compute['big'] can't have 'cpu'; its keys are cpus, gpus, memory, custom.
    """
    if not isinstance(data, dict):
        raise _error(where, "a table of tables, such as {'big': {'cpus': 8}}", data)
    table = {}
    for name, entry in data.items():
        if not isinstance(name, str) or not name:
            raise _error(f"The name of a kind in {where}", "a text that is not empty", name)
        place = f"{where}[{name!r}]"
        if not isinstance(entry, dict):
            raise _error(place, "a table, such as {'cpus': 8, 'gpus': 1}", entry)
        for key in entry:
            if key not in _KEYS:
                raise SettingError(
                    f"{place} can't have {key!r}; its keys are {', '.join(_KEYS)}.", setting="compute"
                )
        custom = entry.get("custom", {})
        if not isinstance(custom, dict) or not all(isinstance(other, str) and other for other in custom):
            raise _error(f"{place}['custom']", "a table of amounts, such as {'licence': 1}", custom)
        for other in custom:
            if other in _NAMES_OF_RAY:
                instead = f"; ask for it with the key {key!r}" if (key := _NAMES_OF_RAY[other]) else ""
                raise SettingError(
                    f"{place}['custom'] can't have {other!r}, a name that Ray keeps for itself{instead}.",
                    setting="compute",
                )
        if name.lower() in table:
            raise SettingError(
                f"{where} has the name {name.lower()!r} twice, because capitals do not count: {list(data)}.",
                setting="compute",
            )
        table[name.lower()] = Resources(
            _amount(entry.get("cpus", 0.0), f"{place}['cpus']"),
            _gpus(entry.get("gpus", 0.0), f"{place}['gpus']"),
            _memory(entry.get("memory", 0), f"{place}['memory']"),
            tuple((other, _amount(each, f"{place}['custom'][{other!r}]")) for other, each in custom.items()),
        )
    return table


def _amount(value: Any, what: str) -> float:
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise _error(what, "a number, 0 or more", value)
    if 0 < value < _SMALLEST:
        raise _error(what, f"0 or at least {_SMALLEST}", value)
    return float(value)


def _gpus(value: Any, what: str) -> float:
    amount = _amount(value, what)
    if amount > 1 and not amount.is_integer():
        raise _error(what, "a whole number, or a part of one GPU", value)
    return amount


def _memory(value: Any, what: str) -> int:
    """Return an amount of memory in bytes."""
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str):
        digits = value.rstrip("BbIiKkMmGgTt \t")
        unit = _UNITS.get(value[len(digits) :].strip().upper())
        if unit is not None and digits.replace(".", "", 1).isdecimal() and digits.isascii():
            return int(float(digits) * unit)
    raise _error(what, "a number of bytes, or a text such as '16 GiB'", value)


def _error(what: str, expected: str, found: object) -> SettingError:
    return SettingError(f"{what} must be {expected}. Found {found!r}", setting="compute")


def _count(amount: float, unit: str) -> str:
    return f"{amount:g} {unit}" if amount == 1 else f"{amount:g} {unit}s"
