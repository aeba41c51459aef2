"""A sandbox for the self-tests of the product's stand-ins, and what they do to it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import redis
from recordings import Answer, request, until
from sandboxes import sandbox

from sandbox.client import Client

SCALE = 0.2
WAIT = 20.0

Object = dict[str, Any]
ENDPOINT: Object = {
    "endpoint_type": "sync",
    "cpus": "1",
    "memory": "1Gi",
    "storage": "2Gi",
    "gpus": 0,
    "min_workers": 1,
    "max_workers": 1,
    "per_worker": 1,
    "labels": {"team": "infra", "product": "smoke-test"},
    "metadata": {},
}
"""The create request of R0 4.1 without its name and its bundle."""


@contextlib.contextmanager
def started(*words: str) -> Iterator[Release]:
    """A sandbox with fast clocks, as long as the context lasts."""
    with sandbox(*words) as one:
        yield Release(one.up)


class Release:
    """The deployment in a sandbox. `up`: what ``up --json`` printed."""

    def __init__(self, up: Object) -> None:
        self.up = up
        self.gateway_url, self.namespace, self.endpoints = up["gateway_url"], up["namespace"], up["endpoint_namespace"]

    def kube(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """One request to the Kubernetes API."""

        async def ask() -> Any:
            async with Client.from_kubeconfig(self.up["kubeconfig"]) as client:
                kind = "application/merge-patch+json" if method == "PATCH" else ""
                return await client.request(method, path, body=body, params=params, content_type=kind)

        return asyncio.run(ask())

    def pods(self, namespace: str, selector: str) -> list[Object]:
        """Pods by label."""
        return list(self.kube("GET", f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)["items"])

    def log(self, name: str) -> list[Object]:
        """The JSON lines of a control-plane pod's log."""
        text = self.kube("GET", f"/api/v1/namespaces/{self.namespace}/pods/{name}/log")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    @contextlib.contextmanager
    def without(self, name: str, resource: str = "deployments") -> Iterator[None]:
        """With a part of the control plane scaled to 0, and to 1 again."""
        self._scale(resource, name, 0)
        try:
            yield
        finally:
            self._scale(resource, name, 1)

    def _scale(self, resource: str, name: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{resource}/{name}"
        self.kube("PATCH", path, {"spec": {"replicas": replicas}})
        until(lambda: len(self.pods(self.namespace, f"app={name}")) == replicas, WAIT)
        until(lambda: self.kube("GET", path)["status"].get("availableReplicas", 0) == replicas, WAIT)

    @contextlib.contextmanager
    def copy_of(self, app: str, change: Callable[[Object], None]) -> Iterator[tuple[str, str]]:
        """Name and address of one more pod like those labelled `app`, whose spec `change` has changed in place."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        spec = copy.deepcopy(self.pods(self.namespace, f"app={app}")[0]["spec"])
        spec.pop("nodeName", None)
        change(spec)
        name = f"copy-{uuid.uuid4().hex[:8]}"
        self.kube("POST", path, {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
        try:
            yield name, until(lambda: self.kube("GET", f"{path}/{name}")["status"].get("podIP"), WAIT)
        finally:
            self.kube("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})

    @contextlib.contextmanager
    def another_gateway(self, change: Callable[[Object], None]) -> Iterator[tuple[str, str]]:
        """Pod name and URL of one more gateway, changed in the same way."""
        with self.copy_of("model-engine", change) as (name, address):
            until(lambda: answers(f"http://{address}:5000/readyz"), WAIT)
            yield name, f"http://{address}:5000"

    @contextlib.contextmanager
    def redis_password(self) -> Iterator[None]:
        """Redis asks for a password that nobody was given, and has cut its clients off."""
        with redis.Redis.from_url(self.up["redis_url"]) as client:
            client.config_set("requirepass", "secret")
            try:
                client.client_kill_filter(_type="normal", skipme=True)
                yield
            finally:
                client.config_set("requirepass", "")


def answers(url: str) -> Answer | None:
    """The answer to a GET, None while nobody listens."""
    try:
        return request(url, "GET", None)
    except ConnectionError:
        return None


def environment(**values: str) -> Callable[[Object], None]:
    """Sets plain values in the environment of a pod's only container."""

    def change(spec: Object) -> None:
        (container,) = spec["containers"]
        container["env"] = [pair for pair in container["env"] if pair["name"] not in values]
        container["env"] += [{"name": name, "value": value} for name, value in values.items()]

    return change
