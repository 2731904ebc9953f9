"""Measures against the limits of this machine: `python -m benchmarks [P1 P4 ...]` prints one table.

Each module `p*`, `g*` and `drives*` has measures of one subject. Ours, the limit and the peers are measured
in turns in the same run, because the speed of a machine varies and only ratios of one run are comparable. A
limit does the same work with the standard library. Where imports count, it is in a module that does not
import this package.
"""
