"""Measures against the limits of this machine: `python -m benchmarks [P1 P4 ...]` prints one table.

Each module `p*`, `g*` and `drives*` holds one measure. Ours, its limit and the peers are taken in turns in
the same run, because the speed of a machine drifts and only ratios taken together mean anything. A limit does
the same work with the standard library, in a module that imports nothing of ours where that would count.
"""
