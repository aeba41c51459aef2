"""What a fault takes away and its heal puts back, kept in the sandbox's directory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sandbox.client import Client
from sandbox.handle import Sandbox

Object = dict[str, Any]
SERVERS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")


def keep(sandbox: Sandbox, fault: str, thing: Any) -> None:
    """Anything that JSON can say."""
    _file(sandbox, fault).write_text(json.dumps(thing))


def give_back(sandbox: Sandbox, fault: str) -> Any:
    """What was kept for `fault`; it is kept no longer."""
    path = _file(sandbox, fault)
    thing = json.loads(path.read_text())
    path.unlink()
    return thing


async def change(sandbox: Sandbox, fault: str, path: str, patch: Object) -> None:
    """Merge `patch` into one object, and keep what it was."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        keep(sandbox, fault, {path: await client.get(path)})
        await client.patch(path, patch)


async def change_back(sandbox: Sandbox, fault: str) -> None:
    """Make the object what it was before `change`."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for path, obj in give_back(sandbox, fault).items():
            obj["metadata"].pop("resourceVersion")
            await client.replace(path, obj)


async def remove(sandbox: Sandbox, fault: str, paths: Iterable[str]) -> None:
    """Delete these objects and keep them."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        kept = {path: await client.get(path) for path in paths}
        keep(sandbox, fault, kept)
        for path in reversed(kept):
            await client.delete(path)


async def put_back(sandbox: Sandbox, fault: str) -> None:
    """Create anew what `remove` deleted."""
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for path, obj in give_back(sandbox, fault).items():
            for name in SERVERS:
                obj["metadata"].pop(name, None)
            obj.pop("status", None)
            await client.create(path.rpartition("/")[0], obj)


def _file(sandbox: Sandbox, fault: str) -> Path:
    return Path(sandbox.directory) / f"kept-{fault}.json"
