"""The images that a release needs: which they are, from where, and whether they can be pulled where they run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from seatrial.kube import NotFound
from seatrial.model_engine.ground import Ground
from seatrial.probe import Place, Probe, Prober
from seatrial.resources import CONFIG_MAPS, PODS
from seatrial.settings import how_to_give
from seatrial.verdict import BadSettings, Cause, NotApplicable, Unhealthy

PARTS = ("vllm", "gateway", "builder", "forwarder")
NEEDED = {
    "gateway": "the release's gateway",
    "builder": "the release's builder",
    "forwarder": "beside the worker in every endpoint",
    "vllm": "LLM endpoints",
}
DRIVERS = "our pods that ask the driver of GPU nodes"
_FRAMEWORKS = "-inference-framework-latest-config"
_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")
PUBLIC_ECR = "public.ecr.aws"


class Pull:
    """An image that is pulled by a pod of ours, where and as whom the product pulls it."""

    def __init__(self, ground: Ground, part: str, place: Place | None = None, on: str = "") -> None:
        """`place`: another one than where the part runs, called `on`."""
        self.ground, self.part = ground, part
        if ground.kube is None:
            raise NotApplicable("whether a node can pull an image is seen in the cluster alone")
        self.image, usual = needed(ground, part)
        self.place = place or usual
        self.probe: Probe = Prober(ground.trial, ground.kube).start(
            "-".join(filter(None, ("pull", part, on))),
            replace(self.place, env=(), env_from=(), volumes=(), volume_mounts=()),
            image=self.image,
            command=("echo", "${nonce}"),
            always_pull=True,
            timeout=ground.trial.settings.image_pull_timeout,
        )

    def pulled(self) -> str:
        """The id of the image that ran and said the nonce; `Unhealthy` with what keeps it."""
        written, status = self.probe.ended()
        image_id = str(status.get("imageID") or "")
        trial = self.ground.trial
        if self.probe.nonce not in written:
            ended = status["state"]["terminated"]
            said = " ".join((ended.get("message") or written).split())[:300]
            raise Unhealthy(
                Cause(
                    f"image.does-not-run/{self.image}",
                    f"the image {self.image} was pulled, and echo does not run in it ({ended.get('reason')})",
                    evidence=(said or f"exit {ended.get('exitCode')}",),
                    do="see whether the image is built for the nodes' architecture, and is the one that is meant",
                )
            )
        note = f" ({self.place.note})" if self.place.note else ""
        trial.note(f"{self.image} is {image_id}, pulled by {self.place.seen_from}{note}")
        if doubt := foreign(self.image, str(self.ground.configuration.infra.get("ml_account_id") or "")):
            trial.warn(f"{self.image} is from {doubt}: the product wants a mirror of your own")
        return image_id

    def remove(self) -> None:
        """Remove its pod."""
        self.probe.remove()


def needed(ground: Ground, part: str) -> tuple[str, Place]:
    """The image of a part, and where it runs. `BadSettings` where nothing says which it is."""
    if part == "vllm":
        place = ground.endpoint_place()
        return vllm(ground), place
    place = ground.endpoint_place() if part == "forwarder" else ground.place(part)
    if not place.image:
        raise BadSettings(
            f"nothing says which image the {part} runs: no image.{part}Repository and tag",
            source=ground.configuration.source,
            do="give the chart's values and then your own: --values=FILE --values=FILE",
        )
    return place.image, place


def vllm(ground: Ground) -> str:
    """The vLLM image: by the settings, else by the release's ConfigMaps or the values."""
    settings = ground.trial.settings
    repository = settings.vllm_repository or ground.configuration.vllm_repository
    if not repository:
        ground.configuration.require()
        raise BadSettings("nothing says which the vLLM image is", do=how_to_give("vllm_repository"))
    tag = settings.vllm_tag
    if not settings.named("vllm_tag") or settings.source("vllm_tag").startswith("discovered"):
        tag = _released_tag(ground) or tag
    if not tag:
        raise BadSettings("nothing says which tag the vLLM image has", do=how_to_give("vllm_tag"))
    return f"{repository}:{tag}"


