"""The kubeconfig that a release by the documented contract carries in a ConfigMap; the released one has none."""

from __future__ import annotations

from seatrial import config_maps
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health.config import mapping
from seatrial.verdict import Cause, NotApplicable

KEY = "kubeconfig"


def trouble(kube: Kube, release: Release, *, expected: bool) -> Cause | None:
    """Why nobody can use it: it is not there, or has no clusters or no users.

    `NotApplicable` where there is none and none is `expected`.
    """
    namespace, name = release.namespace, f"{release.fullname}-config"
    look = f"{kube.kubectl} -n {namespace} get configmap {name} -o yaml"
    found = config_maps.data(kube, namespace, name)
    text = str((found or {}).get(KEY) or "")
    if not text.strip():
        if found is None and not expected:
            raise NotApplicable(
                f"there is no ConfigMap {name} with a kubeconfig: the released chart's pods use their service account"
            )
        line = f"the ConfigMap {namespace}/{name} {'does not exist' if found is None else f'holds no {KEY}'}"
        return Cause(f"config.kubeconfig/{namespace}/{name}", line, do="helm upgrade writes it again", look=look)
    parsed = mapping(text)
    if isinstance(parsed, str):
        line = f"the ConfigMap {namespace}/{name} holds a {KEY} that {parsed}"
    elif missing := [part for part in ("clusters", "users") if not parsed.get(part)]:
        line = f"the {KEY} in ConfigMap {namespace}/{name} has no {' and no '.join(missing)}"
    else:
        return None
    return Cause(f"config.kubeconfig/{namespace}/{name}", line, do="helm upgrade writes it again", look=look)
