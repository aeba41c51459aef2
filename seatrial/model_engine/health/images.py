"""Which images the release's components run."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release, container
from seatrial.model_engine.health import words
from seatrial.verdict import Cause


def tags(kube: Kube, release: Release) -> Mapping[str, tuple[str, ...]]:
    """Of each component, the tags that its template names (image and GIT_TAG) and that its pods run."""
    found = {}
    for component, workload in release.components.items():
        main = container(workload, component)
        named = [_tag(main["image"])]
        named += [str(one["value"]) for one in main.get("env") or [] if one["name"] == "GIT_TAG" and one.get("value")]
        for pod in words.pods(kube, release, component):
            named += [_tag(one["image"]) for one in pod["spec"]["containers"] if one["name"] == main["name"]]
        found[component] = tuple(dict.fromkeys(named))
    return found


def trouble(kube: Kube, release: Release) -> Cause | None:
    """Several tags: parts of two versions, which do not understand each other's tasks and tables."""
    found = tags(kube, release)
    if len({tag for named in found.values() for tag in named}) == 1:
        return None
    lines = tuple(f"{component}: {', '.join(named)}" for component, named in found.items())
    return Cause(
        f"release.image-tags/{release.namespace}/{release.fullname}",
        f"the release's components do not all run one image tag: {'; '.join(lines)}",
        evidence=lines,
        do="helm upgrade with one tag, and no kubectl set image beside it",
        look=f"{kube.kubectl} -n {release.namespace} get deployments,statefulsets -o wide",
    )


def _tag(image: str) -> str:
    """The tag; of an image without one its digest, or `latest`."""
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return tag if colon else digest or "latest"
