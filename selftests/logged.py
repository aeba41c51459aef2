"""A release in the Kubernetes API's stand-in whose containers have said what a test wants: a kubelet with a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from api_server import Api
from kube_objects import node
from recordings import load, until
from scripted import Scripted, Spoken, answer

from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release, discover
from seatrial.record import Record
from seatrial.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from seatrial.run import Run
from seatrial.settings import Settings

ARGS = {
    "gateway": ["python", "-m", "model_engine_server.entrypoints.start_fastapi_server"],
    "builder": ["celery", "--app=model_engine_server.service_builder", "worker"],
    "cacher": ["python", "-m", "model_engine_server.entrypoints.k8s_cache"],
    "autoscaler": ["python", "-m", "model_engine_server.core.celery.celery_autoscaler"],
}
NAMES = {
    "gateway": "llm",
    "builder": "llm-endpoint-builder",
    "cacher": "llm-cacher",
    "autoscaler": "celery-autoscaler-sqs",
}
REDIS = "cache.example:6379"
NAMESPACE, ENDPOINTS = "models", "endpoints"
CONFIG = {
    "launch_service_config": f"endpoint_namespace: endpoints\ncache_redis_aws_url: redis://{REDIS}/15\n",
    "infra_service_config": "cloud_provider: aws\n",
}


class Logged:
    """Use as a context manager. `say` gives a component's pod a log; before that it has said nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._record = folder, Record(Run("t5k2m9x7qd", folder / "run"))
        self._logs: dict[tuple[str, bool], str] = {}

    def __enter__(self) -> Self:
        self._api, self._kubelet = Api(self._folder).__enter__(), Scripted(self._log).__enter__()
        self.kube = Kube.connect(self._api.config, "sandbox", record=self._record)
        for name in (NAMESPACE, ENDPOINTS):
            self.kube.create(NAMESPACES, {"metadata": {"name": name}})
            self.kube.create(CONFIG_MAPS, {"metadata": {"name": "llm-service-config"}, "data": CONFIG}, name)
        made = node("n1")
        self.kube.create(NODES, made)
        status = made["status"] | {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._kubelet.port}},
        }
        self.kube.patch(NODES, "n1", "", {"status": status}, subresource="status")
        for component in ARGS:
            self._deploy(component)
        ports = {"ports": [{"port": 80}], "selector": {"app": "llm"}}
        self.kube.create(SERVICES, {"metadata": {"name": "llm"}, "spec": ports}, NAMESPACE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kube.close()
        self._record.close()
        self._kubelet.__exit__(kind, error, trace)
        self._api.__exit__(kind, error, trace)

    @property
    def release(self) -> Release:
        """As discovery finds it now."""
        return discover(self.kube, Settings.load({}, {}, Path("/")))

    def say(self, component: str, *said: str | dict[str, Any], previous: bool = False) -> None:
        """The whole log of the component's container: texts as they are, dictionaries as JSON lines."""
        lines = [one if isinstance(one, str) else json.dumps(one) for one in said]
        self._logs[NAMES[component], previous] = "".join(f"{one}\n" for one in lines)

    def status(self, component: str, **container: Any) -> None:
        """The status of the component's container, else a ready one; returns once its controller has seen it."""
        found = {"name": "main", "image": "me:1", "ready": True, "restartCount": 0, "state": {"running": {}}}
        found |= container
        status = {"phase": "Running", "containerStatuses": [found]}
        status["conditions"] = [{"type": "Ready", "status": str(found["ready"])}]
        labels = f"app={NAMES[component]}"
        (pod,) = until(lambda: self.kube.list(PODS, NAMESPACE, labels=labels, empty_ok=True), 10)
        self.kube.patch(PODS, pod["metadata"]["name"], NAMESPACE, {"status": status}, subresource="status")

        def counted() -> bool:
            workload = self.kube.get(kind(component), NAMES[component], NAMESPACE)
            return bool(workload.get("status", {}).get("availableReplicas", 0) == int(found["ready"]))

        until(counted, 10)

    def _deploy(self, component: str) -> None:
        name = NAMES[component]
        labels = {"app": name}
        config = {"name": "c", "configMap": {"name": "llm-service-config"}}
        spec = {"containers": [{"name": "main", "image": "me:1", "args": ARGS[component]}], "volumes": [config]}
        body = {
            "metadata": {"name": name},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }
        self.kube.create(kind(component), body, NAMESPACE)
        self.status(component)

    def _log(self, spoken: Spoken) -> Iterator[bytes]:
        url = urlsplit(spoken.path)
        previous = parse_qs(url.query).get("previous") == ["true"]
        pod = url.path.split("/")[3]
        name = max((one for one in NAMES.values() if pod.startswith(f"{one}-")), key=len, default="")
        text = self._logs.get((name, previous), "")
        tail = parse_qs(url.query).get("tailLines")
        lines = text.splitlines(keepends=True)
        yield answer(200, "".join(lines[-int(tail[0]) :] if tail else lines), "text/plain")


def kind(component: str) -> Resource:
    """What kind of object a component is."""
    return STATEFUL_SETS if component == "autoscaler" else DEPLOYMENTS


def recorded(name: str) -> list[dict[str, Any]]:
    """The lines of a recording, as a pod would say them: of a traceback the end was recorded."""
    return [{**one, "exc_info": one.get("exc_tail", "")} for one in load(name)]


def line(message: str, name: str = "", level: str = "INFO", exc_info: str = "", time: str = "1") -> dict[str, Any]:
    """One line of a program of the product."""
    return {"message": message, "name": name, "level": level, "time": time, "exc_info": exc_info}
