"""The layers that settings come from, the strongest first: what each gives, and under which name of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial import runbook, values
from seatrial.kinds import Kind
from seatrial.suggest import instead
from seatrial.verdict import BadSettings
from seatrial.yaml_file import mapping

SETTINGS_FILE = "seatrial.yaml"
OPTIONS = (
    *("context", "target", "namespace", "timeout_factor", "no_cluster", "read_only", "probe_from"),
    *("endpoint", "every_gpu_node", "gpu_wait"),
)
"""Settings with an option of their own; it is the setting's name with dashes."""


@dataclass(frozen=True)
class Spec:
    """One row of the table of settings.

    `env` names the variable that may give it; `only` is set where no file and no ``--set`` may, and says what to do
    instead.
    """

    kind: Kind
    help: str
    default: Any = None
    env: str = ""
    only: str = ""


class Place(Spec):
    """A setting that says which deployment is meant."""


@dataclass(frozen=True)
class Given:
    """What one layer gives for a setting: not parsed yet; relative paths in it start at `base`."""

    value: Any
    source: str
    base: Path


Layer = dict[str, Given]


def layers(
    specs: Mapping[str, Spec], options: Mapping[str, Any], environ: Mapping[str, str], cwd: Path
) -> Iterator[Layer]:
    """Every layer but discovery and the defaults; `BadSettings` for a setting that does not exist.

    ``options["inherited"]`` holds what the run that ``--lf`` repeats declared on its command line;
    ``options["sandbox"]`` what a sandbox says about itself. Beside it only the command line may say which
    deployment is meant: what environment and files say is about another one.
    """
    typed = [_options(options, cwd), _sets(specs, options.get("set") or [], cwd)]
    sandbox = options.get("sandbox") or {}
    if sandbox:
        _one_place(specs, sandbox, typed)
    inherited = options.get("inherited") or {}
    typed.append({name: Given(value, "the run that --lf repeats", cwd) for name, value in inherited.items()})
    kept = [_environment(specs, environ, cwd), *_file(specs, options, cwd), _values(options, cwd)]
    yield from typed
    if sandbox:
        yield {name: Given(value, "--sandbox", cwd) for name, value in sandbox.items()}
        kept = [{name: one for name, one in layer.items() if not isinstance(specs[name], Place)} for layer in kept]
    yield from kept


def _options(options: Mapping[str, Any], cwd: Path) -> Layer:
    found = {name: options.get(name) for name in OPTIONS}
    return {
        name: Given(value, f"--{name.replace('_', '-')}", cwd)
        for name, value in found.items()
        if value is not None and value is not False
    }


def _one_place(specs: Mapping[str, Spec], sandbox: Mapping[str, Any], typed: list[Layer]) -> None:
    for layer in typed:
        for name in ("target", *sandbox):
            if name in layer and isinstance(specs[name], Place):
                raise BadSettings(
                    f"{name} is given, and the sandbox has its own",
                    source=f"{layer[name].source} and --sandbox",
                    do="leave one of them away",
                )


def _values(options: Mapping[str, Any], cwd: Path) -> Layer:
    files = [cwd / one for one in options.get("values") or []]
    return {name: Given(value, source, cwd) for name, (value, source) in values.settings(files).items()}


def _sets(specs: Mapping[str, Spec], pairs: list[str], cwd: Path) -> Layer:
    layer = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise BadSettings(f"--set {name or pair!r} gives no value", source="--set", do="write --set SETTING=VALUE")
        _known(specs, name, f"--set {name}=…")
        layer[name] = Given(value, f"--set {name}=…", cwd)
    return layer


def _environment(specs: Mapping[str, Spec], environ: Mapping[str, str], cwd: Path) -> Layer:
    """An empty variable is one that nobody set."""
    return {
        name: Given(environ[spec.env], f"{spec.env} (environment)", cwd)
        for name, spec in specs.items()
        if spec.env and environ.get(spec.env, "").strip()
    }


def _file(specs: Mapping[str, Spec], options: Mapping[str, Any], cwd: Path) -> Iterator[Layer]:
    """The chosen target of the settings file, then the file itself."""
    named, target = options.get("settings"), options.get("target")
    path = cwd / (named or SETTINGS_FILE)
    content = mapping(path, "--settings" if named else str(path)) if named or os.path.lexists(path) else {}
    targets = _targets(specs, content.pop("targets", None), path)
    if target is not None:
        if target not in targets:
            there = os.path.lexists(path)
            what = f"{path.name} names no target {target!r}" if there else f"there is no {path}"
            do = instead(target, targets) if targets else f"write it into {path.name}, under 'targets:'"
            raise BadSettings(what, source="--target", do=do)
        yield _section(specs, targets[target], f"{path.name}: targets.{target}.", path.parent)
    yield _section(specs, content, f"{path.name}: ", path.parent)


def _targets(specs: Mapping[str, Spec], found: Any, path: Path) -> dict[str, dict[str, Any]]:
    """Each target, checked even if it is not the chosen one: a typing error should not wait for the day it is used."""
    do = "write it as 'targets: {prod: {context: prod-admin}}'"
    targets = {} if found is None else found
    if not isinstance(targets, dict):
        raise BadSettings(f"{path.name}: targets is no mapping of names to settings", source=str(path), do=do)
    targets = {str(name): one for name, one in targets.items()}
    for name, one in targets.items():
        if not isinstance(one, dict):
            what = f"{path.name}: the target {name!r} has no settings"
            raise BadSettings(what, source=str(path), do=do)
        _section(specs, one, f"{path.name}: targets.{name}.", path.parent)
    return targets


def _section(specs: Mapping[str, Spec], content: Mapping[Any, Any], prefix: str, base: Path) -> Layer:
    for name in content:
        _known(specs, str(name), f"{prefix}{name}")
    return {name: Given(value, f"{prefix}{name}", base) for name, value in content.items() if value is not None}


def _known(specs: Mapping[str, Spec], name: str, source: str) -> None:
    spec = specs.get(name)
    if spec is None:
        do = runbook.account(name) or instead(name, [one for one, row in specs.items() if not row.only])
        raise BadSettings(f"there is no setting {name!r}", source=source, do=do)
    if spec.only:
        raise BadSettings(f"{name} is not taken from here", source=source, do=spec.only)
