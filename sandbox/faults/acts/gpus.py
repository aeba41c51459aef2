"""GPU nodes: what whoever has the machines can do to them, and what anybody can see and change through the API."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.client import Client
from sandbox.faults import FaultError
from sandbox.faults.acts import kept
from sandbox.faults.acts.until import until
from sandbox.handle import Sandbox

Object = dict[str, Any]

FOLDER = "machines"  # in the sandbox's directory: see gpu/machines.py
OFF, SILENT = "off", "silent"
PRODUCT_LABEL = "k8s.amazonaws.com/accelerator"  # by which the product's templates choose nodes
OPERATORS = {"nvidia": "gpu-operator", "amd": "kube-amd-gpu"}  # the operators' namespaces


def folders(sandbox: Sandbox) -> list[Path]:
    """Of the machines, each named as its node. FaultError where there is none."""
    found = sorted((Path(sandbox.directory) / FOLDER).glob("*"))
    if not found:
        raise FaultError("this sandbox has no GPU nodes: start one with the word nvidia or amd")
    return found


def hardware(sandbox: Sandbox) -> Object:
    """Of the first: they are alike."""
    return dict(json.loads((folders(sandbox)[0] / "machine.json").read_text()))


def nodes(sandbox: Sandbox) -> list[str]:
    """The API paths of the GPU nodes."""
    return [f"/api/v1/nodes/{folder.name}" for folder in folders(sandbox)]


def sign(sandbox: Sandbox, name: str, *, there: bool) -> None:
    """Set or remove one of the signs in every machine's folder."""
    for folder in folders(sandbox):
        if there:
            (folder / name).touch()
        else:
            (folder / name).unlink(missing_ok=True)


def tell(sandbox: Sandbox, **told: object) -> None:
    """What the driver tells of every GPU: ``healthy``, errors of its memory (``uncorrected``), ``mig``."""
    for folder in folders(sandbox):
        path = folder / "machine.json"
        found = json.loads(path.read_text())
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(found | {"gpus": [gpu | told for gpu in found["gpus"]]}, indent=1))
        draft.replace(path)


async def patch(sandbox: Sandbox, fault: str, change: Callable[[Object], Object]) -> None:
    """Merge into each GPU node what `change` makes of it, and keep what it was."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        before = {path: await client.get(path) for path in nodes(sandbox)}
        kept.keep(sandbox, fault, {path: _ours(node) for path, node in before.items()})
        for path, node in before.items():
            await client.patch(path, change(node))


async def patch_back(sandbox: Sandbox, fault: str) -> None:
    """Labels, taints and cordon as they were before `patch`; what others have added since stays."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for path, before in kept.give_back(sandbox, fault).items():
            await client.patch(path, before)


def _ours(node: Object) -> Object:
    spec = {"taints": node["spec"].get("taints"), "unschedulable": node["spec"].get("unschedulable")}
    return {"metadata": {"labels": node["metadata"]["labels"]}, "spec": spec}


async def counted(sandbox: Sandbox, capacity: str | None, allocatable: str | None) -> None:
    """Return once every GPU node says so of its GPUs; None: it does not know the resource."""
    resource = hardware(sandbox)["resource"]

    async def holds() -> bool:
        found = [node["status"] for node in await listed(sandbox)]
        told = [(one["capacity"].get(resource), one["allocatable"].get(resource)) for one in found]
        return told == [(capacity, allocatable)] * len(nodes(sandbox))

    await until(holds, f"{resource} is {capacity} of which {allocatable} are allocatable")


async def listed(sandbox: Sandbox) -> list[Object]:
    """The GPU nodes that there are."""
    names = {folder.name for folder in folders(sandbox)}
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        return [node for node in await client.list("/api/v1/nodes") if node["metadata"]["name"] in names]


async def switch(sandbox: Sandbox, which: str, *, there: bool) -> None:
    """Set or remove ``off`` or ``silent``; returns once the nodes, or their kubelets, are gone, or the nodes there."""
    sign(sandbox, which, there=there)
    count = 0 if there and which == OFF else len(nodes(sandbox))

    async def followed() -> bool:
        return len(await listed(sandbox)) == count

    await until(followed, f"there are {count} GPU nodes")
    if there and which == SILENT:
        await _kubelets_gone(sandbox)


async def _kubelets_gone(sandbox: Sandbox) -> None:
    """Return once no kubelet of a GPU node answers."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        found = [await client.get(path) for path in nodes(sandbox)]
    ports = [(_address(node), node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]) for node in found]

    async def silent() -> bool:
        for address, port in ports:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
                return False
        return True

    await until(silent, "the GPU nodes' kubelets have stopped")


def _address(node: Object) -> str:
    return str(next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"))


async def anew(sandbox: Sandbox, runtime: bool) -> None:
    """Every machine set up anew, its containers given GPUs or not; returns once its node has joined."""
    await switch(sandbox, OFF, there=True)
    for folder in folders(sandbox):
        for path in (*(folder / "checkpoint").iterdir(), *(folder / "plugins").iterdir()):
            path.unlink()
    sign(sandbox, "runtime", there=runtime)
    await switch(sandbox, OFF, there=False)


def namespace(sandbox: Sandbox) -> str:
    """Of the operator."""
    return OPERATORS[hardware(sandbox)["vendor"]]


async def restart_operands(sandbox: Sandbox, *, but: str = "") -> None:
    """Delete the pods that wait for a driver first, but for the container `but`; their DaemonSets make new ones."""
    pods = f"/api/v1/namespaces/{namespace(sandbox)}/pods"
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for pod in await client.list(pods):
            first = pod["spec"]["containers"][0]
            if "initContainers" in pod["spec"] and first["name"] != but:
                await client.delete(f"{pods}/{pod['metadata']['name']}", gracePeriodSeconds=0)


async def operands_ready(sandbox: Sandbox) -> None:
    """Return once each of the operands runs on every GPU node."""
    path = f"/apis/apps/v1/namespaces/{namespace(sandbox)}/daemonsets"

    async def ready() -> bool:
        async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
            sets = await client.list(path)
        found = [one["status"] for one in sets if "initContainers" in one["spec"]["template"]["spec"]]
        wanted = {one["desiredNumberScheduled"] for one in found}
        return max(wanted) == len(nodes(sandbox)) and all(
            one["numberReady"] == one["desiredNumberScheduled"] for one in found
        )

    await until(ready, "the operands run on every GPU node")


async def whole(sandbox: Sandbox) -> None:
    """Return once the operands run everywhere, and every GPU is offered."""
    await operands_ready(sandbox)
    await counted(sandbox, "2", "2")


async def mended(sandbox: Sandbox, which: str) -> None:
    """Set a machine's sign again, and start the operands anew; returns once all is as it was."""
    sign(sandbox, which, there=True)
    await restart_operands(sandbox)
    await whole(sandbox)


async def operands_stuck(sandbox: Sandbox) -> None:
    """Return once an init container of each restarted operand has said that there is no driver."""
    pods = f"/api/v1/namespaces/{namespace(sandbox)}/pods"
    words = ("driver is not ready", "driver is not loaded")

    async def said() -> bool:
        async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
            for pod in await client.list(pods):
                begun = [one["name"] for one in pod["status"].get("initContainerStatuses", []) if "containerID" in one]
                if begun[:1] in (["driver-validation"], ["driver-init"]):
                    path = f"{pods}/{pod['metadata']['name']}/log"
                    log = await client.request("GET", path, params={"container": begun[0]})
                    if any(word in log for word in words):
                        return True
        return False

    await until(said, "an operand says that there is no driver")
