"""Measures against the limits of this machine: `python -m benchmarks [P1 P4 ...]` prints one table.

Each module `p*`, `g*` and `drives*` holds one measure. Ours, its limit and the peers are measured in turns in
the same run, because the speed of a machine varies and only ratios of one run are comparable. A limit does
the same work with the standard library, in a module that imports nothing of ours where that would count.
"""
