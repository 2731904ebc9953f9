"""Says which limit of the system stops a process from starting, and how to raise it."""

from __future__ import annotations

import errno
import resource

#: Open files of the main process, and for each work; a limit that is enough for some hundred works.
_FILES, _FILES_OF_A_WORK, _MANY_FILES = 20, 6, 4096


def name_limit(error: BaseException) -> str:
    """Return why the system refused a start, with the limit and a way to raise it.

    Args:
        error: An `OSError`, or the `RuntimeError` of a thread that can't start.
    """
    number = error.errno if isinstance(error, OSError) else errno.EAGAIN
    if number == errno.EMFILE:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return (
            f"too many open files: this process may have {soft}, and needs about {_FILES} and "
            f"{_FILES_OF_A_WORK} per work. {_how_to_raise(soft, hard)}."
        )
    if number == errno.ENFILE:
        return "too many open files on this machine. Raise the limit with 'sysctl fs.file-max'."
    if number == errno.EAGAIN:
        soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        limit = "as many as the container allows" if soft == resource.RLIM_INFINITY else str(soft)
        return f"too many processes and threads: this user may have {limit}. Raise it with 'ulimit -u'."
    if number == errno.ENOMEM:
        return "no memory is left for its process. Run fewer works, or look at 'ulimit -v' and the container."
    return str(error)


def _how_to_raise(soft: int, hard: int) -> str:
    """Return how to raise the limit of open files to a number that helps."""
    wanted = max(4 * soft, _MANY_FILES)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return f"Raise it with 'ulimit -n {wanted}'"
    if hard > soft:
        return f"Raise it with 'ulimit -n {hard}'; for more, raise the hard limit as root, in limits.conf"
    return f"Raise it with 'ulimit -n {wanted}' in a new shell, or as root: the hard limit is {hard}, too"
