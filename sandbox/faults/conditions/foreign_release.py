"""Another product's helm release lives in the same namespace, and is not well: a pod of it finds no image."""

import base64
import gzip
import json
from typing import Any

from sandbox.client import Client
from sandbox.faults.acts.deployment import somebodys
from sandbox.faults.acts.until import pods_gone
from sandbox.handle import Sandbox

NAME = "exporter"
LABELS = {"app": NAME, "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": NAME}
SECRET = f"sh.helm.release.v1.{NAME}.v3"


async def break_(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        deployments, secrets = paths(sandbox)
        await client.create(deployments, somebodys(NAME, LABELS, "registry.local/exporter:0.1-was-never-pushed"))
        await client.create(secrets, secret(sandbox.namespace))


async def heal(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        deployments, secrets = paths(sandbox)
        await client.delete(f"{deployments}/{NAME}")
        await client.delete(f"{secrets}/{SECRET}")
        await pods_gone(client, sandbox.namespace, f"app={NAME}")


def paths(sandbox: Sandbox) -> tuple[str, str]:
    """Where Deployments and Secrets of the release's namespace are."""
    place = f"namespaces/{sandbox.namespace}"
    return f"/apis/apps/v1/{place}/deployments", f"/api/v1/{place}/secrets"


def secret(namespace: str) -> dict[str, Any]:
    """As helm keeps a release: JSON, compressed, base64, and base64 once more as any Secret."""
    release = {
        "name": NAME,
        "namespace": namespace,
        "version": 3,
        "info": {"status": "deployed"},
        "chart": {"metadata": {"name": NAME, "version": "1.0.0"}, "values": {"autoscaling": {"enabled": False}}},
        "config": {},
    }
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {"name": SECRET, "labels": {"owner": "helm", "name": NAME, "status": "deployed", "version": "3"}},
        "data": {"release": base64.b64encode(packed).decode()},
    }
