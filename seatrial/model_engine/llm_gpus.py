"""The GPUs that an LLM endpoint is to stand on: which are meant, whether they are sound, and whether some are free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seatrial.gpu import busy, free
from seatrial.gpu.declared import Expectation
from seatrial.gpu.health import Sight, explained
from seatrial.gpu.node import ROOM, Want
from seatrial.kube import Kube
from seatrial.model_engine.configuration import look
from seatrial.model_engine.gpu import Workers
from seatrial.model_engine.gpu_nodes import GpuNodes
from seatrial.resources import NODE_POOLS
from seatrial.settings import how_to_give
from seatrial.steps import needed
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, Blocked, Cause, NotApplicable, Unhealthy

FORWARDER = {"cpu": "1", "memory": "100M"}
"""What a worker's pod requests beside what the payload asks for."""
_BALLOON = ("product", "common-warm-nodes")
"""The label of the product's balloons: pods that keep nodes warm, and give way to an endpoint of high priority."""
_RESERVED = "balloonConfig.reserveHighPriority"
"""The chart's value without which they give way to any endpoint."""


@dataclass(frozen=True)
class Gpus:
    """`nodes`: those of the cluster, and what the release's endpoints ask of them. `path`: of the payload that is sent,
    over which users lay hardware."""

    nodes: GpuNodes
    path: str = ""

    @property
    def trial(self) -> Trial:
        """The run."""
        return self.nodes.ground.trial

    @property
    def kube(self) -> Kube:
        """The cluster."""
        return self.nodes.kube

    def meant(self) -> Expectation:
        """Whose GPUs the endpoint is to be made on; `Unhealthy` where the product cannot."""
        one, workers = meant(self.nodes.expected, self.trial.settings.gpu_type), self.nodes.workers
        if not one.vendor.resources.fullmatch(workers.resource):
            raise Unhealthy(_foreign(one, workers))
        return one

    def sound(self) -> bool:
        """Whether there are nodes, and all that pre-flight's checks claim of them holds; False for a pool at zero.

        `Blocked` where one of these claims does not hold: it stands in its own check.
        """
        try:
            needed(self.nodes.labelled)
            needed(self.nodes.take_pods)
            needed(self.nodes.allocatable)
        except NotApplicable:
            return False
        return True

    def chosen(self) -> str:
        """The GPU type to ask for; `BadSettings` where several are there and nothing says which."""
        return self.nodes.workers.chosen(self.nodes.sight, self.trial.settings)

    def await_free(self, body: Mapping[str, Any]) -> None:
        """Return once a node can take a worker of the endpoint that `body` makes, or something may add a node.

        A `NotJudged` where others use what it needs for longer than ``gpu_wait``, `BadSettings` where it would not fit
        if nobody used anything.
        """
        want = self.want(body)

        def free_now() -> None:
            if cause := self._taken(self._look(), want, body):
                raise Unhealthy(replace(cause, certain=False))

        wait = self.trial.settings.gpu_wait
        try:
            self.trial.wait.until(free_now, wait, what="free GPUs")
        except Unhealthy as error:
            cause = error.cause
        else:
            return
        if what := self._grows():
            self.trial.note(f"no GPU is free, and {what} may add a node: {cause.line}")
            return
        if trouble := explained(replace(self._look(), pods=()), want, self.kube.kubectl):
            if trouble.key.partition("/")[0].removeprefix("gpu.") not in {*ROOM, "busy"}:
                raise Blocked(trouble)
            raise BadSettings(
                cause.line,
                source="; ".join(cause.evidence),
                do=f"ask for less: overlays: {{{self.path}: {{cpus: 4, memory: 8Gi}}}}; or add a node",
            )
        raise busy.error(cause, f", for {wait:g} s now (gpu_wait)" if wait else "")

    def want(self, body: Mapping[str, Any]) -> Want:
        """What the endpoint that `body` makes asks of a node, the forwarder beside its worker included.

        `BadSettings` for hardware that cannot be read, as a user may lay it over the payload.
        """
        said, workers = {name: self._said(body, name) for name in _HARDWARE}, self.nodes.workers
        want = workers.want(self.meant(), self.trial.settings, count=int(said["gpus"]))
        labels = {**want.labels, workers.label: (said["gpu_type"],)}
        asked = {"cpu": said["cpus"], "memory": said["memory"]}
        pod = {"spec": {"containers": [{"resources": {"requests": part}} for part in (asked, FORWARDER)]}}
        requests = {name: free.requested(pod, name) for name in asked}
        return replace(want, resource=workers.resource, labels=labels, requests=requests)

    def _said(self, body: Mapping[str, Any], name: str) -> str:
        fits, form = _HARDWARE[name]
        value = body.get(name)
        if value is not None and fits(str(value)):
            return str(value)
        raise BadSettings(
            f"{name} of the payload {self.path} is {'missing' if value is None else repr(value)}, not {form}",
            source=self.trial.settings.source("overlays"),
            do=f"correct it there, or leave it away for the payload's own: overlays, {self.path}",
        )

    def _taken(self, sight: Sight, want: Want, body: Mapping[str, Any]) -> Cause | None:
        """Why no node can take it now. What balloons hold is free to an endpoint that may drive them out."""
        values = self.nodes.ground.configuration.values
        gives_way = body.get("high_priority") is True or look(values, _RESERVED) is False
        if gives_way and sight.pods is not None:
            others = [one for one in sight.pods if not _is_balloon(one["metadata"].get("labels") or {})]
            sight = replace(sight, pods=others)
        cause = explained(sight, want, self.kube.kubectl)
        if cause is None or gives_way:
            return cause
        held = [one for node in sight.judged(want) for one in node.holders or () if _is_balloon(dict(one.labels))]
        if not held:
            return cause
        return replace(
            cause,
            line=f"{cause.line}; balloons among them: {', '.join(map(str, held[:3]))}",
            do=f"balloons give way to high priority: overlays: {{{self.path}: {{high_priority: true}}}}; or {cause.do}",
        )

    def _look(self) -> Sight:
        return Sight.of(self.kube, self.trial.settings.gpu_vendors)

    def _grows(self) -> str:
        """What may add a node, as far as can be known; empty if nothing."""
        gpu = self.trial.settings.expect.gpu
        if gpu is not None and gpu.vendor and gpu.at_least == 0:
            return f"the pool that expect.gpu declares ({gpu})"
        return "Karpenter" if self.kube.serves(NODE_POOLS) else ""


