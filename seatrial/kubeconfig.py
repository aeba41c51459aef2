"""Kubeconfig files, read as kubectl reads them, as far as the choice of a context needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.suggest import instead
from seatrial.verdict import BadSettings
from seatrial.yaml_file import mapping


@dataclass(frozen=True)
class Context:
    """A context with the cluster it names; `namespace` is empty where the context has none."""

    name: str
    server: str
    namespace: str = ""


@dataclass(frozen=True)
class Kubeconfig:
    """Several files merged: of two entries with one name the first holds. `source` names them for messages."""

    source: str
    current: str
    contexts: Mapping[str, Mapping[str, Any]]
    clusters: Mapping[str, Mapping[str, Any]]
    users: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, paths: Sequence[Path], source: str) -> Kubeconfig:
        """Merge the files at `paths` that exist; `BadSettings` if none does, or if one is malformed."""
        found = [(path, mapping(path, source)) for path in paths if there(path)]
        if not found:
            shown = ", ".join(str(path) for path in paths) or "no file"
            do = "name a kubeconfig that exists, or use --no-cluster with GATEWAY_URL"
            raise BadSettings(f"there is no kubeconfig: {shown}", source=source, do=do)
        current = next((str(one["current-context"]) for _, one in found if one.get("current-context")), "")
        sections = {"contexts": "context", "clusters": "cluster", "users": "user"}
        merged = {section: _section(found, section, key, source) for section, key in sections.items()}
        return cls(source, current, **merged)

    def context(self, name: str, source: str) -> Context:
        """The context `name`, which was named by `source`; `BadSettings` if it, or what it names, does not exist."""
        if name not in self.contexts:
            raise BadSettings(
                f"there is no context {name!r} in {self.source}", source=source, do=instead(name, self.contexts)
            )
        context = self.contexts[name]
        for key, entries in (("cluster", self.clusters), ("user", self.users)):
            wanted = context.get(key)
            if (key == "cluster" or wanted) and wanted not in entries:
                raise BadSettings(
                    f"the context {name!r} names the {key} {wanted!r}, which is not there",
                    source=self.source,
                    do=f"mend the kubeconfig, or choose one of: {', '.join(sorted(self.contexts))}",
                )
        server = self.clusters[context["cluster"]].get("server")
        if not isinstance(server, str) or not server.startswith(("https://", "http://")):
            raise BadSettings(
                f"the cluster {context['cluster']!r} of the context {name!r} has no server that is a URL",
                source=self.source,
                do="mend the kubeconfig",
            )
        return Context(name, server, str(context.get("namespace") or ""))


def there(path: Path) -> bool:
    """Whether there is something at `path`; what cannot be looked at is there, reading it will say why not."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _section(
    found: Sequence[tuple[Path, Mapping[str, Any]]], section: str, key: str, source: str
) -> dict[str, Mapping[str, Any]]:
    entries: dict[str, Mapping[str, Any]] = {}
    for path, content in found:
        listed = content.get(section) or []
        if not isinstance(listed, list) or not all(_entry(one, key) for one in listed):
            line = f"{path} is no kubeconfig: its {section} are no list of entries with a name and a {key}"
            raise BadSettings(line, source=source, do="mend the file")
        for one in listed:
            entries.setdefault(str(one["name"]), one.get(key) or {})
    return entries


def _entry(one: Any, key: str) -> bool:
    return isinstance(one, dict) and "name" in one and isinstance(one.get(key) or {}, dict)
