"""``python -m seatrial rbac``: the roles that a run needed, from its record; docs/rbac.yaml for a full one.

No rule has a wildcard. What every authenticated user may do anyway is left out: discovery, and asking for one's rights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from seatrial.record import Event, events
from seatrial.resources import Asked
from seatrial.settings import Settings
from seatrial.verdict import BadSettings

NAME = "seatrial"
EVERYBODYS = ("selfsubjectaccessreviews",)
"""Granted to all by ``system:basic-user``."""
RECENT = {("", "pods", "portforward"): ("create",)}
"""Verbs that newer API servers ask for beside the one that the request has: since 1.35 a port-forward is a create."""

_HEAD = """\
# {what}
# The roles are bound to the service account {name} in namespace {namespace}: bind your runner's own user in its place
# if it has one. Everything else, discovery and access reviews, every authenticated user may do.
"""


class Used(NamedTuple):
    """One thing that was asked of the API server; `namespace` is empty for the whole cluster."""

    namespace: str
    group: str
    resource: str
    sub: str
    verb: str

    @classmethod
    def of(cls, asked: Asked) -> Used:
        """What this request would need."""
        return cls(asked.namespace, asked.resource.group, asked.resource.plural, asked.subresource, asked.verb)


def used(record: Iterable[Event]) -> set[Used]:
    """Every right that the run of this record made use of, was refused, or asked whether it has."""
    found: set[Used] = set()
    for event in record:
        calls = event["asked"] if event["kind"] == "permissions" else [event] if event["kind"] == "kube" else []
        found |= {one for call in calls if (one := _used(call["verb"], call["object"], call["namespace"]))}
    return found


def _used(verb: str, shown: str, namespace: str) -> Used | None:
    """From ``pods/log models/gateway-x``; None for a path outside the resources.

    To look at one namespace, a role in that namespace is enough.
    """
    whole, _, name = shown.partition(" ")
    kind, _, sub = whole.partition("/")
    namespace = name if kind == "namespaces" and name else namespace
    resource, _, group = kind.partition(".")
    return Used(namespace, group, resource, sub, verb) if resource and resource not in EVERYBODYS else None


def roles(rights: Iterable[Used], *, bound_in: str, what: str) -> str:
    """The roles and their bindings as YAML, one Role for each namespace and a ClusterRole for what has none."""
    places: dict[str, dict[tuple[str, str], set[str]]] = {}
    for one in rights:
        verbs = places.setdefault(one.namespace, {}).setdefault((one.group, _resource(one)), set())
        verbs |= {one.verb, *RECENT.get((one.group, one.resource, one.sub), ())}
    documents: list[Any] = []
    for namespace, found in sorted(places.items(), reverse=True):
        kind, metadata = (
            ("Role", {"name": NAME, "namespace": namespace}) if namespace else ("ClusterRole", {"name": NAME})
        )
        documents += [
            {"apiVersion": _API, "kind": kind, "metadata": metadata, "rules": list(_rules(found))},
            {
                "apiVersion": _API,
                "kind": f"{kind}Binding",
                "metadata": metadata,
                "roleRef": {"apiGroup": _API.partition("/")[0], "kind": kind, "name": NAME},
                "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": bound_in}],
            },
        ]
    plain = yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=None, width=120)
    return _HEAD.format(what=what, name=NAME, namespace=bound_in) + plain


def of_run(settings: Settings, run: str | None, say: Callable[[str], None] = print) -> int:
    """Print the roles of one run, or of the latest that judged a cluster; the exit code.

    `BadSettings` where there is no such record.
    """
    directory = _record(settings.record_directory, run)
    record = list(events(directory))
    rights = used(record)
    if not rights:
        raise BadSettings(
            f"run {directory.name} asked nothing of a cluster", source=str(directory), do="--run ID of another one"
        )
    known = (event["release"] for event in record if event["kind"] == "permissions" and event["release"])
    home = next(known, "default")
    say(roles(rights, bound_in=home, what=f"What run {directory.name} needed, by its record.").rstrip())
    return 0


def _record(under: Path, run: str | None) -> Path:
    found = sorted((path.parent for path in under.glob("*/events.main.jsonl")), key=lambda path: path.name)
    chosen = [path for path in found if path.name == run] if run else list(filter(_has_judged, found))
    if not chosen:
        names = f"; there are {', '.join(path.name for path in found[-5:])}" if found else ""
        raise BadSettings(
            f"there is no record of {f'run {run}' if run else 'a run that asked a cluster'} in {under}{names}",
            source="record_directory",
            do="name a run by its id: --run ID",
        )
    return chosen[-1]


def _has_judged(directory: Path) -> bool:
    """Whether a check of this run came to an end, and it asked a cluster: one with wrong settings got no further."""
    record = list(events(directory))
    return any(event["kind"] == "phase" for event in record) and bool(used(record))


def _rules(found: Mapping[tuple[str, str], set[str]]) -> Iterable[dict[str, list[str]]]:
    """Resources of one group that have the same verbs share a rule."""
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), verbs in sorted(found.items()):
        together.setdefault((group, tuple(sorted(verbs))), []).append(resource)
    for (group, allowed), resources in together.items():
        yield {"apiGroups": [group], "resources": resources, "verbs": list(allowed)}


def _resource(one: Used) -> str:
    return "/".join(filter(None, (one.resource, one.sub)))


_API = "rbac.authorization.k8s.io/v1"
