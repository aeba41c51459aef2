"""What a run declares must be there: by ``expect:`` in the settings, or by what its ``-m`` asks for.

Declared and absent is *fail*; what nobody declared and the target shows no sign of is *not applicable*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from seatrial.checks import phase_of
from seatrial.kinds import Malformed, in_yaml, of_yaml
from seatrial.suggest import instead
from seatrial.verdict import BadSettings, Cause, NotApplicable, Unhealthy

CLOUDS = ("aws", "azure", "gcp", "onprem")
VENDORS = ("nvidia", "amd")
PRODUCTS = ("model_engine",)

_EXAMPLE = "write it like {cloud: aws, gpu: 'nvidia>=8', products: [model_engine], registries: [registry.example]}"
_GPUS = re.compile(rf"({'|'.join(VENDORS)})\s*>=\s*(\d+)")


@dataclass(frozen=True)
class Gpus:
    """At least so many GPUs of a vendor; without a vendor: none at all."""

    vendor: str = ""
    at_least: int = 0

    def __str__(self) -> str:
        return f"{self.vendor}>={self.at_least}" if self.vendor else "none"


@dataclass(frozen=True)
class Expected:
    """The setting ``expect``; None and empty say nothing. `registries`: prefixes that images may have."""

    cloud: str | None = None
    gpu: Gpus | None = None
    products: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()

    @property
    def no_gpus(self) -> bool:
        """Whether the user says that there are none, so that nothing about GPUs is to be judged."""
        return self.gpu == Gpus()

    def data(self) -> dict[str, Any]:
        """As it stands in a settings file."""
        found = {"cloud": self.cloud, "gpu": str(self.gpu) if self.gpu else None}
        return found | {"products": list(self.products), "registries": list(self.registries)}

    def __str__(self) -> str:
        parts = (f"cloud {self.cloud}" if self.cloud else "", f"gpu {self.gpu}" if self.gpu else "")
        lists = (" ".join(("products", *self.products)), " ".join(("registries", *self.registries)))
        return ", ".join(filter(None, (*parts, *(one for one in lists if " " in one)))) or "-"


NOTHING = Expected()


def expected(value: Any, _base: Path) -> Expected:
    """The kind of the setting ``expect``."""
    if isinstance(value, Expected):
        return value
    found = of_yaml(value, _EXAMPLE)
    names = ("cloud", "gpu", "products", "registries")
    for name in found:
        if name not in names:
            raise Malformed(f"knows no {name!r}", instead(str(name), names))
    cloud, gpu = found.get("cloud"), found.get("gpu")
    return Expected(
        None if cloud is None else _word(cloud, "cloud", CLOUDS),
        None if gpu is None else _gpus(gpu),
        tuple(_word(one, "products", PRODUCTS) for one in _texts(found, "products")),
        tuple(one.rstrip("/") for one in _texts(found, "registries")),
    )


def declared(items: Iterable[pytest.Item], expression: str) -> frozenset[str]:
    """The phases, clouds and vendors that a marker expression asks for.

    An item's marker is declared when the expression, with that marker taken from the item, no longer selects it;
    ``not azure`` declares nothing.
    """
    if not expression.strip():
        return frozenset()
    compiled = Expression.compile(expression)
    found: set[str] = set()
    for item in items:
        names = {one.name for one in item.iter_markers()}
        for name in names & {*CLOUDS, *VENDORS, phase_of(item.nodeid)}:
            if not _selects(compiled, names - {name}):
                found.add(name)
    return frozenset(found)


@dataclass(frozen=True)
class Scope:
    """What one run declares, in both ways. `markers`: what `declared` found."""

    expect: Expected = NOTHING
    markers: frozenset[str] = frozenset()

    def declares(self, name: str) -> bool:
        """Whether a phase, cloud or vendor must be there."""
        gpu = self.expect.gpu
        return name in self.markers or name == self.expect.cloud or bool(gpu and gpu.at_least and gpu.vendor == name)

    @property
    def clouds(self) -> list[str]:
        """The clouds that the release must be on."""
        return [one for one in CLOUDS if self.declares(one)]

    def require_clouds(self, found: str, where: str) -> None:
        """For a check of several clouds: return unless another one than `found` is declared; see `require_cloud`."""
        if where:
            _refuse_unknown(found, where)
        for cloud in self.clouds:
            self.require_cloud(cloud, found, where)

    def require_cloud(self, wanted: str, found: str, where: str) -> None:
        """Return if the release is on the cloud that a check is about (one of `CLOUDS`).

        `found` is what the release's configuration says, `where` the object it stands in. AssertionError if `wanted`
        is declared and another is found, or one that is none; `NotApplicable` if nobody declared it. Without a `where`
        nothing says anything of a cloud: then a declared one cannot be judged (`BadSettings`).
        """
        if not where:
            line = "nothing says which cloud the release is on"
            if self.declares(wanted):
                raise BadSettings(f"{wanted} is declared, and {line}", do="name a cluster, or give --values=FILE")
            raise NotApplicable(f"this is about {wanted}, and {line}")
        if found == wanted:
            return
        _refuse_unknown(found, where)
        if self.declares(wanted):
            raise Unhealthy(
                Cause(
                    f"declared/{wanted}",
                    f"declared {wanted}, found {found} ({where})",
                    do="expect in the settings declares, and -m with a cloud; correct that, or the context",
                )
            )
        raise NotApplicable(f"this is about {wanted}, and the release is on {found} ({where})")


def _refuse_unknown(found: str, where: str) -> None:
    """A cloud that is misspelled would have every check of every cloud not applicable."""
    if found not in CLOUDS:
        line = f"the release is configured for the cloud {found!r}, which is none ({where})"
        raise Unhealthy(Cause(f"cloud.unknown/{found}", line, do=f"correct it: {instead(found, CLOUDS)}"))


def _selects(compiled: Expression, names: set[str]) -> bool:
    def matcher(name: str, /, **_: Any) -> bool:
        return name in names

    return compiled.evaluate(matcher)


def _texts(found: dict[str, Any], name: str) -> list[str]:
    value = found.get(name)
    several = [] if value is None else value if isinstance(value, list) else [value]
    for one in several:
        if not isinstance(one, str) or not one.strip():
            raise Malformed(f"holds {in_yaml(one)} in {name}, not a text", _EXAMPLE)
    return several


def _word(value: Any, name: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise Malformed(f"has {value!r} for {name}, which is none", instead(str(value), words))
    return str(value)


def _gpus(value: Any) -> Gpus:
    if value == "none":
        return Gpus()
    match = _GPUS.fullmatch(str(value).strip())
    if match is None:
        raise Malformed(f"has {value!r} for gpu", "write none, or a vendor and a number: 'nvidia>=8', 'amd>=1'")
    return Gpus(match[1], int(match[2]))
