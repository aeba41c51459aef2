"""``python tied.py PARENT SIGNAL USER GROUP ARGV...``: become ARGV, with SIGNAL at the death of the process PARENT.

It drops to the user first, for a change of user makes the kernel forget the signal; -1 stays who we are.
It imports little: it stands before every program that `sandbox.backends.child` starts.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, died: int, user: int, group: int, argv: list[str]) -> None:
    """Does not return."""
    if user != -1:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, died)
    if os.getppid() != parent:  # it ended before the kernel was asked
        sys.exit(1)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
