"""Seconds that the framework waits, where no argument of the user says how long."""

from __future__ import annotations

#: Seconds that a stopped work has to exit, before it is terminated and killed.
STOP_TIMEOUT = 5.0

#: Seconds that the script of a stopped work has to exit, before it is killed; less than `STOP_TIMEOUT`.
SCRIPT_STOP_TIMEOUT = 3.0

#: Seconds for which the first process of a node, after an error, waits for the end of the others: a failure
#: of one of them may be the reason.
RANK_PATIENCE = 5.0

#: Seconds between two checks whether one of the other processes of a node has failed.
RANK_CHECK_INTERVAL = 0.1

#: Seconds that a program of this package which serves pages has to exit, before it is killed; less than
#: `STOP_TIMEOUT`, because that of a work is stopped with the work. If a page is open, it answers its last
#: question before.
PROGRAM_STOP_TIMEOUT = 3.0

#: Seconds that the servers of all frontends have to stop at the end of the app.
FRONTEND_STOP_TIMEOUT = 10.0

#: Seconds between two checks for changes inside the lists and dicts of a work while a call runs.
LOOK_INTERVAL = 0.1

#: Timeout in seconds of one attempt to connect to the port of a work.
PROBE_TIMEOUT = 1.0

#: Seconds between the first two attempts to connect to the port of a work; doubled for each further one.
PROBE_INTERVAL_MIN = 0.005

#: Maximum of seconds between two attempts.
PROBE_INTERVAL_MAX = 1.0
