"""What is wrong with GPU nodes, and why a pod that wants GPUs is Pending, node by node: a cause or None."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seatrial.gpu import free
from seatrial.gpu.node import DO, LABELS, OFFERS, ROOM, TAKES, Code, NodeVerdict, Reason, Want, judge
from seatrial.gpu.vendors import TABLE, Vendor, Vendors
from seatrial.kube import Forbidden, Kube, Object
from seatrial.resources import NODES
from seatrial.verdict import Cause

SOUND = LABELS | TAKES | OFFERS
"""What a node must not fall short of, whatever runs on it now."""
LINES = 8
"""Of the nodes of a cause's evidence: one line for all of one shape and with the same reasons."""
_TAKEN = ROOM - {Code.INSUFFICIENT}
"""Of GPUs; where there is one and too little else, its holders are not why."""
SETTLE = 6.0
"""Seconds that a node must be so: less than a component's, since a node seldom changes, and a plug-in restarts fast."""
NAMES = 3
"""Of nodes in one line."""
_AT_ONCE = frozenset({Code.LABEL_MISSING, Code.LABEL_VALUE, Code.WRONG_RESOURCE_NAME, Code.UNSCHEDULABLE})
"""What nothing but a person mends."""


@dataclass(frozen=True)
class Sight:
    """One look at the cluster: all nodes, and all pods; None for `pods` where we may not list those of others."""

    nodes: Sequence[Object]
    pods: Sequence[Object] | None

    @classmethod
    def of(cls, kube: Kube, table: Vendors = TABLE) -> Sight:
        """`Forbidden` without the right to list nodes: a look that was refused is no absence.

        Without a sign of a GPU nobody holds one, and pods are not asked for.
        """
        nodes = kube.list(NODES)
        return cls(nodes, free.pods(kube) if any(one.among(nodes) for one in table) else [])

    def vendors(self, table: Vendors = TABLE) -> list[Vendor]:
        """Those of whom any node has a sign."""
        return [one for one in table if one.among(self.nodes)]

    def judged(self, want: Want) -> list[NodeVerdict]:
        """The verdict on every node with a sign of the vendor, by name."""
        return [judge(one, self.pods, want) for one in want.vendor.among(self.nodes)]

    def trouble(
        self, want: Want, codes: Iterable[Code] = SOUND, kubectl: str = "kubectl", apart: Iterable[Code] = ()
    ) -> Cause | None:
        """Why the nodes are not as wanted, as far as `codes` tell: none there, one falls short, too few are left.

        Nodes that fall short by `apart` are not judged, and do not count: that is another question's answer, and it is
        told where no node is left.
        """
        wanted = frozenset(codes)
        found = self.judged(want)
        if not found:
            return None if want.at_least == 0 else absent(want, kubectl)
        every = [one for one in found if not one.short_of(apart)]
        if not every:
            return self.trouble(want, apart, kubectl)
        bad = [replace(one, reasons=short) for one in every if (short := one.short_of(wanted))]
        if not want.at_least:
            return _short(bad, len(every), want, kubectl) if bad else None
        good = sum(one.capacity for one in every if not one.short_of(wanted))
        if good >= want.at_least:
            return None
        if bad:
            return _short(bad, len(every), want, kubectl, f"; {good} of the expected {want.at_least} GPUs are left")
        return Cause(
            f"gpu.too_few/{want.vendor.key}",
            f"{want.at_least} {want.vendor.name} GPUs are expected, and the {len(every)} nodes have {good}",
            evidence=_lines(every, len(every)),
            do="add nodes, or correct expect.gpu",
            look=_look(kubectl, want),
        )

    def busy(self, want: Want, kubectl: str = "kubectl") -> Cause | None:
        """Where nodes would do but for what others hold of them now, so that nobody is to blame: who holds it."""
        every = [one for one in self.judged(want) if not one.short_of(SOUND)]
        if not every or any(one.ok for one in every):
            return None
        if self.pods is None:
            return None
        holders = [one for node in every for one in node.holders or ()]
        count = sum(one.allocatable for one in every)
        return Cause(
            f"gpu.busy/{want.asks_for}",
            f"no node has {want.count} {want.asks_for} free: {count} on {len(every)} nodes, {free.by_whom(holders)}",
            evidence=_lines(every, len(every)),
            do="wait until they are free, or add a node",
            look=_look_at(holders, kubectl),
        )


def absent(want: Want, kubectl: str = "kubectl") -> Cause:
    """The cause that nothing in the cluster tells of such a GPU."""
    vendor = want.vendor
    return Cause(
        f"gpu.absent/{vendor.key}",
        f"no node shows any sign of a GPU of {vendor.name}: no {vendor.resource}, none of {len(vendor.labels)} labels",
        settle=0.0,
        do="add GPU nodes; a pool that scales from zero is declared with expect: {gpu: '" + f"{vendor.key}>=0'}}",
        look=f"{kubectl} get nodes --show-labels",
    )


def pending(kube: Kube, pod: Object, table: Vendors) -> Cause | None:
    """Why no node takes a Pending pod, node by node; None for one that has to do with no GPU, or where we may not look.

    Key: ``gpu.busy/<resource>`` where every node that would do is taken, ``gpu.<reason>/<node>`` of the nearest else.
    """
    want = wanted_by(pod, table)
    if want is None:
        return None
    try:
        return explained(Sight.of(kube, table), want, kube.kubectl)
    except Forbidden:
        return None


