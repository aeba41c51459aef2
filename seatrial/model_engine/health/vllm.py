"""What is wrong with an LLM endpoint, by the words of those who serve it: the gateway, the container that runs vLLM."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from seatrial.kube import Kube, NotFound, Object
from seatrial.resources import PODS
from seatrial.verdict import Cause

MAIN = "main"
"""The container of an endpoint's pod that is not the forwarder: it loads the weights and runs vLLM."""
TAIL = 400
_HEALTH, _CHAT = re.compile(r'"GET /health HTTP'), re.compile(r'"POST /v1/chat/completions HTTP')
"""In the log of uvicorn, which vLLM is served by: whoever logs the kubelet's questions logs ours."""


@dataclass(frozen=True)
class Saying:
    """Who says `words` (a regular expression) means `line`; `what` names the trouble in the cause's key.

    `line` stands behind the endpoint's name. `settle` as in `Cause`.
    """

    what: str
    words: str
    line: str
    do: str
    settle: float | None = 0.0

    def cause(self, name: str, evidence: tuple[str, ...], look: str = "") -> Cause:
        """The cause, told of the endpoint `name`."""
        return Cause(
            f"llm.{self.what}/{name}", f"{name}: {self.line}", evidence, settle=self.settle, do=self.do, look=look
        )


_CHECKPOINT = "correct checkpoint_path, and see that the release's roles may read it"
_MEMORY = (
    "take GPUs with more memory, more of them with num_shards, or a smaller model; max_model_len makes do with less"
)
BY_GATEWAY = (
    Saying(
        "checkpoint-unread",
        r"Could not read model weights at",
        "the gateway cannot read the weights at checkpoint_path",
        _CHECKPOINT,
    ),
    Saying(
        "weights-missing",
        r"No safetensors found in the checkpoint path",
        "there are no weights (*.safetensors) at checkpoint_path",
        "put the model's weights there, or correct checkpoint_path",
    ),
    Saying(
        "checkpoint-kind",
        r"Only S3, Azure Blob Storage, and GCS paths are supported",
        "checkpoint_path is not of a store that the product reads",
        "give one that begins with s3://, gs:// or azure://",
    ),
    Saying(
        "image-missing",
        r"specified docker image could not be found",
        "the gateway does not find the vLLM image in its registry",
        "mirror the image with that tag to the registry that vllm_repository names, or correct vllm_tag",
    ),
    Saying(
        "gpu-type",
        r"(?s)answered 422.*gpu_type|gpu_type.*(enum|Input should be)",
        "the product does not know this gpu_type",
        "name one that it knows (nvidia-tesla-t4, nvidia-ampere-a10, nvidia-ampere-a100, nvidia-hopper-h100): of other "
        "GPUs the released product cannot make LLM endpoints, only a patched image can",
    ),
)
"""Why it refuses a create."""
BY_WORKER = (
    Saying(
        "weights-missing",
        r"no object found|NoSuchKey|NoSuchBucket|matched no objects|The specified blob does not exist|"
        r"does not appear to have a file named|Cannot find any model weights",
        "its worker does not find the weights at checkpoint_path",
        _CHECKPOINT,
    ),
    Saying(
        "weights-denied",
        r"AccessDenied|InvalidAccessKeyId|NoCredentialProviders|AuthorizationPermissionMismatch|"
        r"does not have storage\.objects",
        "its worker may not read the weights at checkpoint_path",
        "give the endpoints' service account the right to read that store",
    ),
    Saying(
        "gpu-memory",
        r"(CUDA|HIP) out of memory|(CUDA|HIP) error: out of memory|No available memory for the cache blocks|"
        r"is less than desired GPU memory utilization|larger than the maximum number of tokens that can be stored",
        "the model does not fit into the memory of its GPUs",
        _MEMORY,
    ),
    Saying(
        "no-gpu",
        r"Failed to infer device type|No CUDA GPUs are available|No HIP GPUs are available|"
        r"Found no NVIDIA driver|CUDA driver version is insufficient|Failed to initialize NVML",
        "its worker sees no GPU that it can use",
        "see whether driver and device plug-in work on that node: -m preflight asks them",
    ),
    Saying(
        "model-unknown",
        r"Model architectures .* (are|is) not supported|is not a valid model identifier",
        "vLLM does not know the model at checkpoint_path",
        "take a newer vLLM image, or another model",
    ),
)
"""What the worker's last words mean."""
OUT_OF_MEMORY = Saying(
    "out-of-memory",
    "OOMKilled",
    "its worker was killed since it took more than its memory limit",
    "give it more memory: overlay memory of the payload llm_endpoint",
    None,
)
NO_TEMPLATE = Saying(
    "no-chat-template",
    r"chat template",
    "its model has no chat template, so it cannot chat: it is a base model",
    "take the checkpoint of an instruct model, or overlay chat_template_override of the payload llm_endpoint",
)


