"""Nothing of a pod outlives the kubelet, even when that is killed: a child that is made here is tied to its parent."""

import ctypes
import os
import signal
import threading

PR_SET_PDEATHSIG = 1


def install() -> None:
    """Tie forked children to this process, and this process to a shell that is the container's first process.

    The kernel ties a child to the *thread* that made it, so children of passing threads are left alone.
    """
    from_main_thread = True

    def before_fork() -> None:
        nonlocal from_main_thread
        from_main_thread = threading.current_thread() is threading.main_thread()

    def after_fork() -> None:
        if from_main_thread:
            _tie()

    os.register_at_fork(before=before_fork, after_in_child=after_fork)
    parent = os.getppid()
    if parent == os.getsid(0) and len(os.listdir(f"/proc/{parent}/task")) == 1:
        _tie()


def _tie() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
