"""Whose GPUs a run expects, and how many: by what it declares, else by what the nodes show signs of."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.expectations import VENDORS, Scope
from seatrial.gpu.health import Sight, absent
from seatrial.gpu.node import Want
from seatrial.gpu.vendors import Vendor, Vendors
from seatrial.verdict import BadSettings, Cause, NotApplicable, Unhealthy

PHASES = frozenset({"tier_b"})
"""Phases that nothing can be judged of without a GPU: who declares one declares GPUs."""


@dataclass(frozen=True)
class Expectation:
    """`at_least`: see `Want`."""

    vendor: Vendor
    at_least: int | None = None


def not_none(scope: Scope) -> None:
    """`NotApplicable` where the user says that there are no GPUs: then nobody looks for any."""
    marked = sorted(scope.markers & {*VENDORS, *PHASES})
    if not scope.expect.no_gpus:
        return
    if marked:
        raise BadSettings(f"-m declares {marked[0]}, and expect.gpu is none", do="correct one of them")
    raise NotApplicable("expect.gpu is none: nothing about GPUs is judged")


def expected(scope: Scope, sight: Sight, table: Vendors, kubectl: str = "kubectl") -> list[Expectation]:
    """Never empty. `NotApplicable` where nobody declared GPUs and no node shows a sign of one, or as `not_none`;
    `Unhealthy` where they are declared and nothing tells of one."""
    not_none(scope)
    gpu, marked = scope.expect.gpu, [one for one in VENDORS if one in scope.markers]
    given = {gpu.vendor: gpu.at_least} if gpu else {}
    there = sight.vendors(table)
    keys = marked or [*given, *(one.key for one in there if one.key not in given)]
    if lost := [one for one in keys if one not in table.rows]:
        raise BadSettings(f"{lost[0]} is declared, and gpu_vendors has taken its row away", do="correct one of them")
    found = [Expectation(table[one], given.get(one)) for one in keys]
    for one in found:
        if one.at_least != 0 and one.vendor not in there:
            raise Unhealthy(missing(Want(one.vendor, at_least=one.at_least), there, kubectl))
    if found:
        return found
    if declared := sorted(PHASES & scope.markers):
        raise Unhealthy(nowhere(table, f"-m {declared[0]} declares GPUs, and ", kubectl))
    raise NotApplicable("no node shows any sign of a GPU")


def missing(want: Want, there: list[Vendor], kubectl: str) -> Cause:
    """The cause that a declared vendor's GPUs are not there; perhaps another's are."""
    cause = absent(want, kubectl)
    found = f", found {', '.join(one.name for one in there)}" if there else ""
    line = f"declared {want.vendor.name}{found}: {cause.line}"
    return Cause(cause.key, line, cause.evidence, settle=cause.settle, do=cause.do, look=cause.look)


def nowhere(table: Vendors, why: str, kubectl: str) -> Cause:
    """The cause that no node has a GPU of anybody's."""
    return Cause(
        "gpu.absent/any",
        f"{why}no node shows any sign of a GPU ({', '.join(one.name for one in table)})",
        settle=0.0,
        do="add GPU nodes; a pool that scales from zero is declared with expect: {gpu: 'nvidia>=0'}",
        look=f"{kubectl} get nodes --show-labels",
    )
