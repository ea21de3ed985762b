"""Becomes another program that dies when its parent does: `python launch.py PARENT PROGRAM ARGUMENT…`.

A program of its own and not `preexec_fn`, which runs Python between fork and exec of a process that may have threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Asks the kernel for the signal, checks that it was not too late, and becomes the program."""
    parent, *argv = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit(f"{argv[0]} not started: its parent {parent} is gone")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so across exec
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be started: {error}")


if __name__ == "__main__":
    main()
