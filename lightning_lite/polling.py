"""The wait between two tries, where no event reports when the next one can succeed."""

from __future__ import annotations

import time


def wait_between_tries(seconds: float) -> None:
    """Wait before the next try, where no event reports when it can succeed.

    The system does not report that another process has released a lock, that another user has changed the
    mode of a folder, or that an object is in a bucket. (A blocking `flock` has no time limit.) In other
    places, `time.sleep` is not allowed: a wait for an event ends as soon as the event comes.

    Args:
        seconds: How long.
    """
    time.sleep(seconds)  # noqa: TID251 - there is no event, see above
