"""What a release of Model Engine is at this moment: helm's revision of it, and what its pods are made from."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator

from seatrial.kube import Kube, Object
from seatrial.model_engine.discovery import Release, autoscaler, deployments
from seatrial.resources import SECRETS
from seatrial.settings import Settings
from seatrial.verdict import Refused

NO_RELEASE = "no release"
"""In place of an identity, where there is none, or no longer."""
RELEASE_NAME = "meta.helm.sh/release-name"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
"""Annotation of a pod template that ``kubectl rollout restart`` sets: what was installed stays the same."""


def identity(kube: Kube, settings: Settings, guess: str = "") -> str:
    """Parts separated by ``; ``: the revision, where we may list helm's Secrets, and a digest for each workload.

    Replicas, rollouts and restarts change nothing in it. Raises as `seatrial.model_engine.discovery.discover`.
    """
    found = deployments(kube, settings, guess)
    gateway = found["gateway"]
    workloads = list(found.values())
    try:
        one = autoscaler(kube, Release(gateway["metadata"]["namespace"], found, "", 0))
        workloads += [one] if one else []
    except Refused:
        pass
    return "; ".join([*_revision(kube, gateway), *map(_digest, workloads)])


def _revision(kube: Kube, gateway: Object) -> Iterator[str]:
    metadata = gateway["metadata"]
    name = (metadata.get("annotations") or {}).get(RELEASE_NAME)
    labels = f"owner=helm,name={name}" if name else "owner=helm"
    try:
        secrets = kube.list(SECRETS, metadata["namespace"], labels=labels, empty_ok=True, metadata_only=True)
    except Refused:
        return
    versions: dict[str, list[int]] = {}
    for one in secrets:
        of = one["metadata"].get("labels") or {}
        if str(of.get("version", "")).isdigit():
            versions.setdefault(str(of.get("name")), []).append(int(of["version"]))
    if len(versions) == 1:
        ((name, numbers),) = versions.items()
        yield f"helm release {name} revision {max(numbers)}"


def _digest(workload: Object) -> str:
    template = copy.deepcopy(workload["spec"]["template"])
    metadata = template.get("metadata") or {}
    metadata["annotations"] = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != RESTARTED}
    text = json.dumps(template, sort_keys=True)
    return f"{workload['metadata']['name']} {hashlib.sha256(text.encode()).hexdigest()[:8]}"
