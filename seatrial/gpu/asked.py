"""The driver, asked with the vendor's own tool in a pod of ours that is given a GPU: on a node of each type, or all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seatrial.gpu import driver, free, operators
from seatrial.gpu.driver import Broken, Driver
from seatrial.gpu.health import Sight
from seatrial.gpu.node import OFFERS, ROOM, TAKES, Code, NodeVerdict, Want, judge
from seatrial.kube import Kube, Object
from seatrial.payloads import shell_program
from seatrial.probe import Place, Probe, Prober
from seatrial.trial import Trial
from seatrial.verdict import Blocked, Cause, NotJudged, Reason, Unhealthy

COUNT = 1
"""GPUs that a pod of ours is given."""
HOSTNAME = "kubernetes.io/hostname"
_NOTHING = frozenset({Code.RESOURCE_ABSENT, Code.WRONG_RESOURCE_NAME, Code.ALLOCATABLE_ZERO})
"""Where no GPU can be asked for; one that is ill among others can."""
_PART = re.compile(r"\dg\.?\d+gb", re.I)
"""How the type of a part of a GPU is called: 1g.5gb, 3g40gb."""
_NO_SHELL = '"sh": executable file not found'


@dataclass(frozen=True)
class Asked:
    """A pod of ours on a node, for what workloads `want` of it. `labels`: the node's, as far as they are known."""

    node: str
    want: Want
    probe: Probe
    labels: Mapping[str, str]


