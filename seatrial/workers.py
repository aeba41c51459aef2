"""pytest-xdist, so that a worker which dies takes nothing with it but its own phases, and a signal ends all at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest
from xdist.workermanage import WorkerController

from seatrial.phases import PhaseScheduling


def prepare(config: pytest.Config) -> None:
    """In the controller's ``pytest_configure``: modules stay whole and in their order; nobody is replaced."""
    config.option.dist = "loadfile"
    config.option.loadscopereorder = False
    config.option.maxworkerrestart = "0"


def end_with(parent: int) -> None:
    """In a worker: end as soon as the controller has, however it did; what works on makes what nobody removes."""

    def watch() -> None:
        never = threading.Event()
        while os.getppid() == parent:
            never.wait(0.2)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


class Workers:
    """The controller's view of its workers; `lost` names those that ended badly."""

    def __init__(self, config: pytest.Config, hand_over: dict[str, Any]) -> None:
        self.config = config
        self.hand_over = hand_over
        self.lost: list[str] = []
        self._pids: dict[str, int] = {}

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> PhaseScheduling:
        """A phase, a worker."""
        return PhaseScheduling(config, log)

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give a worker the run it belongs to, and remember whom to end."""
        node.workerinput["seatrial"] = self.hand_over
        self._pids[node.gateway.id] = node.gateway._io.popen.pid

    @staticmethod
    def begin_deaf() -> None:
        """Workers that begin from now on never hear a Ctrl-C: a blocked signal stays so in a new process."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionstart(self, session: pytest.Session) -> Generator[None, None, None]:
        """Once all have begun, this process hears it again."""
        try:
            return (yield)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """An empty selection needed no workers: there is no loop to run."""
        return None if session.items else True

    def pytest_testnodeready(self, node: WorkerController) -> None:
        """Keep the others going when this one dies."""
        session: Any = self.config.pluginmanager.get_plugin("dsession")
        session.worker_errordown = lambda node, error: self._down(session, node, error)

    def pytest_testnodedown(self, node: WorkerController, error: object) -> None:
        """A worker has ended; without an error that is the ordinary end."""
        if error:
            self.lost.append(node.gateway.id)

    def _down(self, session: Any, node: WorkerController, error: object) -> None:
        """What xdist does when a worker dies, less the end of all others: they have phases of their own to finish."""
        self.config.hook.pytest_testnodedown(node=node, error=error)
        with suppress(KeyError):
            if at := session.sched.remove_node(node):
                session.handle_crashitem(at, node)
        session._active_nodes.remove(node)
        if not session._active_nodes or not session.sched.collection_is_completed:
            session.triggershutdown()

    def kill(self) -> None:
        """End all workers at once: they are no clean-up path."""
        for pid in self._pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._pids.clear()
