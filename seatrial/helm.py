"""What helm itself knows of a release: the newest deployed release Secret, with all values. It is never shown.

Where we may not read Secrets, or helm keeps its releases elsewhere, the values are unknown: that is said, and all else
goes on.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.kube import Kube, Object
from seatrial.mask import hide
from seatrial.merge import merged
from seatrial.resources import SECRETS
from seatrial.verdict import Refused

_NAME = "meta.helm.sh/release-name"
_SECRETIVE = ("auth", "password", "token")
"""Keys of the chart's values whose text is a secret itself."""


@dataclass(frozen=True)
class Helm:
    """One release as helm sees it; `values` are the chart's with the user's on top. `why` is empty where it was found,
    and else says why nothing is known."""

    name: str = ""
    revision: int = 0
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether there is anything."""
        return not self.why

    def __str__(self) -> str:
        return (
            f"helm release {self.name}, revision {self.revision}" if self.known else f"helm values unknown: {self.why}"
        )


def read(kube: Kube, workload: Object, chart: str) -> Helm:
    """The release that installed `workload`: by its annotation, else the only deployed one of the `chart`."""
    metadata = workload["metadata"]
    name = (metadata.get("annotations") or {}).get(_NAME, "")
    labels = "owner=helm,status=deployed" + (f",name={name}" if name else "")
    try:
        secrets = kube.list(SECRETS, metadata["namespace"], labels=labels, empty_ok=True)
    except Refused as error:
        return Helm(why=error.line)
    newest: dict[str, Object] = {}
    for one in sorted(secrets, key=_version):
        newest[(one["metadata"].get("labels") or {}).get("name", "")] = one
    found = [one for one in map(_decoded, newest.values()) if one and (name or _chart(one) == chart)]
    if len(found) != 1:
        what = (
            f"{len(found)} releases of the chart {chart}"
            if found
            else f"no release Secret of helm{f' {name}' * bool(name)}"
        )
        return Helm(why=f"{what} in namespace {metadata['namespace']}")
    (release,) = found
    values = merged((release.get("chart") or {}).get("values") or {}, release.get("config") or {})
    for text in _secrets(values):
        hide(text)
    return Helm(str(release.get("name", "")), int(release.get("version", 0)), values)


def _version(secret: Object) -> int:
    number = str((secret["metadata"].get("labels") or {}).get("version", ""))
    return int(number) if number.isdigit() else 0


def _decoded(secret: Object) -> dict[str, Any] | None:
    """The release in a Secret: JSON, zipped, in base64 twice: helm's and the API's."""
    try:
        packed = base64.b64decode(base64.b64decode((secret.get("data") or {}).get("release", "")))
        found = json.loads(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)
    except (binascii.Error, OSError, EOFError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _chart(release: Mapping[str, Any]) -> str:
    return str(((release.get("chart") or {}).get("metadata") or {}).get("name", ""))


def _secrets(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif isinstance(value, str) and str(key).lower() in _SECRETIVE:
            yield value
