"""The sandbox's Kubernetes API, on a loop of its own in a thread, and a kubeconfig for it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from sandbox.kube import kubeconfig
from sandbox.kube.server import ApiServer
from sandbox.kube.users import MASTERS, User

TOKEN = "api-token-of-the-tests"


class Api:
    """Use as a context manager; `config` is a kubeconfig with the context ``sandbox`` in namespace ``models``."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "kubeconfig"
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        kubeconfig.write(
            self.config,
            url=self.url,
            ca_pem=self._server.ca_pem,
            token=TOKEN,
            namespace="models",
            context="sandbox",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    def start(self) -> None:
        """A new, empty server."""
        self._server = ApiServer(users={TOKEN: User("tester", (MASTERS,))}, service_network="127.7.200.0/24")
        self._run(self._server.start("127.0.0.1"))
        self.url = self._server.url

    def stop(self) -> None:
        """Every connection breaks."""
        self._run(self._server.stop())

    def _run(self, job: Any) -> None:
        asyncio.run_coroutine_threadsafe(job, self.loop).result(10)


def write_config(path: Path, server: str, user: dict[str, Any], **cluster: Any) -> Path:
    """A kubeconfig with the one context ``prod``."""
    config = {
        "current-context": "prod",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