def _released_tag(ground: Ground) -> str:
    """What the gateway itself would take: the ConfigMap that it looks the framework's tag up in."""
    if ground.kube is None or ground.release is None:
        return ""
    try:
        found = ground.kube.get(CONFIG_MAPS, f"{ground.release.fullname}{_FRAMEWORKS}", ground.release.namespace)
    except NotFound:
        return ""
    return str((found.get("data") or {}).get("vllm") or "")


def foreign(image: str, account: str) -> str:
    """Whose registry it is, where it is known not to be the user's own; empty otherwise."""
    registry = image.partition("/")[0]
    if registry == PUBLIC_ECR:
        return "the public ECR"
    found = _ECR.fullmatch(registry)
    if found and account and found[1] != account.zfill(12):
        return f"the ECR of another account ({found[1]}; the release's is {account})"
    return ""


def everywhere(ground: Ground) -> dict[str, str]:
    """Every image of release, forwarder, endpoint and probe pods: who runs it, by image."""
    found: dict[str, str] = {}
    for part in PARTS:
        try:
            found.setdefault(needed(ground, part)[0], part)
        except (BadSettings, AssertionError):
            continue  # the check of that image says so
    if ground.kube is not None and ground.release is not None:
        for name, workload in ground.release.components.items():
            spec = workload["spec"]["template"]["spec"]
            for one in [*spec["containers"], *(spec.get("initContainers") or ())]:
                found.setdefault(one["image"], name)
        for pod in ground.kube.list(PODS, ground.endpoint_namespace, labels="endpoint_id", empty_ok=True):
            for one in pod["spec"]["containers"]:
                found.setdefault(one["image"], f"endpoint {pod['metadata']['labels'].get('endpoint_name', '')}")
    settings = ground.trial.settings
    own = {settings.probe_image: "our probes", settings.gpu_probe_image: DRIVERS}
    return found | {image: why for image, why in own.items() if image}


def reasons(ground: Ground) -> tuple[dict[str, list[str]], list[str]]:
    """What a run needs each image for, by image; and a line for each image that nothing says the name of."""
    found: dict[str, list[str]] = {}
    unknown = []
    for part, why in NEEDED.items():
        try:
            found.setdefault(needed(ground, part)[0], []).append(why)
        except (BadSettings, AssertionError) as error:
            unknown.append(str(error))
    for name, workload in (ground.release.components if ground.release else {}).items():
        spec = workload["spec"]["template"]["spec"]
        for one in [*spec["containers"], *(spec.get("initContainers") or ())]:
            found.setdefault(one["image"], []).append(f"the release's {name}")
    settings = ground.trial.settings
    if settings.model_engine_image_repository and settings.model_engine_image_tag:
        echo = f"{settings.model_engine_image_repository}:{settings.model_engine_image_tag}"
        found.setdefault(echo, []).append("our echo endpoints")
    else:
        unknown.append("nothing says which image our echo endpoints run: model_engine_image_repository and its tag")
    if settings.gpu_probe_image:
        found.setdefault(settings.gpu_probe_image, []).append(DRIVERS)
    else:
        for uses in found.values():
            if NEEDED["vllm"] in uses:
                uses.append(DRIVERS)
    if settings.probe_image:
        found.setdefault(settings.probe_image, []).append("our probe pods")
    else:
        for uses in found.values():
            if NEEDED["gateway"] in uses:
                uses.append("our probe pods")
    return found, unknown


def elsewhere(images: Iterable[str], registries: Iterable[str]) -> list[str]:
    """Those that none of the registries, or folders of one, holds."""
    allowed = tuple(one.rstrip("/") + "/" for one in registries)
    return sorted(one for one in images if not _full(one).startswith(allowed))


def _full(image: str) -> str:
    """With its registry: an image without one is from Docker Hub."""
    first = image.partition("/")[0]
    has = "/" in image and ("." in first or ":" in first or first == "localhost")
    return image if has else f"docker.io/{image if '/' in image else f'library/{image}'}"
