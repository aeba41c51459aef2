"""A kubeconfig with one context, its CA inline: for kubectl, the official client and `sandbox.client`."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import yaml


def write(path: str | Path, *, url: str, ca_pem: bytes, token: str, namespace: str, context: str) -> None:
    """Write the file, readable by its owner only. `context` also names the cluster and the user."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(ca_pem).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": namespace}}],
        "current-context": context,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(config, file, sort_keys=False)
