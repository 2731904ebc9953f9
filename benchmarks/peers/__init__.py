"""Other frameworks on the same tasks, if they are installed in `.venv-peers` (`make bench-peers`).

Each module is one peer, and does not import lightning_lite. `VERSION` names it; each of its functions
prints one figure, in the unit of the measure that names it:

    body       seconds from its start to the body of a first task in another process
    call       microseconds of a call that returns a number, in a loop
    fan_out    milliseconds of 200 such calls over four workers
    big_value  seconds from the return of 256 MB in one process to their use in another
"""
