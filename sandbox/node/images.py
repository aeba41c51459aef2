"""The registry and the node's own copies of images. An image is a list of local programs, see `Image`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Image:
    """An image as the node holds it: `id` is ``<repository>@sha256:…``, `size` is in bytes.

    `programs` maps a part of a command line to what stands in for it here, `path` is a folder of programs of its own.
    """

    id: str
    programs: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    path: str = ""


class PullError(Exception):
    """The container runtime's text for a pull that failed."""


class Images:
    """`catalogue` is a JSON file that is the registry, read at every pull:
    ``{"<reference>": {"id": "sha256:…", "programs": {"<part>": "<replacement>"}, "size": bytes, "path":
    "<folder>"}}``; all but the first may be missing.

    A reference that is not in it is not found. ``{"<reference>": {"error": "…", "code": "Unknown"}}`` fails with that
    text and gRPC code, and the node forgets the copy it may hold, as after an image garbage collection.
    """

    def __init__(self, catalogue: Path) -> None:
        self._catalogue = catalogue
        self._present: dict[str, Image] = {}

    def present(self, reference: str) -> Image | None:
        """The node's copy, or None."""
        if "error" in self._read().get(reference, {}):
            self._present.pop(reference, None)
        return self._present.get(reference)

    def pull(self, reference: str) -> Image:
        """The image from the registry; raises `PullError`."""
        entry = self._read().get(reference)
        if entry is None:
            raise PullError(_pull_error(reference, "NotFound", f"{reference}: not found"))
        if "error" in entry:
            raise PullError(_pull_error(reference, entry["code"], entry["error"]))
        digest = f"{repository(reference)}@{entry['id']}"
        image = Image(digest, entry.get("programs", {}), entry.get("size", 0), entry.get("path", ""))
        self._present[reference] = image
        return image

    def _read(self) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = json.loads(self._catalogue.read_text())
        return entries


def repository(reference: str) -> str:
    """A reference without its tag and digest; the port of a registry stays."""
    name = reference.partition("@")[0]
    path, slash, last = name.rpartition("/")
    return path + slash + last.partition(":")[0]


def _pull_error(reference: str, code: str, text: str) -> str:
    """The chain of prefixes as containerd writes it."""
    return (
        f'rpc error: code = {code} desc = failed to pull and unpack image "{reference}": '
        f'failed to resolve reference "{reference}": {text}'
    )
