"""How an endpoint of ours is made: what must hold before, the bundle, the one request, and the loss of its answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seatrial.http_errors import Answered
from seatrial.model_engine.belonging import another_deployment
from seatrial.model_engine.client import BY_NAME, Contract, ModelEngine, Object
from seatrial.model_engine.kinds import LLM, Kind
from seatrial.model_engine.ledger import Ledger
from seatrial.model_engine.sight import Sight
from seatrial.model_engine.site import Site, gateways_log
from seatrial.verdict import BadSettings, Cause, Refused, Unhealthy, Unreachable

LONGEST_OWNER = 24
"""Characters of the released gateway's column for who made a thing; an open gateway takes the token itself for that."""
Values = Callable[[Contract], Mapping[str, str]]
"""What the payload of a contract wants to be filled in with; `BadSettings` for what nobody gave."""
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
_OR_WEIGHTS = ", or a checkpoint_path that was not sent"
_SERVER_ERROR = re.compile(r"answered (5\d\d), not ")
_NEVER_SENT = ("gateway/refused", "gateway/no-connection", "gateway/certificate")
"""Keys of the causes by which the request did not even leave."""


@dataclass(frozen=True)
class Made:
    """How the gateway took it: `task` is the creation task's id; `began` and `answered` by `time.monotonic()`."""

    task: str
    began: float
    answered: float


def make(kind: Kind, ledger: Ledger, values: Values) -> Made:
    """Have the gateway make the endpoint. What must hold before anything is made is looked at first."""
    site = ledger.sight.site
    refuse_unfit_token(site)
    made = None
    for contract in dict.fromkeys((site.engine.contract or Contract.DOCUMENTED, Contract.RELEASED)):
        filled = dict(values(contract))
        if kind.bundled:
            filled |= site.engine.image()
            if contract is Contract.RELEASED:
                filled["bundle"] = _bundle(site)
        with site.trial.whole():
            ledger.write()
            made = _ask(kind, ledger, contract, filled)
        if made is not None:
            break
    assert made is not None, "the gateway wants what the released contract has, and refuses what it was given"
    if site.engine.contract is Contract.DOCUMENTED:
        order = BY_NAME if kind.by_name else ""
        _must_be_known(site, lambda own: own.endpoint(ledger.sight.name, order) is not None)
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


def _ask(kind: Kind, ledger: Ledger, contract: Contract, values: Mapping[str, str]) -> Made | None:
    """Send the create; None if the gateway turns out to be a released one. The journal says whether it was answered: an
    answer may be lost, an endpoint not."""
    sight, trial, began = ledger.sight, ledger.sight.site.trial, time.monotonic()
    try:
        task = sight.site.engine.create_endpoint(sight.name, kind, trial, contract, values)
    except (Refused, BadSettings):
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
        raise Unhealthy(_refused(kind, sight, str(error).splitlines()[0])) from None
    if task is None:
        ledger.settle("never made")
        return None
    ledger.write(answered=True)
    return Made(task, began, time.monotonic())


def _refused(kind: Kind, sight: Sight, said: str) -> Cause:
    """Why the gateway made nothing, as far as its words tell: one cause for all kinds of which it says the same.

    A 500 is the same whatever stands in it: it says nothing but when, and which request that was.
    """
    site, error = sight.site, _SERVER_ERROR.search(said)
    same = f"{kind.route} {error[1]}" if error else said.replace(sight.name, "")
    return kind.refused(sight.name, said) or Cause(
        f"model_engine.create/{same}",
        said,
        do=f"a 500 here is the broker or the database{_OR_WEIGHTS if kind is LLM else ''}; the gateway's log names it",
        look=gateways_log(site),
    )


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
