"""The cluster's GPU nodes against what the run expects of them and the release's endpoints ask: for checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from seatrial.gpu import operators
from seatrial.gpu.asked import HOSTNAME, DriverCheck
from seatrial.gpu.declared import Expectation, expected, not_none
from seatrial.gpu.health import Sight
from seatrial.gpu.node import LABELS, OFFERS, TAKES, Code, NodeVerdict, Reason, Want
from seatrial.kube import Kube
from seatrial.model_engine import images
from seatrial.model_engine.gpu import RESOURCE, TYPES, Workers
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.images import Pull
from seatrial.trial import Trial
from seatrial.verdict import Blocked, Cause, NotApplicable, Unhealthy

ANSWERS = frozenset({Code.NOT_READY})
"""Without it a node's numbers are old ones."""
SETTLES = 30.0
"""Seconds that a node, or a plug-in, that has just come gets to be what it should."""


@dataclass
class GpuNodes:
    """`sight`: the newest look. What is here raises `Unhealthy` with why it is not so."""

    ground: Ground
    kube: Kube
    sight: Sight
    workers: Workers
    expected: list[Expectation]
    beneath: dict[str, Cause] = field(default_factory=dict)
    """By the key of a cause what stands beneath it."""

    @classmethod
    def of(cls, ground: Ground) -> GpuNodes:
        """`NotApplicable` where there is nothing to judge, `Unhealthy` where GPUs are declared and absent, `Forbidden`
        where we may not list nodes."""
        if ground.kube is None:
            raise NotApplicable("nodes are seen in the cluster alone")
        not_none(ground.trial.scope)
        kube, settings = ground.kube, ground.trial.settings
        sight = Sight.of(kube, settings.gpu_vendors)
        every = expected(ground.trial.scope, sight, settings.gpu_vendors, kube.kubectl)
        return cls(ground, kube, sight, Workers.of(kube, ground.release, ground.configuration), every)

    @property
    def wants(self) -> list[Want]:
        """What is asked of the nodes of each vendor."""
        return [self.workers.want(one, self.ground.trial.settings) for one in self.expected]

    def labelled(self) -> None:
        """The nodes have the label that the release's template selects by, with a value that the product takes."""
        self._there()
        self._sound(lambda: self._trouble(LABELS) or self._unlisted(), "labels of the GPU nodes")
        trial, workers = self.ground.trial, self.workers
        types = {value: len(nodes) for value, nodes in workers.types(self.sight).items()}
        trial.note(f"{workers.source} selects by {workers.label}; nodes: {types}")
        for one in self.expected:
            known = any(value.startswith(f"{one.vendor.key}-") for value in TYPES)
            if not known and workers.resource == RESOURCE and one.vendor.resource != RESOURCE:
                trial.warn(
                    f"the released product knows no GPU of {one.vendor.name}: gpu_type has no value for one, and the "
                    f"template requests {RESOURCE}; LLM endpoints on these nodes need a patched image"
                )

    def take_pods(self) -> None:
        """The nodes are Ready and schedulable, and have no taint that the release's endpoints do not tolerate."""
        self._there()
        self._sound(lambda: self._trouble(TAKES), "GPU nodes that take pods")
        self.ground.trial.note(f"tolerations by {self.workers.source}")

    def allocatable(self) -> None:
        """The nodes that are Ready can give as many GPUs as they have, and those are as many as expected."""
        self._there()
        self._on_nodes_that_answer()
        self._sound(self._offers, "allocatable GPUs")
        for one in self._judged():
            left = "" if one.free is None else f", {one.free} free"
            self.ground.trial.note(f"{one.name}: {one.allocatable} of {one.capacity} GPUs allocatable{left}")

    def operators_are_done(self) -> None:
        """The vendors' operators are done on every node; `NotApplicable` where a plain plug-in does their work."""
        self._there()
        self._on_nodes_that_answer()
        plain = []
        for want in self.wants:
            found = operators.Found.of(self.kube, want.vendor)
            if found.installed:
                self._sound(lambda want=want: self._operator(want), f"the operator of {want.vendor.name}")  # type: ignore[misc]
                names = ", ".join(operator.name for operator, _ in found.installed)
                self.ground.trial.note(f"{names}: reconciled, its device plug-in runs on every GPU node")
                continue
            if cause := self._offers():
                raise Blocked(cause)
            plain.append(f"no operator of {want.vendor.name} is installed, its GPUs come from {found.plain()}")
        if len(plain) == len(self.expected):
            raise NotApplicable("; ".join(plain))

    def driver(self) -> DriverCheck:
        """Begins to ask the driver, on one node of each type or on all."""
        settings = self.ground.trial.settings
        own = settings.source("gpu_probe_image") if settings.gpu_probe_image else ""
        return DriverCheck(
            self.ground.trial,
            self.kube,
            self.sight,
            self.wants,
            replace(self.ground.endpoint_place(), node_selector=self.workers.selects(settings)),
            settings.gpu_probe_image or images.vllm(self.ground),
            own=own,
        )

    def pulls(self) -> Pulls:
        """Begins to pull the vLLM image on one node of each type that has one which takes pods."""
        self._there()
        short = {one.name: one.short_of(LABELS | TAKES) for one in self._judged()}
        types = self.workers.types(self.sight)
        able = {value: [one for one in nodes if one in short and not short[one]] for value, nodes in types.items()}
        if not any(able.values()) and (cause := self._trouble(LABELS | TAKES)):
            raise Blocked(cause)
        unseen = [_unseen(value, types[value], short) for value, nodes in able.items() if not nodes]
        return Pulls(self.ground.trial, list(self._pulls(able)), unseen)

    # -- the parts of it -------------------------------------------------------------------------------------------

    def _sound(self, look: Callable[[], Cause | None], what: str) -> None:
        """Wait until `look` finds no cause; nodes are looked at anew each time but the first."""
        first = True

        def probe() -> None:
            nonlocal first
            if not first:
                self.sight = Sight.of(self.kube, self.ground.trial.settings.gpu_vendors)
            first = False
            if cause := look():
                raise Unhealthy(cause)

        self.ground.trial.wait.until(probe, SETTLES, what=what)

    def _there(self) -> None:
        """`NotApplicable` where nodes may be missing, and are."""
        if not self._judged():
            raise NotApplicable("no GPU node is there now, and expect.gpu lets their pool be empty")

    def _judged(self) -> list[NodeVerdict]:
        return [one for want in self.wants for one in self.sight.judged(want)]

    def _trouble(self, codes: frozenset[Code]) -> Cause | None:
        found = (self.sight.trouble(want, codes, self.kube.kubectl) for want in self.wants)
        return next((one for one in found if one), None)

    def _unlisted(self) -> Cause | None:
        return self.workers.unlisted(self.sight, self.ground.trial.settings, self.kube.kubectl)

    def _on_nodes_that_answer(self) -> None:
        """`Blocked` where there is none: what a node offers that is not Ready is what it offered once."""
        if all(one.short_of(ANSWERS) for one in self._judged()) and (cause := self._trouble(ANSWERS)):
            raise Blocked(cause)

    def _offers(self) -> Cause | None:
        for want in self.wants:
            if cause := self.sight.trouble(want, OFFERS, self.kube.kubectl, apart=ANSWERS):
                if cause.key not in self.beneath:  # many logs are read for it
                    found = operators.offering_nothing(self.kube, self.sight, want, cause)
                    self.beneath[cause.key] = found
                return self.beneath[cause.key]
        return None

    def _operator(self, want: Want) -> Cause | None:
        return operators.trouble(self.kube, operators.Found.of(self.kube, want.vendor), self.sight, want)

    def _pulls(self, able: Mapping[str, list[str]]) -> Iterator[Pull]:
        names = {one["metadata"]["name"]: one for one in self.sight.nodes}
        endpoints = self.ground.endpoint_place()
        for number, (value, nodes) in enumerate(sorted(able.items())):
            if nodes:
                labels = names[nodes[0]]["metadata"].get("labels") or {}
                host = {HOSTNAME: labels.get(HOSTNAME, nodes[0])}
                yield Pull(self.ground, "vllm", self.workers.place(endpoints, value, host), f"gpu-{number}")


def _unseen(gpu_type: str, nodes: Iterable[str], short: Mapping[str, Iterable[Reason]]) -> str:
    why = [f"{one} {reason.line}" for one in nodes for reason in short.get(one, ())]
    return f"the vLLM image was pulled on no node of the type {gpu_type}: {'; '.join(why) or 'no sign of its GPUs'}"


@dataclass
class Pulls:
    """An image on its way to several nodes. `unseen`: where it is not, and why."""

    trial: Trial
    each: list[Pull]
    unseen: list[str]

    def pulled(self) -> list[str]:
        """The ids of the image that ran, one for each node; what was not looked at is warned of."""
        assert self.each, "it ran on no GPU node"
        for line in self.unseen:
            self.trial.warn(line)
        return [one.pulled() for one in self.each]

    def remove(self) -> None:
        """Remove the pods."""
        for one in self.each:
            one.remove()
