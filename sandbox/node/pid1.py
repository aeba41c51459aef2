"""What becomes a container's first process: ``pid1.py PARENT ERROR_FD PROGRAM ARGUMENT...``.

It ties the program to the life of the kubelet. What keeps the program from starting is written to ERROR_FD, which is
closed without a word when it has started.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, error_fd, *argv = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the line above
        os._exit(128 + signal.SIGKILL)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.set_inheritable(int(error_fd), False)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(int(error_fd), f'exec: "{argv[0]}": {reason(argv[0], error)}'.encode())
        os._exit(128)


def reason(program: str, error: OSError) -> str:
    """In runc's words."""
    if isinstance(error, FileNotFoundError):
        return f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
    return (error.strerror or "").lower()


main()