class DriverCheck:
    """Begins a pod on each node that is to be asked; nothing is waited for until `works`."""

    def __init__(
        self, trial: Trial, kube: Kube, sight: Sight, wants: Iterable[Want], place: Place, image: str, *, own: str = ""
    ) -> None:
        """`place`: under whom, in which namespace, and by which labels a node is chosen that is not there yet.
        `own`: where the image was given, if the user gave one.

        `Blocked` where no node can take a pod or offers a GPU, a `NotJudged` where all are in use.
        """
        self.trial, self.kube, self.place, self.image, self.own = trial, kube, place, image, own
        self.asked: list[Asked] = []
        self.none: NotJudged | None = None
        try:
            for want in wants:
                if want.vendor.tool not in driver.PARSERS:
                    what = f"no tool is known that asks the driver of {want.vendor.name}"
                    known = " or ".join(driver.PARSERS)
                    self.none = NotJudged(Reason.TOOL, what, source="gpu_vendors", do=f"give its row the tool {known}")
                    continue
                if want.at_least == 0 and not want.vendor.among(sight.nodes):
                    self._start_from_zero(want)
                for node in self._chosen(sight, replace(want, count=COUNT, resource="")):
                    self._start(want, _host(node), _tolerations(node, want), node["metadata"]["name"], of=node)
        except BaseException:
            self.remove()
            raise
        if self.none is not None and not self.asked:
            raise self.none

    def works(self) -> list[Driver]:
        """What each driver says of itself, noted; `Unhealthy` with the first that does not work."""
        found = [self._answer(one) for one in self.asked]
        if self.none is not None:  # a type that was not asked is not proven by the others
            raise self.none
        return found

    def remove(self) -> None:
        """Remove the pods."""
        for one in self.asked:
            one.probe.remove()

    # -- where it is asked -------------------------------------------------------------------------------------------

    def _chosen(self, sight: Sight, want: Want) -> list[Object]:
        """The nodes to ask: of each type the one with the most free GPUs."""
        every = want.vendor.among(sight.nodes)
        judged = {one.name: one for one in (judge(node, sight.pods, _our(want, node)) for node in every)}
        able = [one for one in every if not judged[one["metadata"]["name"]].short_of(TAKES | _NOTHING)]
        if not able:
            if cause := sight.trouble(want, TAKES, self.kube.kubectl):
                raise Blocked(cause)
            if cause := sight.trouble(want, OFFERS, self.kube.kubectl):
                raise Blocked(operators.offering_nothing(self.kube, sight, want, cause))
            return []
        types: dict[str, list[Object]] = {}
        for one in able:
            types.setdefault(want.vendor.type_of(one), []).append(one)
        chosen: list[Object] = []
        for members in types.values():
            with_room = [one for one in members if not judged[one["metadata"]["name"]].short_of(ROOM)]
            every_one = self.trial.settings.every_gpu_node
            full = [one for one in members if one not in with_room] if every_one or not with_room else []
            if full:
                self.none = self._busy(want, [judged[one["metadata"]["name"]] for one in full])
            with_room.sort(key=lambda one: -(judged[one["metadata"]["name"]].free or 0))
            chosen += with_room if every_one else with_room[:1]
        return chosen

    def _busy(self, want: Want, taken: list[NodeVerdict]) -> NotJudged:
        holders = [one for node in taken for one in node.holders or ()]
        nodes = ", ".join(one.name for one in taken[:3])
        return NotJudged(
            Reason.BUSY,
            f"no {want.asks_for} is free on {nodes}: {free.by_whom(holders)}",
            source="the requests of the pods there",
            do="try again once one is free, or add a node",
        )

    def _start_from_zero(self, want: Want) -> None:
        """A pod that no node can take yet: the autoscaler brings one, or says why not."""
        taints = tuple({"key": one, "operator": "Exists"} for one in want.vendor.taints)
        where = f"a node that was brought for it, with a GPU of {want.vendor.name}"
        longest = 2 * self.trial.settings.image_pull_timeout
        self._start(want, self.place.node_selector, (*want.tolerations, *taints), where, longest)

    def _start(
        self,
        want: Want,
        selector: Mapping[str, str],
        tolerations: tuple[Mapping[str, Any], ...],
        name: str,
        timeout: float | None = None,
        of: Object | None = None,
    ) -> None:
        place = replace(
            self.place,
            env=(),
            env_from=(),
            volumes=(),
            volume_mounts=(),
            node_selector=selector,
            tolerations=tolerations,
        )
        probe = Prober(self.trial, self.kube).start(
            f"gpu-{len(self.asked)}",
            place,
            image=self.image,
            command=("sh", "-c", shell_program(want.vendor.tool)),
            limits={want.vendor.resource: str(COUNT)},
            timeout=timeout,
        )
        labels = (of["metadata"].get("labels") or {}) if of else selector
        self.asked.append(Asked(name, want, probe, labels))

    # -- what comes of it --------------------------------------------------------------------------------------------

    def _answer(self, one: Asked) -> Driver:
        try:
            written, status = one.probe.ended()
        except Unhealthy as error:
            raise self._not_run(one, error.cause) from None
        except NotJudged as error:
            if error.reason is not Reason.BUSY:
                raise
            line = f"all {one.want.vendor.resource} of {one.node} are in use, {free.UNSEEN}"
            raise NotJudged(Reason.BUSY, line, source=error.line, do="try again once one is free") from None
        ended = status["state"]["terminated"]
        message = str(ended.get("message") or "")
        if _NO_SHELL in message:
            raise NotJudged(
                Reason.TOOL,
                f"the image {self.image} has no shell",
                source=self.own,
                do="name one that has: GPU_PROBE_IMAGE",
            )
        said = driver.parts(written, one.probe.nonce)
        found = (
            driver.read(one.want.vendor.tool, said, COUNT) if said else self._nothing(f"{message}\n{written}", ended)
        )
        if isinstance(found, Broken):
            raise Unhealthy(self._broken(one, found))
        told = partitioned(one, found, self.kube.kubectl)
        if isinstance(told, Cause):
            raise Unhealthy(told)
        if told:
            self.trial.warn(told)
        self.trial.note(f"{one.node}: {found}, seen from {self.place.seen_from}")
        return found

    @staticmethod
    def _nothing(text: str, ended: Mapping[str, Any]) -> Broken:
        """The program wrote nothing: it was not even begun."""
        what = f"the program did not run ({ended.get('reason')}, exit {ended.get('exitCode')})"
        return driver.failed(text) or Broken("unknown", what, " ".join(text.split())[:300])

    def _broken(self, one: Asked, found: Broken) -> Cause:
        where = f"a pod in {self.place.namespace} on {one.node}, which was given {COUNT} {one.want.vendor.resource}"
        return Cause(
            f"gpu.{found.code}/{one.node}",
            f"the {one.want.vendor.name} driver of node {one.node}: {found.line}",
            evidence=tuple(filter(None, (found.said, f"seen from {where}, image {self.image}"))),
            certain=found.code != "unknown",
            do=found.do or "see what the vendor's tool says on that node",
            look=f"{self.kube.kubectl} describe node {one.node}",
        )

    def _not_run(self, one: Asked, cause: Cause) -> Exception:
        """Why there is no answer: a node or plug-in at fault, an image that stands in a check of its own, or nobody."""
        if cause.key.startswith("pod.image-pull/"):
            if not self.own:
                return Blocked(cause)
            line = f"{cause.line}; it is the one that asks the driver"
            return NotJudged(Reason.TOOL, line, source=self.own, do="push it there, or leave gpu_probe_image away")
        if cause.key.startswith("gpu.busy/"):
            return NotJudged(Reason.BUSY, cause.line, source=f"our pod on {one.node}", do=cause.do)
        if cause.key.startswith("pod.failed/"):
            return Unhealthy(
                replace(
                    cause,
                    key=f"gpu.not_given/{one.node}",
                    line=f"the node {one.node} does not hand out the {one.want.vendor.resource} that it offers: "
                    f"{cause.line}",
                    do="see the device plug-in's log on that node, then restart it",
                )
            )
        return Unhealthy(cause)


