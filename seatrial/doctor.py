"""``python -m seatrial doctor``: what a run would use, where each value came from, and whether it can be reached."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial import connect, kinds
from seatrial.kube import Kube
from seatrial.mask import masked
from seatrial.model_engine.client import ModelEngine
from seatrial.model_engine.discovery import Release, discover
from seatrial.model_engine.gateway import reach
from seatrial.record import Record
from seatrial.run import Run, new_id
from seatrial.settings import TABLE, Settings, how_to_give
from seatrial.target import Target, resolve
from seatrial.verdict import BadSettings, NotJudged, Unhealthy

REACHED, GATEWAY, CLUSTER, SETTINGS = 0, 1, 3, 4
CODES = (
    f"Exit code {REACHED}: a run can begin; {GATEWAY}: there is no release, or its gateway does not answer as it "
    f"should; {CLUSTER}: the cluster or the gateway does not let us in, or the cluster cannot be reached; {SETTINGS}: "
    "a setting is missing or wrong, the token for one. Of several the greatest counts."
)
"""What they say, for ``--help``."""


@dataclass
class Examined:
    """What is examined, and what the probes so far have found: each fills in what the next may need."""

    settings: Settings
    target: Target
    record: Record
    open: ExitStack
    kube: Kube | None = None
    release: Release | None = None
    engine: ModelEngine | None = None


Probe = Callable[[Examined], str]
"""Returns one line about what it found, or raises as a check would: the exception decides the exit code."""


def cluster(examined: Examined) -> str:
    """Whether the API server answers, lets us in, and has the namespace."""
    if not examined.target.has_cluster:
        return f"not asked ({examined.settings.source('no_cluster')})"
    client = examined.open.enter_context(connect.kube(examined.settings, examined.target, examined.record))
    version = client.version()
    connect.check_namespace(client, examined.settings)
    examined.kube = client
    return f"{version} answers at {client.url}"


def release(examined: Examined) -> str:
    """Which release is meant; it fills in the settings that nobody gave."""
    if examined.kube is None:
        return "not looked for"
    examined.release = discover(examined.kube, examined.settings, examined.target.namespace)
    examined.settings = examined.settings.discovered(examined.release.found)
    return examined.release.describe().removeprefix("release ")


def gateway(examined: Examined) -> str:
    """Whether the gateway answers."""
    found = examined.release
    if examined.settings.gateway_url is None and found is None:
        return "not asked, nothing says where it is"
    http = examined.open.enter_context(reach(examined.settings, examined.target, examined.record, examined.kube, found))
    engine = ModelEngine(http, examined.settings)
    engine.healthz()
    examined.engine = engine
    if examined.settings.gateway_url is not None:
        return f"answers at {http.base_url} ({examined.settings.source('gateway_url')})"
    way = "its Service" if examined.target.in_cluster else "a port-forward to its Service"
    return f"answers at {http.base_url} ({way})"


def contract(examined: Examined) -> str:
    """The contract, and how it was found."""
    if examined.engine is None:
        return f"{examined.settings.contract} ({examined.settings.source('contract')})"
    return f"{examined.engine.contract or 'unknown'} ({examined.engine.contract_source})"


def token(examined: Examined) -> str:
    """Whether there is a token, and whether the gateway takes it; `BadSettings` without one."""
    if not examined.settings.token.source:
        raise BadSettings("none is given, and most checks need one", do=how_to_give("auth_token"))
    examined.settings.token.value()
    if examined.engine is None:
        return f"from {examined.settings.token.source}; not tried, the gateway was not reached"
    listed = len(examined.engine.endpoints())
    any_token = ", as any token is" if examined.engine.takes_any_token() else ""
    return f"from {examined.settings.token.source}; accepted{any_token}; the gateway lists {listed} endpoints"


ASKED: tuple[Probe, ...] = (cluster, release, gateway, contract, token)
SHOWN: tuple[Probe, ...] = (contract, cluster, release, gateway, token)


def examine(
    options: Mapping[str, Any], environ: Mapping[str, str], cwd: Path, say: Callable[[str], None] = print
) -> int:
    """Say it all and return the exit code. Writes nothing to the target, and no record."""
    try:
        settings = Settings.load(options, environ, cwd)
        target = resolve(settings, environ, needs_cluster=True, writes=False)
    except BadSettings as error:
        say(f"settings  {_told(error)}")
        return SETTINGS
    say(f"target    {target.describe()}")
    with tempfile.TemporaryDirectory(prefix="seatrial-doctor-") as directory, ExitStack() as stack:
        record = Record(Run(new_id(), Path(directory)))
        stack.callback(record.close)
        examined = Examined(settings, target, record, stack)
        told = {probe: _ask(probe, examined) for probe in ASKED}
    for line in ("", *table(examined.settings), "", *(told[probe][1] for probe in SHOWN)):
        say(line)
    return max(code for code, _ in told.values())


def table(settings: Settings) -> Iterator[str]:
    """Every setting, its value and where it came from, aligned; secrets masked."""
    rows = [
        ("setting", "value", "from"),
        *((name, _shown(name, value), source) for name, value, source in settings.rows()),
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        yield f"{name:{widths[0]}}  {value:{widths[1]}}  {source}"


def _ask(probe: Probe, examined: Examined) -> tuple[int, str]:
    name = probe.__name__
    try:
        return REACHED, f"{name:8}  {masked(probe(examined))}"
    except BadSettings as error:
        return SETTINGS, f"{name:8}  {_told(error)}"
    except NotJudged as error:
        return CLUSTER, f"{name:8}  {_told(error)}"
    except Unhealthy as error:
        return GATEWAY, f"{name:8}  {masked(error.cause.line)}; {error.cause.do}"
    except AssertionError as error:
        return GATEWAY, f"{name:8}  {masked(str(error).splitlines()[0])}"


def _told(error: NotJudged) -> str:
    return masked(error.whole)


def _shown(name: str, value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}{' s' if TABLE[name].kind is kinds.seconds else ''}"
        case Mapping():
            return ", ".join(value) or "-"
        case tuple():
            return masked(" ".join(map(str, value)))
        case _:
            return masked(str(value))