def meant(every: list[Expectation], gpu_type: str | None) -> Expectation:
    """Whose GPUs are asked for: of the vendor that the GPU type is called after, else the only one there."""
    by_name = [one for one in every if gpu_type and gpu_type.startswith(f"{one.vendor.key}-")]
    if len(by_name or every) > 1:
        names = " and ".join(one.vendor.name for one in every)
        raise BadSettings(f"there are GPUs of {names}, and nothing says which are meant", do=how_to_give("gpu_type"))
    return (by_name or every)[0]


def _is_count(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def _is_quantity(text: str) -> bool:
    try:
        return free.quantity(text) > 0
    except (ValueError, ArithmeticError):
        return False


_HARDWARE: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "gpus": (_is_count, "a whole number from 1 on"),
    "gpu_type": (bool, "the type of a GPU"),
    "cpus": (_is_quantity, "a quantity like 8 or 7500m"),
    "memory": (_is_quantity, "a quantity like 40Gi"),
}
"""By field of the payload: whether a text can be read, and what would be."""


def _is_balloon(labels: Mapping[str, str]) -> bool:
    return labels.get(_BALLOON[0]) == _BALLOON[1]


def _foreign(one: Expectation, workers: Workers) -> Cause:
    return Cause(
        f"llm.gpu-vendor/{one.vendor.key}",
        f"the product cannot make LLM endpoints on GPUs of {one.vendor.name}: its workers ask for {workers.resource}, "
        f"and such nodes offer {one.vendor.resource}",
        evidence=(workers.source,),
        settle=0.0,
        do="use a patched image and chart: the released product knows NVIDIA's GPU types only",
    )
