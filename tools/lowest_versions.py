"""Print the lowest allowed version of each package that lightning_lite needs, as constraints for pip.

Usage: python tools/lowest_versions.py > constraints.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest_versions(requirements: Iterable[str], project: str) -> Iterator[str]:
    """Yield `name==version` for each requirement of another project.

    Args:
        requirements: The requirements.
        project: Name of this project: `project[ui]` includes its own requirements, which are listed, too.

    Raises:
        ValueError: A requirement has no lower bound.

    Example:
        >>> list(lowest_versions(["filelock>=3.30,<5", "ours[ui]", "rich>=13.7"], "ours"))
        ['filelock==3.30', 'rich==13.7']
    """
    for requirement in requirements:
        if requirement.startswith(f"{project}["):
            continue
        found = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,.*)?", requirement)
        if found is None:
            raise ValueError(f"{PYPROJECT.name}: {requirement!r} has no lower bound; write name>=version.")
        yield f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"]]
    for extra in ("notify", "ui", "lightning", "s3", "otel"):
        requirements += extras[extra]
    sys.stdout.write("\n".join(lowest_versions(requirements, project["name"])) + "\n")
