"""The plot of G1, with the points between the ends: `python -m benchmarks.g1_plot [file.svg]`."""

from __future__ import annotations

import statistics
import sys

from benchmarks.g1_scale import ROUNDS, SCALES, cost, end
from benchmarks.measure import spread

#: Scale → size → microseconds of a call, one figure per round.
Points = dict[str, dict[int, list[float]]]

HEADINGS = ["with", "size", "µs per call", "to the smallest"]


def take_points() -> Points:
    """Measure all points of each scale in turns."""
    points: Points = {}
    for scale, sizes in SCALES.items():
        points[scale] = {size: [] for size in sizes}
        try:
            for number in range(ROUNDS):
                for size in sizes if number % 2 else reversed(sizes):
                    points[scale][size].append(cost(scale, size))
        finally:
            end()
    return points


def rows_of(points: Points) -> list[list[str]]:
    """Return the points as rows of a table, each with its ratio to the smallest size in the same round."""
    rows = []
    for scale, by_size in points.items():
        smallest = next(iter(by_size.values()))
        for size, figures in by_size.items():
            ratios = [figure / small for figure, small in zip(figures, smallest, strict=True)]
            rows.append([scale, f"{size:,}", spread(figures), spread(ratios, 2)])
    return rows


def draw(points: Points, file: str) -> None:
    """Draw all scales side by side, as medians within their spread."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it: extra [bench]
    from matplotlib import pyplot  # noqa: PLC0415 - as above

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "G1"})  # the same figures, the same file
    figure, panels = pyplot.subplots(1, len(points), figsize=(11, 3.2), sharey=True)
    for panel, (scale, by_size) in zip(panels, points.items(), strict=True):
        sizes, figures = list(by_size), list(by_size.values())
        panel.fill_between(sizes, list(map(min, figures)), list(map(max, figures)), alpha=0.2)
        panel.plot(sizes, list(map(statistics.median, figures)), marker="o")
        panel.set(xscale="log", xlabel=scale, ylim=(0, None))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("µs per call")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    taken = take_points()
    for row in [HEADINGS, *rows_of(taken)]:
        print("  ".join(cell.ljust(24) for cell in row))
    if sys.argv[1:]:
        draw(taken, sys.argv[1])
