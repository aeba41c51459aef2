"""A part that discovery did not recognise."""

from __future__ import annotations

import math

from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.verdict import Cause


def missing(kube: Kube, release: Release, component: str) -> Cause:
    """Nothing in the release's namespace looks like `component`: it only explains, since it may be called otherwise."""
    kind = release.resource(component).plural
    return Cause(
        f"{component}.missing/{release.namespace}",
        f"none of the {kind} in namespace {release.namespace} was recognised as Model Engine's {component}",
        certain=False,
        settle=math.inf,
        do="see whether the release is complete",
        look=f"{kube.kubectl} -n {release.namespace} get {kind}",
    )
