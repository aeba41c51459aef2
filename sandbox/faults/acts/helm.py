"""Revisions of the release, as helm keeps them: one Secret each, of which one is deployed."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from collections.abc import Callable
from typing import Any

from sandbox.client import Client
from sandbox.handle import Sandbox

RELEASE = "model-engine"
Config = dict[str, Any]
Edit = Callable[[Config], None]


async def revision(client: Client, sandbox: Sandbox, edit: Edit = lambda config: None) -> str:
    """One more, with what the user's values are after `edit`; returns the path of its Secret."""
    secrets = f"/api/v1/namespaces/{sandbox.namespace}/secrets"
    releases = await client.list(secrets, labelSelector=f"owner=helm,status=deployed,name={RELEASE}")
    newest = max(releases, key=lambda one: int(one["metadata"]["labels"]["version"]))
    number = int(newest["metadata"]["labels"]["version"]) + 1
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(newest["data"]["release"]))))
    edit(release["config"])
    packed = base64.b64encode(gzip.compress(json.dumps(release | {"version": number}).encode()))
    made = copy.deepcopy(newest)
    made["data"] = {"release": base64.b64encode(packed).decode()}
    made["metadata"] = {
        "name": newest["metadata"]["name"].rpartition(".v")[0] + f".v{number}",
        "labels": newest["metadata"]["labels"] | {"version": str(number)},
    }
    superseded = {"metadata": {"labels": {"status": "superseded"}}}
    await client.patch(f"{secrets}/{newest['metadata']['name']}", superseded)
    await client.create(secrets, made)
    return f"{secrets}/{made['metadata']['name']}"