def refused(name: str, said: str) -> Cause | None:
    """Why the gateway refuses the create of an LLM endpoint, if its words tell."""
    return next((one.cause(name, (said,)) for one in BY_GATEWAY if re.search(one.words, said)), None)


def trouble(kube: Kube, namespace: str, name: str) -> Cause | None:
    """Why the workers of the endpoint `name` do not come up, by how their containers ended and what they said."""
    for pod in kube.list(PODS, namespace, labels=f"endpoint_name={name}", empty_ok=True):
        if pod["metadata"].get("deletionTimestamp"):
            continue
        for status, ended in _ended(pod):
            if cause := _told(kube, pod, name, status, ended):
                return cause
    return None


def _told(kube: Kube, pod: Object, name: str, status: Object, ended: Object) -> Cause | None:
    namespace, podname = pod["metadata"]["namespace"], pod["metadata"]["name"]
    place = f"pod {namespace}/{podname}, container {MAIN}: ended with {ended.get('reason')} {ended.get('exitCode')}"
    previous = "terminated" not in status.get("state", {})
    look = f"{kube.kubectl} -n {namespace} logs {podname} -c {MAIN}{' --previous' if previous else ''} --tail 100"
    if ended.get("reason") == OUT_OF_MEMORY.words:
        cause = OUT_OF_MEMORY.cause(name, (place,), f"{kube.kubectl} -n {namespace} describe pod {podname}")
        ends = [(status.get(when) or {}).get("terminated") or {} for when in ("state", "lastState")]
        twice = all(one.get("reason") == OUT_OF_MEMORY.words for one in ends)
        return replace(cause, settle=0.0) if twice else cause
    try:
        said = kube.logs(podname, namespace, container=MAIN, previous=previous, tail=TAIL)
    except NotFound:
        return None
    return told(name, said.splitlines(), place, look)


def served(kube: Kube, namespace: str, name: str) -> int | None:
    """How many chat completions the logs of its workers tell of; None where they do not tell of any requests."""
    heard, count = False, 0
    for pod in kube.list(PODS, namespace, labels=f"endpoint_name={name}", empty_ok=True):
        try:
            said = kube.logs(pod["metadata"]["name"], namespace, container=MAIN, tail=TAIL)
        except NotFound:
            continue
        heard = heard or bool(_HEALTH.search(said))
        count += len(_CHAT.findall(said))
    return count if heard else None


def told(name: str, lines: Iterable[str], place: str = "", look: str = "") -> Cause | None:
    """What a worker that ended said of why: the last line that means something counts."""
    for line in reversed(list(lines)):
        for one in BY_WORKER:
            if re.search(one.words, line):
                return one.cause(name, tuple(filter(None, (place, line.strip()[:300]))), look)
    return None


def _ended(pod: Object) -> Iterator[tuple[Object, Object]]:
    """The status of the worker's container where a run of it has ended badly, and that end."""
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status["name"] != MAIN or status.get("ready"):
            continue
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            yield status, ended
