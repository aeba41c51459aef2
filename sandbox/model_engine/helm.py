"""What helm keeps of a release in the cluster."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from sandbox.model_engine import chart, config

RELEASE = "model-engine"  # of which the chart's names say nothing
INSTALLED = "2026-11-20T16:00:00.000000000Z"


def release_secret(values: chart.Values) -> dict[str, Any]:
    """The Secret of the release's first and deployed revision."""
    name = RELEASE
    release = {
        "name": name,
        "namespace": values.namespace,
        "version": 1,
        "info": {
            "first_deployed": INSTALLED,
            "last_deployed": INSTALLED,
            "deleted": "",
            "description": "Install complete",
            "status": "deployed",
        },
        "chart": {
            "metadata": {
                "name": "model-engine",
                "version": chart.VERSION,
                "apiVersion": "v2",
                "type": "application",
                "appVersion": chart.VERSION,
            },
            "values": chart.default_values(),
            "templates": [],
            "files": [],
        },
        "config": config.parse(chart.user_values(values)),
        "manifest": "",
        "hooks": [],
    }
    text = base64.b64encode(gzip.compress(json.dumps(release).encode(), mtime=0))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v1",
            "namespace": values.namespace,
            "labels": {"name": name, "owner": "helm", "status": "deployed", "version": "1"},
        },
        "data": {"release": base64.b64encode(text).decode()},
    }
