"""NetworkPolicies, as a network plug-in holds pods to them: where they may connect to. Ingress is not looked at.

It writes ``egress.json`` beside ``services.json``, for the sockets inside pods: ``{"hole": [address, port], "pods":
{"<namespace>/<pod>": [{"cidr": "10.0.0.0/8", "except": [], "ports": [443]}]}}``. A pod that no policy selects is not in
it. A connection that nothing allows is led into the hole, where it hangs, as a dropped packet does.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from sandbox.client import Client, Object
from sandbox.tasks import background

EVERYWHERE = "0.0.0.0/0"


class NetworkPolicies:
    """Follows pods and NetworkPolicies from `start` to `stop`. `address`: of this node, for the hole."""

    def __init__(self, client: Client, address: str, directory: Path) -> None:
        self._client, self._file = client, directory / "egress.json"
        self._pods: dict[str, Object] = {}
        self._policies: dict[str, Object] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._hole = socket.socket()
        self._filler = socket.socket()
        self._address = address

    async def start(self) -> None:
        """The file is there from here on."""
        # A queue of one place that is taken: the kernel drops whoever else knocks.
        self._hole.bind((self._address, 0))
        self._hole.listen(0)
        self._filler.connect(self._hole.getsockname())
        self._write()
        self._tasks = [
            background(self._follow(path, found))
            for path, found in (
                ("/api/v1/pods", self._pods),
                ("/apis/networking.k8s.io/v1/networkpolicies", self._policies),
            )
        ]

    async def stop(self) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._filler.close()
        self._hole.close()

    async def _follow(self, path: str, found: dict[str, Object]) -> None:
        async for kind, obj in self._client.watch(path):
            key = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
            if kind == "DELETED":
                found.pop(key, None)
            else:
                found[key] = obj
            self._write()

    def _write(self) -> None:
        policies = [policy for policy in self._policies.values() if _is_egress(policy)]
        pods = {}
        for key, pod in self._pods.items():
            concerning = [policy for policy in policies if _selects(policy, pod)]
            if concerning:
                pods[key] = [allowed for policy in concerning for allowed in _allowed(policy)]
        text = json.dumps({"hole": self._hole.getsockname(), "pods": pods}, indent=1, sort_keys=True)
        if not self._file.exists() or self._file.read_text() != text:
            draft = self._file.with_suffix(".new")
            draft.write_text(text)
            os.replace(draft, self._file)


def _is_egress(policy: Object) -> bool:
    spec = policy["spec"]
    return "Egress" in (spec.get("policyTypes") or (["Egress"] if spec.get("egress") else []))


def _selects(policy: Object, pod: Object) -> bool:
    if policy["metadata"]["namespace"] != pod["metadata"]["namespace"]:
        return False
    selector, labels = policy["spec"].get("podSelector") or {}, pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or []
    )


def _holds(expression: Object, labels: dict[str, str]) -> bool:
    present, value = expression["key"] in labels, labels.get(expression["key"])
    return {
        "Exists": present,
        "DoesNotExist": not present,
        "In": value in expression.get("values", []),
        "NotIn": value not in expression.get("values", []),
    }[str(expression["operator"])]


def _allowed(policy: Object) -> Iterator[Object]:
    """What the policy's egress rules allow; an empty rule allows everything."""
    for rule in policy["spec"].get("egress") or []:
        listed = rule.get("ports")
        ports = [port["port"] for port in listed or [] if port.get("protocol", "TCP") == "TCP"]
        for peer in rule.get("to") or [{"ipBlock": {"cidr": EVERYWHERE}}]:
            block = peer["ipBlock"]
            yield {
                "cidr": block["cidr"],
                "except": block.get("except") or [],
                **({} if listed is None else {"ports": ports}),
            }
