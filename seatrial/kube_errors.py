"""What the API server's refusals mean, and in which words the user hears of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, NamedTuple

import httpx

from seatrial.mask import masked
from seatrial.network import why
from seatrial.resources import Asked, AskedPath
from seatrial.verdict import NotJudged, Reason, Refused, Unreachable


class ApiError(Exception):
    """The API server did not accept what we asked: `status` is the HTTP code, `reason` its own word for it.

    Whoever meets it without having foreseen it has found a bug of ours.
    """

    def __init__(self, asked: Asked | AskedPath, status: int, reason: str, message: str) -> None:
        super().__init__(f"{asked}: {status} {message}")
        self.status, self.reason, self.message = status, reason, message


class NotFound(ApiError, LookupError):
    """There is no such object, no such kind, or no such log."""


class Conflict(ApiError):
    """The object exists already, has changed, or is another one of the same name."""


class Busy(Unreachable):
    """It says when to ask again: `after` so many seconds."""

    def __init__(self, line: str, *, after: float, source: str, do: str) -> None:
        super().__init__(line, source=source, do=do)
        self.after = after


class Broken(Unreachable):
    """The connection broke or did not come about: another may go to another of its servers."""


class Expired(Unreachable):
    """What a list was to be continued from is too old (410): it has to begin anew."""


class Forbidden(Refused):
    """We are let in and lack a right: `rule` is the RBAC rule that would give it."""

    def __init__(self, line: str, *, rule: str, source: str, do: str) -> None:
        super().__init__(line, source=source, do=do)
        self.rule = rule


class Server(NamedTuple):
    """The API server as messages name it: `who` are we there, and where do both come from."""

    url: str
    who: str
    source: str
    kubectl: str

    def __str__(self) -> str:
        return f"the API server {self.url} ({self.who})"


WEBHOOK = "failed calling webhook"
"""A 500 of an admission webhook's making: it does not pass while the API server is well."""
TRANSIENT = frozenset({408, 410, 429, *range(500, 600)})
"""Asked again a little later, the answer may be another: not now, no list from then, too many requests."""


def unreachable(server: Server, error: httpx.HTTPError, timeout: float) -> Unreachable:
    """Nobody answered: `timeout` are the seconds we waited."""
    match error:
        case httpx.ConnectTimeout():
            line = f"{server} accepts no connection within {timeout:g} s"
        case httpx.TimeoutException():
            line = f"{server} does not answer within {timeout:g} s"
        case httpx.ProxyError():
            line = f"{server} cannot be reached through the HTTP proxy: {why(error)}"
        case httpx.ConnectError():
            line = f"{server} cannot be reached: {why(error)}"
        case _:
            line = f"{server} breaks the connection: {why(error)}"
    passing = not isinstance(error, httpx.TimeoutException | httpx.ProxyError)
    do = f"check the way there from this machine, VPN and proxy: {server.kubectl} version"
    return (Broken if passing else Unreachable)(masked(line), source=server.source, do=do)


def failure(server: Server, asked: Asked | AskedPath, response: httpx.Response) -> Exception | None:
    """The exception for an answer that is none, or None for a good one (which is JSON, except for a log)."""
    status, body = response.status_code, _json(response)
    if response.is_success and (body is not None or (isinstance(asked, Asked) and asked.subresource == "log")):
        return None
    of_kubernetes = body is not None and body.get("kind") == "Status"
    if status in TRANSIENT:
        said = _said(body) if of_kubernetes else response.reason_phrase or "no Kubernetes answer"
        if status >= 500 and WEBHOOK in said:
            return NotJudged(Reason.ADMISSION, f"{asked} was not admitted: {said}", source=server.source)
        line = f"{server} cannot answer now ({status}): {said}"
        do = f"look at its health: {server.kubectl} get --raw /readyz"
        after = response.headers.get("Retry-After", "")
        if after.isascii() and after.isdigit():
            return Busy(line, after=float(after), source=server.source, do=do)
        return (Expired if status == 410 else Unreachable)(line, source=server.source, do=do)
    if status == 401:
        return Refused(
            f"the API server {server.url} refused the credentials of {server.who} (401): they are expired or revoked",
            source=server.source,
            do=f"log in again, until this works: {server.kubectl} get --raw /version",
        )
    if of_kubernetes and body is not None:
        return _refusal(server, asked, status, body)
    if status == 404 and "text/plain" in response.headers.get("content-type", ""):
        return NotFound(asked, status, "NotFound", "the API server does not know this path")
    return Refused(
        f"what answers at {server.url} is no Kubernetes API server: {_described(response)}",
        source=server.source,
        do=f"correct the server's address, or log in where this leads: {server.kubectl} get --raw /version -v 6",
    )


def _refusal(server: Server, asked: Asked | AskedPath, status: int, body: dict[str, Any]) -> Exception:
    reason, message = str(body.get("reason", "")), _said(body)
    if status == 403:
        user = re.search(r'User "([^"]*)" cannot (\w+)', message)
        if user is None and asked.verb in ("create", "patch", "delete"):
            return NotJudged(Reason.ADMISSION, f"{asked} was not admitted: {message}", source=server.source)
        if user and isinstance(asked, Asked):
            asked = replace(asked, verb=user[2])  # a port-forward is a GET, and from 1.35 on needs the verb create
        kind, where = ("Role", f" in namespace {asked.namespace}") if asked.namespace else ("ClusterRole", "")
        return Forbidden(
            f"{server.who} may not {asked}: the rule {asked.rule} is missing",
            rule=asked.rule,
            source=server.source,
            do=f"bind {user[1] if user else 'the user'} to a {kind} with that rule{where}",
        )
    error = {404: NotFound, 409: Conflict}.get(status, ApiError)
    return error(asked, status, reason, message)


def _said(body: dict[str, Any] | None) -> str:
    text = str((body or {}).get("message") or (body or {}).get("reason") or "without a word")
    return masked(" ".join(text.split())[:300])


def _json(response: httpx.Response) -> dict[str, Any] | None:
    """The answer's JSON object, or None."""
    if "json" not in response.headers.get("content-type", ""):
        return None
    try:
        body = json.loads(response.content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _described(response: httpx.Response) -> str:
    """What came instead: the page's kind, and where a redirect leads."""
    if response.is_redirect:
        return f"it redirects ({response.status_code}) to {str(response.headers['location']).partition('?')[0]}"
    kind = response.headers.get("content-type", "").partition(";")[0] or "something without a content type"
    return f"it answers {response.status_code} with {kind}"
