"""What a setting may hold: each kind turns what was given, as text or as YAML, into the typed value."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from seatrial.secret import Secret

Kind = Callable[[Any, Path], Any]
"""Takes the value and the directory that relative paths start from; raises `Malformed`."""

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_HOST = re.compile(r"[A-Za-z0-9]([\w.-]*\w)?\.?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", re.ASCII)
_PLACEHOLDER = re.compile(r"\{[A-Za-z_-]+\}")
_EMPTY = "is empty", "give it a value, or leave it away"
_LONG = "has more than one line", "give it on one line"
_FILL_IN = "fill it in, or leave the setting away"
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Malformed(ValueError):
    """`what` continues "<setting> <value> …", `do` says how to write it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what)
        self.what, self.do = what, do


def text(value: Any, _base: Path) -> str:
    """Any text on one line; a runbook's placeholder that nobody filled in is none."""
    if not isinstance(value, str):
        raise Malformed(f"is {in_yaml(value)} in YAML, not text", "put it in quotes")
    found = value.strip()
    if not found or len(found.splitlines()) > 1:
        raise Malformed(*(_LONG if found else _EMPTY))
    if _PLACEHOLDER.fullmatch(found):
        raise Malformed("is a placeholder of the runbook", _FILL_IN)
    return found


def name(value: Any, base: Path) -> str:
    """The name of a namespace or a Service: a DNS label (RFC 1123)."""
    found = text(value, base)
    if not _DNS_LABEL.fullmatch(found):
        raise Malformed("is no Kubernetes name", "use lower-case letters, digits and '-', at most 63 characters")
    return found


def object_name(value: Any, base: Path) -> str:
    """The name of a Secret or a service account: a DNS subdomain (RFC 1123)."""
    found = text(value, base)
    if not _DNS_SUBDOMAIN.fullmatch(found):
        raise Malformed("is no Kubernetes name", "use lower-case letters, digits, '-' and '.'")
    return found


def host(value: Any, base: Path) -> str:
    """A host's name or address, without scheme and port; one of IPv6 without the brackets that it may be given in."""
    found = text(value, base)
    if found.startswith("[") and found.endswith("]") and ":" in found:
        found = found[1:-1]
    if not _HOST.fullmatch(found):
        raise Malformed("is no name of a host", "give it alone, without scheme, user, port and path")
    return found


def image_repository(value: Any, base: Path) -> str:
    """An image without its tag, e.g. ``registry.example/model-engine``."""
    found = text(value, base)
    if "://" in found or " " in found or ":" in found.rpartition("/")[2]:
        raise Malformed("is no image repository", "give it without scheme and tag; the tag is a setting of its own")
    return found


def image_tag(value: Any, base: Path) -> str:
    """An image's tag."""
    found = text(value, base)
    if not re.fullmatch(r"\w[\w.-]{0,127}", found, re.ASCII):
        raise Malformed("is no image tag", "give the part behind the last ':' of the image")
    return found


def url(value: Any, base: Path) -> str:
    """An http or https URL, without the slash at its end."""
    found = text(value, base)
    do = "write it like https://gateway.example or http://localhost:8080"
    if left := _PLACEHOLDER.search(found):
        raise Malformed(f"still holds the placeholder {left[0]}", _FILL_IN)
    if any(char.isspace() for char in found):
        raise Malformed("holds a blank", do)
    try:
        parts = urlsplit(found)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as error:
        raise Malformed(f"is malformed: {error}", do) from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise Malformed("is no http or https URL", do)
    if parts.username is not None or parts.password is not None:
        raise Malformed("holds a user or a password", "give credentials as AUTH_TOKEN")
    if parts.query or parts.fragment:
        raise Malformed("has a query or a fragment", do)
    return found.rstrip("/")


def path(value: Any, base: Path) -> Path:
    """A path; a relative one starts where it was written: the directory of the file, or the working directory."""
    try:
        return base / Path(text(value, base)).expanduser()
    except RuntimeError:
        raise Malformed("starts in the home of a user that does not exist", "write the path in full") from None


def readable_file(value: Any, base: Path) -> Path:
    """A file that can be read now."""
    found = path(value, base)
    try:
        found.open("rb").close()
    except OSError as error:
        raise Malformed(f"cannot be read: {error.strerror}", "name a file that this user can read") from None
    return found


def paths(value: Any, base: Path) -> tuple[Path, ...]:
    """One path, or several as KUBECONFIG has them (separated by ':') or as a YAML list."""
    several = value if isinstance(value, list) else text(value, base).split(os.pathsep)
    return tuple(path(one, base) for one in several if one)


def seconds(value: Any, base: Path) -> float:
    """A duration above zero, in seconds."""
    return _number(value, base, "give a number of seconds above 0, like 30")


def patience(value: Any, base: Path) -> float:
    """A duration in seconds, or 0 for none."""
    return 0.0 if str(value).strip() in ("0", "0.0") else _number(value, base, "give a number of seconds, or 0")


def port(value: Any, base: Path) -> int:
    """A TCP port."""
    do = "give a number from 1 to 65535"
    found = str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value, base)
    if not found.isascii() or not found.isdigit() or not 0 < int(found) < 65536:
        raise Malformed("is no TCP port", do)
    return int(found)


def factor(value: Any, base: Path) -> float:
    """A number above zero."""
    return _number(value, base, "give a number above 0, like 1.5")


def switch(value: Any, _base: Path) -> bool:
    """True or false."""
    found = value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())
    if found is None:
        raise Malformed("is neither true nor false", "write true or false")
    return found


def one_of(*words: str) -> Kind:
    """One of a few words."""

    def kind(value: Any, base: Path) -> str:
        found = text(value, base)
        if found not in words:
            raise Malformed("is not one of them", f"write one of {', '.join(words)}")
        return found

    return kind


def command(value: Any, base: Path) -> tuple[str, ...]:
    """A program with its arguments, started without a shell: a YAML list, or text split as a shell would."""
    do = "write it like [aws-vault, print-token] or 'gcloud auth print-access-token'"
    if isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            raise Malformed("holds something that is no text", do)
        found = tuple(value)
    else:
        try:
            found = tuple(shlex.split(text(value, base)))
        except ValueError as error:
            raise Malformed(f"cannot be split into arguments: {error}", do) from None
    if not found:
        raise Malformed("names no program", do)
    return found


def secret(value: Any, base: Path) -> Secret:
    """A text that is shown nowhere."""
    return Secret(text(value, base))


def _number(value: Any, base: Path, do: str) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not 0 < found < math.inf:
        raise Malformed("is no number above 0", do)
    return found


def of_yaml(value: Any, do: str) -> dict[str, Any]:
    """A mapping, as YAML has it, or written as YAML on one line; `do` says how."""
    found = value
    if isinstance(value, str):
        try:
            found = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            raise Malformed("is no YAML", do) from None
    if not isinstance(found, dict):
        raise Malformed(f"is {in_yaml(found)}, not a mapping", do)
    return found


def in_yaml(value: Any) -> str:
    """What YAML made of something, in words."""
    kinds = {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    kinds |= {str: "a text", type(None): "nothing"}
    return kinds.get(type(value), f"a {type(value).__name__}")
