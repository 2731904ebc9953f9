"""Measures against the limits of this machine: `python -m benchmarks [P1 P4 ...]` prints one table.

Each module holds one measure: `OURS` and its limit are taken in turns in the same run, because the speed
of a machine drifts and only ratios taken together mean anything.
"""
