"""What is wrong with a ConfigMap that pods go by: one cause, whether its check, a volume or a reader of it meets it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from seatrial.kube import Kube, NotFound
from seatrial.resources import CONFIG_MAPS
from seatrial.verdict import Cause

KEY = "config."
"""How the keys of these causes begin."""


def data(kube: Kube, namespace: str, name: str) -> Mapping[str, str] | None:
    """What a ConfigMap holds, what is no text in it as near to one as can be; None where it does not exist."""
    try:
        found = kube.get(CONFIG_MAPS, name, namespace)
    except NotFound:
        return None
    binary = found.get("binaryData") or {}
    texts = {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in binary.items()}
    return {**(found.get("data") or {}), **texts}


def trouble(
    kube: Kube, namespace: str, name: str, found: Mapping[str, str] | None, wanted: Iterable[str]
) -> Cause | None:
    """Why a pod that wants these keys of the ConfigMap cannot start, by what it was `found` to hold."""
    if found is None:
        return cause(kube, "missing", namespace, name, "does not exist", "the pods that mount it cannot start")
    if not any(str(value).strip() for value in found.values()):
        return cause(kube, "empty", namespace, name, "is empty", "what runs has read it before; new pods cannot start")
    if missing := [key for key in wanted if not str(found.get(key) or "").strip()]:
        return cause(kube, "incomplete", namespace, name, f"has no {', '.join(missing)}")
    return None


def cause(kube: Kube, what: str, namespace: str, name: str, said: str, *evidence: str) -> Cause:
    """The cause that a ConfigMap is so; `what` is a word for its key, `said` ends the sentence."""
    key = f"{KEY}{what}/{namespace}/{name}"
    return Cause(
        key,
        f"the ConfigMap {namespace}/{name} {said}",
        evidence=evidence,
        alike=key,
        do="helm upgrade writes it again; what was edited by hand belongs into the helm values",
        look=f"{kube.kubectl} -n {namespace} get configmap {name} -o yaml",
    )
