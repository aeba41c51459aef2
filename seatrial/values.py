"""Helm values, from files or from the release itself, and what they say about our settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial import merge
from seatrial.kinds import in_yaml
from seatrial.verdict import BadSettings
from seatrial.yaml_file import mapping

FROM_VALUES = "(--values)"
"""How the source of a setting ends that such files give."""
HELM = (
    ("fullnameOverride", "release", "{}"),
    ("serviceIdentifier", "release", "model-engine-{}"),
    ("config.values.launch.endpoint_namespace", "endpoint_namespace", "{}"),
    ("image.gatewayRepository", "model_engine_image_repository", "{}"),
    ("tag", "model_engine_image_tag", "{}"),
    ("inferenceFramework.vllm", "vllm_tag", "{}"),
    ("autoscaling.horizontal.enabled", "autoscaling_horizontal", "{}"),
    ("serviceIdentifier", "celery_autoscaler", "false"),  # the chart gives such a release none
    ("celery_autoscaler.enabled", "celery_autoscaler", "{}"),
)
"""Path in the chart's values, the setting it gives, and how; of two paths for one setting the first given holds."""

SHAPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("config", "config.values", "config.values.launch", "config.values.infra"), (dict,)),
    **dict.fromkeys(("image", "secrets", "azure", "redis", "serviceTemplate", "nodeSelector"), (dict,)),
    **dict.fromkeys(("extraEnvVars", "tolerations", "gpuTolerations"), (list, dict)),
    "imagePullSecrets": (list,),
}
"""Path in the chart's values, what stands there, and for a list what its items are, where that is one thing."""


def merged(files: Sequence[Path]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of all `files`, and for each path of `HELM` the name of the file that gave it last.

    As helm does it: mappings are merged, anything else is replaced by the later file, a null deletes.
    """
    values: dict[str, Any] = {}
    givers: dict[str, str] = {}
    for file in files:
        found = mapping(file, "--values")
        _refuse_misshapen(found, file.name)
        values = merge.merged(values, found)
        givers |= {path: file.name for path, _, _ in HELM if _look(found, path, file.name) is not None}
    return values, givers


@dataclass(frozen=True)
class Values:
    """The values that ``--values`` gave; `source` names the files, and is empty where none was given."""

    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    source: str = ""

    @classmethod
    def of_files(cls, files: Sequence[Path]) -> Values:
        """Merged as helm does it."""
        return cls(merged(files)[0], f"{', '.join(one.name for one in files)} {FROM_VALUES}") if files else cls()


def settings(files: Sequence[Path]) -> dict[str, tuple[str, str]]:
    """Value and source of every setting that the values files say something about."""
    values, givers = merged(files)
    said = said_of(values, files[-1].name if files else "")
    return {name: (value, f"{givers[path]}: {path} {FROM_VALUES}") for name, (value, path) in said.items()}


def said_of(values: Mapping[str, Any], where: str) -> dict[str, tuple[str, str]]:
    """What helm's values say about settings: the value, and the path that it stands at. `where` is for messages."""
    said: dict[str, tuple[str, str]] = {}
    for path, setting, form in HELM:
        found = _look(values, path, where)
        if found not in (None, ""):
            said.setdefault(setting, (form.format(found), path))
    return said


def _refuse_misshapen(values: Mapping[str, Any], file: str) -> None:
    """helm would refuse it, too, in words of its templates."""
    for path, (shape, *items) in SHAPES.items():
        found: Any = values
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None  # what is above it has a row of its own
        wrong = [] if found is None or isinstance(found, shape) else [(path, found, shape)]
        if not wrong and items:
            wrong = [(f"an item of {path}", one, items[0]) for one in found or () if not isinstance(one, items[0])]
        for where, what, wanted in wrong:
            line = f"{file}: {where} is {in_yaml(what)}, not {in_yaml(wanted())}"
            raise BadSettings(line, source="--values", do=_DO)


def _look(values: Mapping[str, Any], path: str, file: str) -> Any:
    """The scalar at `path`, or None."""
    found: Any = values
    for key in path.split("."):
        if found is None:
            return None
        if not isinstance(found, dict):
            raise BadSettings(f"{file}: {key} is looked for in something that is no mapping", source="--values", do=_DO)
        found = found.get(key)
    if isinstance(found, dict | list):
        raise BadSettings(f"{file}: {path} is no single value", source="--values", do=_DO)
    return found


_DO = "give the files that helm got; they follow the chart's values.yaml"
