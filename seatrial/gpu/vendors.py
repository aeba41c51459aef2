"""The vendors of GPUs and their conventions: ``vendors.yaml`` with what a user lays over it, read as rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seatrial.kinds import Malformed, of_yaml
from seatrial.kube import Object
from seatrial.merge import merged
from seatrial.resources import Resource
from seatrial.suggest import instead

FILE = Path(__file__).with_name("vendors.yaml")
_EXAMPLE = (
    "write it like {nvidia: {labels: {example.com/gpu: {by: us, type: true}}}}; seatrial/gpu/vendors.yaml is the table"
)


@dataclass(frozen=True)
class Label:
    """One way to mark a node that has a GPU: `by` whom, in which `cloud` (none: in any); `type`: its value
    names the type; `alone`: a sign by itself."""

    key: str
    values: re.Pattern[str]
    by: str
    type: bool = False
    alone: bool = True
    cloud: str = ""

    def on(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels carries it."""
        return self.key in labels and bool(self.values.fullmatch(labels[self.key]))


@dataclass(frozen=True)
class Operator:
    """What installs a vendor's driver and device plug-in. The fields are those of ``vendors.yaml``."""

    name: str
    resource: Resource
    condition: tuple[str, str]
    reason: str
    state: str = ""
    counts: tuple[tuple[str, str, str], ...] = ()
    plugin_label: tuple[str, str] | None = None
    plugin_container: str = ""


@dataclass(frozen=True)
class Vendor:
    """One row, its fields those of ``vendors.yaml``. `key` is its word (``nvidia``), `name` what messages call it."""

    key: str
    name: str
    resource: str
    resources: re.Pattern[str]
    labels: tuple[Label, ...] = ()
    counts: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()
    partitions: tuple[tuple[str, str], ...] = ()
    profile: str = ""
    parts: tuple[tuple[str, re.Pattern[str]], ...] = ()
    tool: str = ""
    operators: tuple[Operator, ...] = ()

    def offered(self, node: Object, where: str = "allocatable") -> dict[str, int]:
        """What a node offers of this vendor, taken or not, by resource; `where` may be ``capacity``, too."""
        found = (node.get("status") or {}).get(where) or {}
        return {name: int(count) for name, count in found.items() if self.resources.fullmatch(name)}

    def signs(self, node: Object) -> tuple[str, ...]:
        """What on a node tells of this vendor's GPUs: resources and labels; empty where nothing does."""
        labels = node["metadata"].get("labels") or {}
        found = [f"{name}: {count}" for name, count in self.offered(node, "capacity").items()]
        return (*found, *(f"{one.key}={labels[one.key]}" for one in self.labels if one.alone and one.on(labels)))

    def type_of(self, node: Object) -> str:
        """What kind of GPU a node has, as the first label says that names it; the resource's name where none does."""
        labels = node["metadata"].get("labels") or {}
        return next((labels[one.key] for one in self.labels if one.type and one.on(labels)), self.resource)

    def parted(self, labels: Mapping[str, str]) -> str:
        """The label by which a node's GPUs are in parts on purpose; "" where none says so."""
        return next((f"{key}={labels[key]}" for key, says in self.parts if says.fullmatch(labels.get(key, ""))), "")

    def among(self, nodes: Iterable[Object]) -> list[Object]:
        """The nodes with any sign of this vendor, by name."""
        return sorted((one for one in nodes if self.signs(one)), key=lambda one: str(one["metadata"]["name"]))


@dataclass(frozen=True)
class Vendors:
    """The table."""

    rows: Mapping[str, Vendor]

    def __iter__(self) -> Iterator[Vendor]:
        return iter(self.rows.values())

    def __getitem__(self, key: str) -> Vendor:
        return self.rows[key]

    def __str__(self) -> str:
        return ", ".join(self.rows)

    def of_resource(self, name: str) -> Vendor | None:
        """Who offers a resource of this name; None for ``cpu`` and the like."""
        return next((row for row in self if row.resources.fullmatch(name)), None)


def vendors(value: Any, _base: Path) -> Vendors:
    """The kind of the setting ``gpu_vendors``: the table with the user's merge patch on top."""
    if isinstance(value, Vendors):
        return value
    return _table(merged(yaml.safe_load(FILE.read_text(encoding="utf-8")), of_yaml(value, _EXAMPLE)))


def _table(raw: Mapping[str, Any]) -> Vendors:
    return Vendors({str(key): _vendor(str(key), _row(row, _FIELDS, str(key))) for key, row in raw.items()})


_FIELDS = (
    *("name", "resource", "resources", "labels", "counts", "taints", "leaving", "conditions", "partitions"),
    *("profile", "parts", "tool", "operators"),
)


def _vendor(key: str, row: Mapping[str, Any]) -> Vendor:
    if not row.get("resource"):
        raise Malformed(f"says no resource for {key}", _EXAMPLE)
    resource = str(row["resource"])
    try:
        return Vendor(
            key,
            str(row.get("name") or key),
            resource,
            re.compile(str(row.get("resources") or re.escape(resource))),
            tuple(_label(name, one or {}) for name, one in (row.get("labels") or {}).items()),
            tuple(row.get("counts") or ()),
            tuple(row.get("taints") or (resource,)),
            tuple(row.get("leaving") or ()),
            tuple((str(one), str(bad)) for one, bad in (row.get("conditions") or {}).items()),
            tuple((str(one), str(good)) for one, good in (row.get("partitions") or {}).items()),
            str(row.get("profile") or ""),
            tuple((str(one), re.compile(str(says))) for one, says in (row.get("parts") or {}).items()),
            str(row.get("tool") or ""),
            tuple(_operator(one) for one in row.get("operators") or ()),
        )
    except (re.error, AttributeError, TypeError, KeyError, ValueError) as error:
        raise Malformed(f"has a row {key} that cannot be read: {error}", _EXAMPLE) from None


def _label(key: str, row: Mapping[str, Any]) -> Label:
    found = _row(row, ("values", "by", "cloud", "type", "alone"), key)
    values = re.compile(str(found.get("values", ".*")), re.I)
    by, cloud = str(found.get("by", "")), str(found.get("cloud", ""))
    return Label(key, values, by, bool(found.get("type")), bool(found.get("alone", True)), cloud)


def _operator(row: Mapping[str, Any]) -> Operator:
    fields = ("name", "api", "condition", "reason", "state", "counts", "plugins")
    found = _row(row, fields, str(row.get("name", "operators")))
    version, plural, namespaced = found["api"]
    condition, status = found["condition"]
    plugins = found.get("plugins") or {}
    label, _, value = str(plugins.get("label", "")).partition("=")
    return Operator(
        str(found["name"]),
        Resource(version, plural, bool(namespaced)),
        (condition, status),
        str(found.get("reason", "")),
        str(found.get("state", "")),
        tuple((str(name), wanted, there) for name, (wanted, there) in (found.get("counts") or {}).items()),
        (label, value) if label else None,
        str(plugins.get("container", "")),
    )


def _row(row: Any, fields: Iterable[str], name: str) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise Malformed(f"holds {row!r} for {name}, not a mapping", _EXAMPLE)
    for field in row:
        if field not in fields:
            raise Malformed(f"knows no {field!r} in {name}", instead(str(field), fields))
    return row


TABLE = vendors({}, Path())
"""As it comes, with nothing of a user's on top."""
