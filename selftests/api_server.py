"""The sandbox's Kubernetes API, on a loop of its own in a thread, and a kubeconfig for it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Self

import yaml

from sandbox.kube import kubeconfig
from sandbox.kube.server import ApiServer
from sandbox.kube.users import MASTERS, User

TOKEN = "api-token-of-the-tests"
HOST = "127.0.0.1"


class Api:
    """Use as a context manager; `config` is a kubeconfig with the context ``sandbox`` in namespace ``models``.

    `users`: beside the administrator, whose token is `TOKEN`.
    """

    def __init__(self, directory: Path, **users: User) -> None:
        self.config = directory / "kubeconfig"
        self._users = {TOKEN: User("admin", (MASTERS,)), **users}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="api-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        kubeconfig.write(
            self.config, url=self.url, ca_pem=self.ca_pem, token=TOKEN, namespace="models", context="sandbox"
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the API server did not stop"
        self.loop.close()

    def start(self) -> None:
        """A new, empty server."""
        self._server = ApiServer(users=self._users, service_network="127.254.200.0/24")
        self._run(self._server.start(HOST))
        self.url, self.ca_pem = self._server.url, self._server.ca_pem

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
