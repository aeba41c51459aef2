"""How an endpoint of ours is made: what must hold before, the bundle, the one request, and the loss of its answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from seatrial.http_errors import Answered
from seatrial.model_engine.belonging import another_deployment
from seatrial.model_engine.client import Contract, ModelEngine, Object
from seatrial.model_engine.kinds import Kind
from seatrial.model_engine.ledger import Ledger
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site, gateways_log
from seatrial.verdict import BadSettings, Cause, Refused, Unhealthy, Unreachable

LONGEST_OWNER = 24
"""Characters of the released gateway's column for who made a thing; an open gateway takes the token itself for that."""
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
_NEVER_SENT = ("gateway/refused", "gateway/no-connection", "gateway/certificate")
"""Keys of the causes by which the request did not even leave."""


@dataclass(frozen=True)
class Made:
    """How the gateway took it: `task` is the creation task's id; `began` and `answered` by `time.monotonic()`."""

    task: str
    began: float
    answered: float


def make(kind: Kind, ledger: Ledger) -> Made:
    """Have the gateway make the endpoint. What must hold before anything is made is looked at first."""
    site = ledger.sight.site
    refuse_unfit_token(site)
    bundle = _bundle(site) if site.engine.contract is Contract.RELEASED else ""
    with site.trial.whole():
        ledger.write()
        made = _ask(kind, ledger, bundle) or _ask(kind, ledger, _bundle(site))
    assert made is not None, "the gateway wants a bundle's id, and refuses the one it gave"
    if site.engine.contract is Contract.DOCUMENTED:
        name = ledger.sight.name
        _must_be_known(site, lambda own: own.endpoint(name) is not None)
    return made


def refuse_unfit_token(site: Site) -> None:
    """`BadSettings` if the gateway is open and takes our token for a name that is too long, or no label."""
    if not site.engine.takes_any_token():
        return
    token = site.trial.settings.token.value().reveal()
    if len(token) > LONGEST_OWNER or not _LABEL.fullmatch(token):
        raise BadSettings(
            f"the gateway is open: it takes the token itself for the owner's name, and that must be a label of at most "
            f"{LONGEST_OWNER} characters; this one has {len(token)}",
            source=site.trial.settings.token.source,
            do="use a short word as the token, e.g. AUTH_TOKEN=smoke-tests",
        )


def looked_for(sight: Sight) -> Object:
    """The endpoint whose create was never answered, once it is listed; AssertionError if it is not for a while."""

    def there() -> Object:
        found = sight.look_everywhere()
        assert found is not None, "its create was never answered: it may still appear"
        return found

    what = f"{sight.name}, whose create was not answered"
    return sight.site.trial.wait.until(there, sight.site.patience, what=what, fixed=True)


def _ask(kind: Kind, ledger: Ledger, bundle: str) -> Made | None:
    """Send the create; None if the gateway wants a bundle first. The journal says whether it was answered: an answer
    may be lost, an endpoint not."""
    sight, trial, began = ledger.sight, ledger.sight.site.trial, time.monotonic()
    try:
        task = sight.site.engine.create_endpoint(sight.name, kind.name, trial, bundle)
    except Refused:
        ledger.settle("never made")
        raise
    except Answered:
        ledger.write(answered=True)
        raise
    except Unhealthy as lost:
        if lost.cause.key in _NEVER_SENT:
            ledger.settle("never made")
            raise
        _must_have_arrived(sight, lost)
        task = "unknown: the answer was lost"
    except AssertionError as error:
        ledger.write(answered=True)
        raise Unhealthy(
            Cause(
                f"model_engine.create/{sight.name}",
                str(error).splitlines()[0],
                do="a 500 here is the broker or the database; the gateway's log names it",
                look=gateways_log(sight.site),
            )
        ) from None
    ledger.write(answered=True)
    return None if task is None else Made(task, began, time.monotonic())


def _must_have_arrived(sight: Sight, lost: Unhealthy) -> None:
    """Nothing is sent twice: either the endpoint is there, by its name that nobody else has, or the loss stands."""
    try:
        looked_for(sight)
    except AssertionError:
        raise lost from None
    sight.site.trial.warn(f"the answer to the create of {sight.name} was lost, and it was made: {lost.cause.line}")


def _bundle(site: Site) -> str:
    """The id of the bundle that every run reuses: no API deletes one."""
    engine, trial = site.engine, site.trial
    name = engine.bundle_name()
    found = engine.bundle(name)
    if found is None:
        entry = trial.journal.intend("bundle", name)
        found = engine.create_bundle(name)
        trial.journal.settled(entry, "kept")
        trial.note(f"the bundle {name} is kept, no API deletes one; the next run uses it again")
    _must_be_known(site, lambda own: own.knows_bundle(found))
    return found


def _must_be_known(site: Site, known: Callable[[ModelEngine], bool]) -> None:
    """`BadSettings` if the context's own gateway does not know what was just made; a warning if it cannot be asked."""
    if site.own_gateway is None:
        return
    try:
        ours = known(site.own_gateway)
    except (Refused, Unreachable, AssertionError) as error:
        site.trial.warn(f"not verified that gateway_url and the context belong together: {error}")
        return
    if not ours:
        raise another_deployment(site.trial, "what was just made through it, the context's own gateway does not know")
