"""What we send is data: a JSON file in payloads/, its ``${names}`` filled in, the user's overlay on top."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any

from seatrial.kinds import Malformed, in_yaml, of_yaml
from seatrial.merge import merged
from seatrial.suggest import instead

ROOT = Path(__file__).parent.parent / "payloads"

Overlays = Mapping[str, Mapping[str, Any]]
"""A merge patch for each payload path, from the setting of that name."""
MARKS = ("name", "namespace", "seatrial_run", "seatrial_expires")
MANAGED_BY = "app.kubernetes.io/managed-by"
_SHARED = re.compile(r"^(from common import .*|\. common\.sh)$", re.MULTILINE)
NONE: Overlays = MappingProxyType({})


def payload(path: str, overlays: Overlays = NONE, /, **values: str) -> Any:
    """The payload ``payloads/<path>.json`` with `values` in it and its overlay on top.

    KeyError for a name that nobody filled in; in an overlay nothing is filled in.
    """
    return overlaid(path, _filled(_raw(path), values), overlays)


def program(name: str) -> str:
    """The text of the program ``payloads/probe/<name>.py``, for ``python -c``: what programs share stands in it."""
    return _whole(ROOT / "probe" / f"{name}.py")


def shell_program(tool: str) -> str:
    """The same of ``payloads/gpu/<tool>.sh``, for ``sh -c``; its ``${nonce}`` is yet to be filled in."""
    return _whole(ROOT / "gpu" / f"{tool}.sh")


def overlaid(path: str, made: Any, overlays: Overlays) -> Any:
    """`made`, which stands for the payload `path`, with the user's overlay on top; for what is finished in code."""
    patch = overlays.get(path)
    return merged(made, patch, named=True) if patch else made


def known() -> list[str]:
    """The path of every payload."""
    return sorted(str(path.relative_to(ROOT).with_suffix("")) for path in ROOT.rglob("*.json"))


def overlays(value: Any, _base: Path) -> dict[str, dict[str, Any]]:
    """The kind of setting that maps payload paths to JSON merge patches."""
    do = "write it like {probe/pod: {spec: {nodeSelector: {pool: cpu}}}}"
    found = of_yaml(value, do)
    for path, patch in found.items():
        if path not in known():
            raise Malformed(f"names no payload: there is no payloads/{path}.json", instead(str(path), known()))
        if not isinstance(patch, dict):
            raise Malformed(f"holds {in_yaml(patch)} for {path}, not a mapping", do)
        _refuse_misshapen(path, _raw(path), patch)
        _refuse_ours(path, patch)
    return found


def _raw(path: str) -> Any:
    return json.loads((ROOT / f"{path}.json").read_text(encoding="utf-8"))


def _refuse_misshapen(where: str, under: Any, over: Any) -> None:
    """A mapping, a list or a plain value stays one: whoever gets it would refuse it, and the deployment be blamed.

    An item of a list is judged by ours of that name; of another nobody knows more than whether it is a mapping.
    """
    if over is None:
        return
    if _shape(under) != _shape(over):
        raise Malformed(f"holds {in_yaml(over)} for {where}, not {_shape(under)}", "write it as it stands in payloads/")
    if isinstance(under, dict):
        for key in under.keys() & over.keys():
            _refuse_misshapen(f"{where}: {key}", under[key], over[key])
    elif isinstance(under, list) and under:
        named = {str(one["name"]): one for one in under if isinstance(one, dict) and "name" in one}
        for one in over:
            name = str(one.get("name")) if isinstance(one, dict) else ""
            _refuse_misshapen(where, named.get(name, type(under[0])()), one)


def _shape(value: Any) -> str:
    return in_yaml(value) if isinstance(value, dict | list) else "a plain value"


def _whole(path: Path) -> str:
    shared = path.with_stem("common").read_text(encoding="utf-8").rstrip()
    return _SHARED.sub(lambda _: shared, path.read_text(encoding="utf-8"))


def _refuse_ours(path: str, patch: Mapping[str, Any]) -> None:
    """By its name and our labels a thing of ours is found again, and removed."""
    metadata = patch.get("metadata") or {}
    labels = (metadata.get("labels") or {}) if isinstance(metadata, dict) else {}
    ours = [name for name in ("name",) if name in patch]
    ours += [f"metadata.{name}" for name in MARKS if name in metadata]
    ours += [one for one in map(str, labels) if one.startswith("seatrial.dev/") or one == MANAGED_BY]
    if ours:
        raise Malformed(f"sets {', '.join(ours)} of {path}, by which what we make is found again", "leave it away")


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case str():
            return Template(value).substitute(values)
        case dict():
            return {key: _filled(one, values) for key, one in value.items()}
        case list():
            return [_filled(one, values) for one in value]
        case _:
            return value
