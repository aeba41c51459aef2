"""What the released product cannot do, whatever its configuration: recognised by its own words, named as its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from seatrial.model_engine.health.signs import LONGEST
from seatrial.verdict import Cause

_PATCHED = "use a patched image: no setting mends it"


@dataclass(frozen=True)
class Defect:
    """Where all `words` stand in what `component` says, this is why; `line` completes "the released product cannot"."""

    component: str
    name: str
    words: tuple[str, ...]
    line: str
    do: str = _PATCHED


DEFECTS = (
    Defect(
        "cacher",
        "image-tags",
        ("does not support querying latest image tags",),
        "the released product cannot run its cacher with this registry: it asks for the newest image tag, which its "
        "client for on-prem and generic registries cannot (NotImplementedError)",
    ),
    Defect(
        "builder",
        "s3-session",
        ("Missing boto3 session",),
        "the released product cannot run its builder outside AWS: its result backend wants an S3 session "
        "(ImproperlyConfigured: Missing boto3 session)",
    ),
    Defect(
        "gateway",
        "s3-session",
        ("Missing boto3 session",),
        "the released product cannot ask its builder for anything outside AWS: its result backend wants an S3 session "
        "(ImproperlyConfigured: Missing boto3 session)",
    ),
    Defect(
        "gateway",
        "checkpoint-unsent",
        ("No checkpoint path found for model",),
        "the gateway knows no weights of the model: the create says no checkpoint_path, and the released product has "
        "none of its own for any model",
        "give checkpoint_path (CHECKPOINT_PATH), and let no overlay of the payload llm_endpoint take it away",
    ),
    Defect(
        "cacher",
        "batch-image",
        ("RepositoryNotFoundException",),
        "the cacher ends because the ECR repository of the batch image does not exist",
        "create the repository that batch_inference_vllm_repository names, with one tagged image in it",
    ),
    Defect(
        "cacher",
        "batch-image",
        ("max()", "empty"),
        "the cacher ends because the ECR repository of the batch image holds no tagged image",
        "push a tagged image to the repository that batch_inference_vllm_repository names",
    ),
    Defect(
        "",
        "configuration",
        ("Config.__init__() ", "argument"),
        "the service configuration does not fit this version of the product",
        "give exactly the keys that this version knows in config.values, then helm upgrade",
    ),
    Defect(
        "",
        "broker-type",
        ("Only 'redis', 'sqs', and 'servicebus' are supported",),
        "the forwarder of async endpoints does not know the broker type that the release names",
        "set celeryBrokerType to redis, sqs or servicebus in the helm values, then helm upgrade",
    ),
)


def told(component: str, text: str, where: str, evidence: Iterable[str] = (), look: str = "") -> Cause | None:
    """The defect that `text`, of `component`, tells of."""
    for one in DEFECTS:
        if one.component in ("", component) and all(word in text for word in one.words):
            quoted = tuple(line[:LONGEST] for line in evidence)
            return Cause(f"{component}.{one.name}/{where}", one.line, evidence=quoted, do=one.do, look=look)
    return None
