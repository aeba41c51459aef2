"""A container's command line, as this machine runs it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.client import Object

from .configuration import ConfigurationError
from .environment import expand

# What every image has, here from this interpreter.
INTERPRETERS: Mapping[str, list[str]] = {
    "python": [sys.executable],
    "python3": [sys.executable],
    "celery": [sys.executable, "-m", "celery"],
}
# An absolute path inside a token: at its start, or after a blank, a quote or an equals sign.
ABSOLUTE = re.compile(r"(?<![^\s'\"=])/[^\s'\"]*")
# Of the machine, not of the pod: programs and devices.
MACHINE = re.compile(r"/(bin|dev|proc|sbin|sys|usr)(/|$)")


@dataclass(frozen=True)
class Command:
    """`init`: the container has an init (dumb-init) that forwards signals, so SIGTERM keeps its usual meaning."""

    argv: list[str]
    init: bool


def of_container(container: Object, programs: Mapping[str, str], variables: Mapping[str, str], root: Path) -> Command:
    """``command`` and ``args``, with the image's programs put in and the pod's mounted files found below `root`.

    `programs` is applied to each token as a substring; a token that it makes empty is dropped.
    """
    tokens = [expand(token, variables) for token in [*(container.get("command") or ()), *(container.get("args") or ())]]
    if not tokens:
        raise ConfigurationError("no command specified")
    init = Path(tokens[0]).name == "dumb-init"
    if init:
        tokens = tokens[2:] if tokens[1] == "--" else tokens[1:]
    for original, replacement in programs.items():
        tokens = [token.replace(original, replacement) for token in tokens]
    tokens = [token for token in tokens if token]
    mounted = [mount["mountPath"] for mount in container.get("volumeMounts") or ()]
    tokens = [f"{root}{token}" if any(_below(token, path) for path in mounted) else token for token in tokens]
    return Command([*INTERPRETERS.get(Path(tokens[0]).name, tokens[:1]), *tokens[1:]], init)


def in_container(tokens: list[str], root: Path) -> list[str]:
    """The command of an exec probe: its absolute paths are the pod's, in a shell's script too."""
    located = [ABSOLUTE.sub(lambda match: _in_pod(match[0], root), token) for token in tokens]
    return [*INTERPRETERS.get(Path(located[0]).name, located[:1]), *located[1:]]


def _in_pod(path: str, root: Path) -> str:
    return path if MACHINE.match(path) else f"{root}{path}"


def _below(token: str, path: str) -> bool:
    return token == path or token.startswith(path.rstrip("/") + "/")
