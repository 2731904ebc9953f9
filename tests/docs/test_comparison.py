"""The figures of the comparison with other tools are those of the last measurement."""

from __future__ import annotations

import re

from tests.support.pages import PROJECT

RESULTS = (PROJECT / "benchmarks/RESULTS.md").read_text("utf-8")
COMPARISON = (PROJECT / "docs/comparison.md").read_text("utf-8")


def cells(text: str, measure: str) -> list[str]:
    """Return the cells of the row of a measure."""
    row = re.search(rf"^\| {measure} \|(.*)\|$", text, re.MULTILINE)
    assert row is not None, measure
    return [cell.strip() for cell in row[1].split("|")]


def test_the_figures_of_the_comparison_are_in_the_results():
    measures = re.findall(r"^\| ([A-Z]\w+) \|", COMPARISON, re.MULTILINE)

    assert measures == ["P1a", "P4", "P7"]
    for measure in measures:
        _, _, _, ratio, _, _, others = cells(RESULTS, measure)
        peers = {name: figure for name, figure, _ in re.findall(r"(\w+) (\S+) (\([^)]*\))", others)}
        ours, *theirs = cells(COMPARISON, measure)[1:]
        assert ours == ratio.split()[0]
        assert theirs == [peers[name] for name in ("executor", "loky", "ray", "dask")]
