"""Which limit of the machine an error means, and how it is raised."""

from __future__ import annotations

import errno
import resource


def name_limit(error: BaseException) -> str:
    """Return what the system refuses, which limit that is, and what to do.

    Args:
        error: An `OSError`, or the `RuntimeError` of a thread that can't start.
    """
    number = error.errno if isinstance(error, OSError) else errno.EAGAIN
    if number == errno.EMFILE:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"too many open files: this process may have {soft}. Raise it with 'ulimit -n {hard}'."
    if number == errno.ENFILE:
        return "too many open files on this machine. Raise the limit with 'sysctl fs.file-max'."
    if number == errno.EAGAIN:
        soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        limit = "as many as the container allows" if soft == resource.RLIM_INFINITY else str(soft)
        return f"too many processes and threads: this user may have {limit}. Raise it with 'ulimit -u'."
    if number == errno.ENOMEM:
        return "no memory is left for its process. Run fewer works, or look at 'ulimit -v' and the container."
    return str(error)
