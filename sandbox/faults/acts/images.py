"""The registry of a sandbox is one file, images.json, that the kubelet reads at every pull."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.client import Client
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

ECHO = "model_engine_server.inference.forwarding.echo_server"
ASIDE = "without "

Images = dict[str, dict[str, Any]]


def change(sandbox: Sandbox, edit: Callable[[Images], None]) -> None:
    """Let `edit` change the images in place."""
    path = Path(sandbox.directory) / "images.json"
    images = json.loads(path.read_text())
    edit(images)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(images, indent=1))
    draft.replace(path)


def lose(sandbox: Sandbox, image: str) -> None:
    """Remove `image` from the registry, and with it the node's copy."""

    def edit(listed: Images) -> None:
        listed[image] = {"error": f"{image}: not found", "code": "NotFound", "lost": listed[image]}

    change(sandbox, edit)


def find(sandbox: Sandbox, image: str) -> None:
    """Push what was lost."""

    def edit(listed: Images) -> None:
        listed[image] = listed[image]["lost"]

    change(sandbox, edit)


def leave_out(sandbox: Sandbox, program: str) -> None:
    """Push the product's image anew, without one of its programs."""

    def edit(listed: Images) -> None:
        programs = listed[sandbox.image]["programs"]
        programs[ASIDE + program] = programs.pop(program)

    change(sandbox, edit)


def put_back(sandbox: Sandbox, program: str) -> None:
    """Push it anew, with that program again."""

    def edit(listed: Images) -> None:
        programs = listed[sandbox.image]["programs"]
        programs[program] = programs.pop(ASIDE + program)

    change(sandbox, edit)


async def pull(sandbox: Sandbox, image: str = "", node: str = "") -> None:
    """Have a node pull the image anew, as a pod with ``imagePullPolicy: Always`` does; none: the product's."""
    pods = "/api/v1/namespaces/default/pods"
    image = image or sandbox.image
    container = {"name": "pull", "image": image, "imagePullPolicy": "Always", "command": ["true"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "image-pull"},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            **({"nodeName": node} if node else {}),
        },
    }
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        await client.create(pods, pod)

        async def done() -> bool:
            pulling = await client.get(f"{pods}/image-pull")
            return bool(pulling["status"].get("phase") == "Succeeded")

        await until(done, f"{image} is pulled")
        await client.delete(f"{pods}/image-pull", gracePeriodSeconds=0)