def wanted_by(pod: Object, table: Vendors = TABLE) -> Want | None:
    """What a pod asks of GPU nodes, by its requests and selector; None for one that asks nothing of them."""
    spec = pod["spec"]
    every: dict[str, str] = {}
    for container in spec.get("containers") or ():
        resources = container.get("resources") or {}
        every |= {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    resource = next((name for name in every if table.of_resource(name)), "")
    selector: Mapping[str, str] = spec.get("nodeSelector") or {}
    vendor = table.of_resource(resource) or _vendor_of(selector, table)
    if vendor is None:
        return None
    names = ("cpu", "memory", "ephemeral-storage")
    return Want(
        vendor,
        resource,
        free.asked(pod, resource) if resource else 0,
        {key: (value,) for key, value in selector.items()},
        tuple(spec.get("tolerations") or ()),
        {name: total for name in names if (total := free.requested(pod, name))},
    )


def explained(sight: Sight, want: Want, kubectl: str = "kubectl") -> Cause | None:
    """Why no node takes it: the nearest misses first. None of it ends a wait at once: a node may be on its way."""
    every = [judge(one, sight.pods, want) for one in sight.nodes]
    with_gpus = [one for one in every if one.vendors]
    if not with_gpus:
        return replace(absent(want, kubectl), settle=None)
    if any(one.ok for one in every):
        return None  # it is no longer as the scheduler said, or something stands against it that is not told here
    if not want.count:  # a pod that wants to be there, and no GPU
        with_gpus = [replace(one, reasons=one.short_of(LABELS | TAKES | {Code.INSUFFICIENT})) for one in with_gpus]
        if any(one.ok for one in with_gpus):
            return None
    nearest = sorted(with_gpus, key=lambda one: (len(one.reasons), one.name))
    room = [one for one in nearest if not one.short_of(SOUND)]
    evidence = _lines(nearest, len(every))
    if room and all(one.short_of(_TAKEN) for one in room) and (cause := sight.busy(want, kubectl)):
        return replace(cause, evidence=evidence)
    first = (room or nearest)[0]
    reason = first.reasons[0]
    return Cause(
        f"gpu.{reason.code}/{first.name}",
        f"no node can take it: the node {first.name} {'; it '.join(one.line for one in first.reasons)}",
        evidence=evidence,
        do=DO[reason.code],
        look=f"{kubectl} describe node {first.name}",
    )


def _short(bad: Sequence[NodeVerdict], count: int, want: Want, kubectl: str, also: str = "") -> Cause:
    """The cause that nodes fall short, called after the first of them and what weighs most with it."""
    first = bad[0]
    reason = first.reasons[0]
    same = [one for one in bad if any(_alike(reason, other) for other in one.reasons)]
    which = f"the node {first.name}" if len(same) == 1 else f"{len(same)} of {count} {want.vendor.name} nodes"
    others = f", {len(bad) - len(same)} more fall short" if len(bad) > len(same) else ""
    return Cause(
        f"gpu.{reason.code}/{first.name}",
        f"{which}: each {reason.line}{others}{also}" if len(same) > 1 else f"{which} {reason.line}{others}{also}",
        evidence=_lines(bad, count),
        settle=0.0 if reason.code in _AT_ONCE else SETTLE,
        do=DO[reason.code],
        look=_look(kubectl, want) if len(bad) > 1 else f"{kubectl} describe node {first.name}",
    )


def _alike(one: Reason, other: Reason) -> bool:
    return one == other or (one.code is other.code and one.code is Code.NOT_READY)


def _lines(found: Sequence[NodeVerdict], count: int) -> tuple[str, ...]:
    """One line for all nodes of one shape with the same reasons; what is beyond the cap is counted."""
    groups: dict[tuple[Any, ...], list[NodeVerdict]] = {}
    for one in found:
        groups.setdefault((one.shape, tuple(reason.line for reason in one.reasons)), []).append(one)
    lines = [_line(shape, reasons, members) for (shape, reasons), members in groups.items()]
    lines[LINES:] = [f"and {len(lines) - LINES} more kinds of nodes"] if len(lines) > LINES else []
    if others := count - len(found):
        lines.append(f"the other {others} node{'s' if others > 1 else ''}: not judged, or with no sign of such a GPU")
    return tuple(lines)


def _line(shape: str, reasons: Sequence[str], members: Sequence[NodeVerdict]) -> str:
    names = ", ".join(one.name for one in members[:NAMES]) + (", …" if len(members) > NAMES else "")
    head = f"node {names}" if len(members) == 1 else f"{len(members)} nodes ({names})"
    kind = f", {shape}" if shape else ""
    return f"{head}{kind}: {'; '.join(reasons) or 'nothing stands against it'}"


def _look_at(holders: Iterable[free.Holder], kubectl: str) -> str:
    namespaces = {one.namespace for one in holders}
    return f"{kubectl} get pods {f'-n {namespaces.pop()}' if len(namespaces) == 1 else '-A'} -o wide"


def _look(kubectl: str, want: Want) -> str:
    keys = [*want.labels, want.vendor.labels[0].key][:2] if want.vendor.labels else list(want.labels)
    return f"{kubectl} get nodes {' '.join(f'-L {key}' for key in dict.fromkeys(keys))}".strip()


def _vendor_of(selector: Mapping[str, str], table: Vendors) -> Vendor | None:
    """Whose GPUs a node selector is about."""
    return next((row for row in table for label in row.labels if label.on(selector)), None)
