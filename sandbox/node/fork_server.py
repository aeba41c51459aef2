"""Becomes the Python programs of pods: a fork of a process that has an interpreter and its imports begins at once.

``python -m sandbox.node.fork_server SOCKET MODULE...`` imports the modules and takes requests from the socket with this
number. A request is a byte with two files: where the program's output goes, and what it is, as JSON: its number, argv,
environment and directory. An answer is three numbers: that of the request, the process, and `STARTED`; or 0, the
process, and its exit code as a container has it. What runs differs in nothing but its command line in ``/proc``.

It is also the guard of the programs that kubelets start themselves: a `NOTE` names a process group, to `GUARD` or to
`LET_GO`. When the kubelets' end is closed, by whatever they die, it kills those: a shell is tied to its kubelet, and
nothing ties to the shell what it waits for.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import time
import types
from typing import Any, NoReturn

ANSWER = struct.Struct("=iii")
STARTED = -1
NOTE = struct.Struct("=ci")
GUARD, LET_GO = b"+", b"-"
PR_SET_NAME = 15
SELDOM = 20_000
"""New objects between two garbage collections, CPython's own is 700: a program imports far more than it drops."""


def main(server: socket.socket, modules: list[str]) -> None:
    """Serve until the kubelet closes its end; in a fork: be what was asked for."""
    gc.disable()
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # a collection in a fork would copy what all share
    gc.set_threshold(SELDOM)
    gc.enable()
    request, output = serve(server)
    become(request, output, server)
    run(request["argv"])


def serve(server: socket.socket) -> tuple[dict[str, Any], int]:
    """Fork at each request; returns in the forks alone, with the request and the program's output."""
    ended, ended_end = os.pipe()
    for end in (ended, ended_end):
        os.set_blocking(end, False)
    guarded: set[int] = set()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is tied to the kubelets by it, and their end is seen below
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(ended_end)
    poll = select.poll()
    for descriptor in (server.fileno(), ended):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == ended:
                os.read(ended, 1 << 12)
                reap(server)
                continue
            asked, files, _, _ = socket.recv_fds(server, NOTE.size, 2)
            if not asked:
                kill(guarded)
            if not files:
                kind, group = NOTE.unpack(asked)
                guarded.add(group) if kind == GUARD else guarded.discard(group)
                continue
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for end in (ended, ended_end):
                    os.close(end)
                with os.fdopen(files[1]) as written:
                    return json.load(written), files[0]
            for file in files:
                os.close(file)


def kill(guarded: set[int]) -> NoReturn:
    """Nobody is there any more for whom anything runs."""
    for group in guarded:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    os._exit(0)


def reap(server: socket.socket) -> None:
    """Tell how forks have ended. Nothing of a container outlives its first process."""
    with contextlib.suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(found.si_pid, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(found.si_pid, 0)[1])
            server.send(ANSWER.pack(0, found.si_pid, code if code >= 0 else 128 - code))


def become(request: dict[str, Any], output: int, server: socket.socket) -> None:
    """Session, output, directory, environment, and whatever of them an interpreter reads when it starts."""
    os.setsid()
    server.send(ANSWER.pack(request["number"], os.getpid(), STARTED))
    server.close()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    own = os.environ["PYTHONPATH"].split(":")
    sys.path[:] = [*own, *(path for path in sys.path[1:] if path not in own)]
    for part in ("pod_network", "pod_azure"):
        importlib.import_module(part).identify()


def run(argv: list[str]) -> None:
    """The program, as ``python -m``, ``python -c`` and ``python FILE`` run it."""
    first, rest = argv[1], argv[2:]
    name = os.path.basename(first if first[0] != "-" else rest[0].rpartition(".")[2] if first == "-m" else "python")
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15])
    try:
        if first == "-m":
            sys.argv, sys.path[:0] = rest, [os.getcwd()]
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif first == "-c":
            sys.argv, sys.path[:0] = ["-c", *rest[1:]], [""]
            sys.modules["__main__"] = program = types.ModuleType("__main__")
            exec(compile(rest[0], "<string>", "exec"), program.__dict__)
        else:
            sys.argv, sys.path[:0] = argv[1:], [os.path.dirname(first)]
            runpy.run_path(first, run_name="__main__")
    except SystemExit:
        raise
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename in (__file__, runpy.run_module.__code__.co_filename):
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
