"""The rights that the selected checks need, as data, and whether we have them: asked before anything runs."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from seatrial.kube import Kube
from seatrial.resources import ADDED, Asked, Resource
from seatrial.verdict import Refused

AT_ONCE = 8
"""Access reviews under way together."""


class Place(enum.Enum):
    """Where a right is needed; which namespace that is, the product's module says."""

    RELEASE = "release"
    ENDPOINTS = "endpoints"
    CLUSTER = "cluster"


Namespaces = Mapping[Place, str]
"""The namespace of each place; empty: that of no namespace, so that the right is needed in the whole cluster."""


@dataclass(frozen=True)
class Right:
    """One row: `verbs` on a kind, or on its subresource `sub`, in a place.

    `without`: what is lost without it, where a run goes on.
    """

    verbs: str
    resource: Resource
    place: Place = Place.RELEASE
    sub: str = ""
    without: str = ""

    def asked(self, namespaces: Namespaces) -> Iterator[Asked]:
        """Each verb as a request would have it."""
        namespace = namespaces[self.place] if self.place is not Place.CLUSTER else ""
        for verb in self.verbs.split():
            yield Asked(verb, self.resource, namespace, "", self.sub)


Table = Mapping[str, tuple[Right, ...]]
"""What each fixture (by its name) and each check (by its id) needs."""


@dataclass(frozen=True)
class Wanted:
    """One right of this run: who needs it, and what is lost without it (empty: the run cannot be judged)."""

    asked: Asked
    by: tuple[str, ...]
    without: str = ""

    def __str__(self) -> str:
        where = f" in namespace {self.asked.namespace}" if self.asked.namespace else " in the whole cluster"
        return f"{self.asked.rule}{where}"


def wanted(table: Table, needs: Iterable[str], namespaces: Namespaces) -> list[Wanted]:
    """The rights for `needs` (names of fixtures, ids of checks), each once."""
    found: dict[Asked, Wanted] = {}
    for need in sorted(set(needs) & table.keys()):
        for right in table[need]:
            for asked in right.asked(namespaces):
                known = found.get(asked)
                by = (*(known.by if known else ()), need)
                without = "" if known and not known.without else right.without
                found[asked] = Wanted(asked, by, without)
    return list(found.values())


@dataclass(frozen=True)
class Permissions:
    """What was asked, and what of it is missing."""

    asked: tuple[Wanted, ...]
    missing: tuple[Wanted, ...] = ()

    def require(self) -> int:
        """How many rights we have; `Refused` names every rule that is missing and that something cannot do without."""
        lost = [one for one in self.missing if not one.without]
        if lost:
            rules = "; ".join(str(one) for one in lost)
            raise Refused(
                f"{len(lost)} right{'s are' if len(lost) > 1 else ' is'} missing: {rules}",
                source=f"asked for by {', '.join(sorted({by for one in lost for by in one.by}))}",
                do="bind the runner to the roles that `python -m seatrial rbac` prints, or to those in docs/rbac.yaml",
            )
        return len(self.asked) - len(self.missing)

    def lines(self) -> Iterator[str]:
        """For the head of a run: each rule that is missing, and who needs it."""
        for one in self.missing:
            loss = f"without it {one.without}" if one.without else f"needed by {', '.join(one.by)}"
            yield f"right missing: {one}; {loss}"

    def data(self) -> list[dict[str, Any]]:
        """For the record: what `seatrial.rbac` reads."""
        return [
            {
                "verb": one.asked.verb,
                "object": Asked(one.asked.verb, one.asked.resource, "", "", one.asked.subresource).object,
                "namespace": one.asked.namespace,
                "missing": one in self.missing,
            }
            for one in self.asked
        ]


def ask(kube: Kube, wants: Iterable[Wanted]) -> Permissions:
    """Which of the rights we have, all asked at once; of kinds that the cluster does not know, none is needed.

    Raises what `Kube` raises, when not even that is answered.
    """
    wants = list(wants)
    absent = {kind for kind in {one.asked.resource for one in wants} & ADDED if not kube.serves(kind)}
    every = [one for one in wants if one.asked.resource not in absent]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        allowed = list(pool.map(lambda one: kube.may(one.asked), every))
    return Permissions(tuple(every), tuple(one for one, may in zip(every, allowed, strict=True) if not may))