def partitioned(one: Asked, found: Driver, kubectl: str) -> Cause | str:
    """The cause that a GPU is in parts, where workloads choose the node for whole ones.

    A warning where it is meant so, or no label could tell of the part; "" where nothing is to be said.
    """
    key, label = one.want.kind, one.labels.get(one.want.kind, "")
    if not label or _PART.search(label) or not any(each.partitioned for each in found.devices):
        return ""
    line = f"the GPUs of node {one.node} are partitioned (MIG is on), and its label {key}={label} tells of whole ones"
    if meant := one.want.vendor.parted(one.labels):
        return f"{line}; {meant} says that it is meant so: whoever asks for {label} is given a part there"
    parts = [value for value in one.want.labels[key] if value.startswith(f"{label}-") and _PART.search(value)]
    if not parts:
        return f"{line}; the label has no value for a part of one: whoever asks for {label} is given a part there"
    return Cause(
        f"gpu.partitioned/{one.node}",
        line,
        evidence=(
            str(found),
            f"a whole {one.want.vendor.resource} is then a part of a GPU, or one that no program can use",
        ),
        do=f"undo the partition (nvidia.com/mig.config, or nvidia-smi -mig 0), or label the node {key}={parts[0]}"
        f"{''.join(f' or {other}' for other in parts[1:])}, as the parts are",
        look=f"{kubectl} describe node {one.node}",
    )


def _host(node: Object) -> Mapping[str, str]:
    """What selects one node: through the scheduler, which `nodeName` would go round."""
    metadata = node["metadata"]
    return {HOSTNAME: (metadata.get("labels") or {}).get(HOSTNAME, metadata["name"])}


def _our(want: Want, node: Object) -> Want:
    """What our own pod wants of a node: any label, and it tolerates what people have tainted it with."""
    return replace(want, labels={}, tolerations=_tolerations(node, want))


def _tolerations(node: Object, want: Want) -> tuple[Mapping[str, Any], ...]:
    """As the workload; and for the taints of a node that keep new pods away, but those by which all are to leave."""
    taints = (node.get("spec") or {}).get("taints") or ()
    own = tuple(
        {"key": one["key"], "operator": "Exists", "effect": one["effect"]}
        for one in taints
        if one.get("effect") == "NoSchedule"
        and one["key"] not in want.vendor.leaving
        and not str(one["key"]).startswith("node.kubernetes.io/")
    )
    return (*want.tolerations, *own)
