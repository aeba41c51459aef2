"""What a product's broken answers mean, and in which words the user hears of them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import httpx

from seatrial.course import Course, Phase
from seatrial.mask import masked
from seatrial.network import chain, why
from seatrial.verdict import BadSettings, Cause, Refused, Unhealthy, Unreachable

_LOGIN = ("login", "signin", "sign-in", "sign_in", "logon", "oauth", "saml", "sso", "openid", "authorize", "/auth")
_EXPIRED = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""

_TROUBLES = {
    "refused": (
        "cannot be connected to: {reason}",
        "see whether its pods run, and whether address and port are right",
    ),
    "no-connection": (
        "accepts no connection within {seconds:g} s",
        "see whether its pods run, and whether a firewall or NetworkPolicy drops the way there",
    ),
    "silent": (
        "accepts the connection and does not answer within {seconds:g} s",
        "look at its log, and at what it waits for: database, cache, broker",
    ),
    "drips": (
        "begins to answer and does not end within {seconds:g} s",
        "look at its log, and at the proxies in between",
    ),
    "closes": (
        "closes the connection without an answer: {reason}",
        "look at its log for a crash or a restart, and at the proxies in between",
    ),
    "no-http": (
        "does not speak HTTP: {reason}",
        "see whether the port is that of the API",
    ),
    "breaks-off": (
        "breaks off in the middle of its answer",
        "look at its log for a crash or a restart, and at the proxies in between",
    ),
    "certificate": (
        "has a certificate that has expired",
        "renew its certificate",
    ),
    "ingress": (
        "answers {status} through what stands before it, an ingress or a proxy",
        "see whether the pods behind the ingress are ready, and whether it points to them",
    ),
    "html": (
        "answers {status} with an HTML page, not as an API",
        "see whether the address is that of the API: a front page or another service may stand there",
    ),
    "malformed": (
        "answers {status} with truncated or malformed JSON",
        "look at its log, and at limits of the proxies in between",
    ),
    "no-json": (
        "answers {status} without JSON",
        "look at its log, and whether the address is that of the API",
    ),
}
"""The last part of a cause's key: what follows "the gateway at …", and what the operator can do."""


class Answered(Unhealthy):
    """The product did answer, with a status from 500 on, and its log says why."""


class Product(NamedTuple):
    """Who is called, as messages name it; `source` of the address, `seen_from` where we stand."""

    name: str
    url: str
    source: str
    seen_from: str

    def __str__(self) -> str:
        return f"the {self.name} at {self.url}"

    def unhealthy(self, trouble: str, *evidence: str, **details: Any) -> Unhealthy:
        """The cause in the row `trouble` of the table, with its `details` filled in."""
        line, do = _TROUBLES[trouble]
        return Unhealthy(
            Cause(
                f"{self.name}/{trouble}",
                f"{self} {line.format(**details)}; address from {self.source}, seen from {self.seen_from}",
                evidence=evidence,
                do=do,
                look=f"curl -v {self.url}/",
            )
        )


@dataclass(frozen=True)
class Answer:
    """A whole answer: `status`, `headers` (names in any case), `text`; `asked` says what it answers.

    `is_json` tells whether `data`, the decoded JSON, is there; `content` is the text's bytes.
    """

    product: Product
    asked: str
    status: int
    headers: Mapping[str, str]
    text: str
    is_json: bool = False
    data: Any = None
    content: bytes = b""

    def json(self) -> Any:
        """The decoded JSON; `Unhealthy` if the answer is something else."""
        if not self.is_json:
            raise self.product.unhealthy("no-json", self.evidence, status=self.status)
        return self.data

    def expect(self, *statuses: int) -> Self:
        """This answer; AssertionError unless its status is one of `statuses`."""
        expected = " or ".join(map(str, statuses))
        assert self.status in statuses, f"{self.asked} answered {self.status}, not {expected}: {self.said}"
        return self

    @property
    def said(self) -> str:
        """The beginning of its text, on one line."""
        return masked(" ".join(self.text.split())[:300]) or "(an empty body)"

    @property
    def evidence(self) -> str:
        """What was asked and answered, on one line."""
        server = f" from {self.headers['server']}" if "server" in self.headers else ""
        return f"{self.asked}: {self.status}{server}: {self.said}"


def broken(product: Product, asked: str, error: httpx.RequestError, course: Course, seconds: float) -> Exception:
    """What a call tells that ended without a whole answer: `asked` what, `seconds` it had."""
    reason = why(error)
    tls = next((link for link in chain(error) if isinstance(link, ssl.SSLError)), None)
    evidence = f"{asked}: {course.phase}: {reason}"
    match error:
        case httpx.ProxyError():
            return Refused(
                f"the HTTP proxy does not let us through to {product.url}: {reason}",
                source="HTTP_PROXY, HTTPS_PROXY (environment)",
                do="correct the proxy, or name the address in NO_PROXY",
            )
        case _ if reason == "the name does not resolve":
            return Unreachable(
                f"the name in {product.url} does not resolve, seen from {product.seen_from}",
                source=product.source,
                do="name an address that resolves here; a cluster name resolves only in its cluster",
            )
        case _ if getattr(tls, "verify_code", None) == _EXPIRED:
            return product.unhealthy("certificate", evidence)
        case _ if tls and course.phase is Phase.SECURING:
            return BadSettings(
                f"no TLS connection to {product.url}: {reason}",
                source=product.source,
                do="name its certificate authority with CA_BUNDLE, or correct scheme and host of the address",
            )
        case _:
            trouble = _trouble(error, course)
            return product.unhealthy(trouble, evidence, seconds=seconds, reason=reason)


def _trouble(error: httpx.RequestError, course: Course) -> str:
    """The row of `_TROUBLES` for a connection that nobody else is to blame for."""
    late = course.over or isinstance(error, httpx.TimeoutException)
    if course.phase is Phase.CONNECTING:
        return "no-connection" if late else "refused"
    if course.phase is Phase.READING:
        return "drips" if late else "breaks-off"
    if late:
        return "silent"
    spoke = isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error)
    return "no-http" if spoke else "closes"


def failure(answer: Answer, token_source: str | None) -> Exception | None:
    """The exception for an answer that is not the product's or refuses our token, None for any other.

    `token_source`: where the token came from that was sent; None where it was not ours to be accepted.
    """
    if 300 <= answer.status < 400 and "location" in answer.headers:
        return _redirected(answer)
    if answer.status in (401, 403):
        if token_source is None:
            return None
        return Refused(
            f"{answer.product} refused our token ({answer.status}): {answer.said}",
            source=token_source,
            do="give a token that it accepts; this one may have expired",
        )
    if answer.is_json:
        return None
    kind = answer.headers.get("content-type", "")
    if answer.status in (502, 503, 504):
        trouble = "ingress"
    elif "html" in kind or answer.text[:200].lstrip().lower().startswith(("<!doctype html", "<html")):
        trouble = "html"
    elif "json" in kind:
        trouble = "malformed"
    else:
        return None
    return answer.product.unhealthy(trouble, answer.evidence, status=answer.status)


def _redirected(answer: Answer) -> Exception | None:
    ours = httpx.URL(answer.product.url)
    there = ours.join(answer.headers["location"])
    shown = str(there.copy_with(query=None, fragment=None, userinfo=b""))
    if any(word in (there.host + there.path).lower() for word in _LOGIN):
        return Refused(
            f"{answer.asked} is redirected ({answer.status}) to a login page, {shown}",
            source=answer.product.source,
            do="name an address that is not behind the login, such as the cluster's own",
        )
    if (there.scheme, there.host) != (ours.scheme, ours.host):
        return BadSettings(
            f"{answer.asked} is redirected ({answer.status}) to {shown}",
            source=answer.product.source,
            do="name the address that it leads to",
        )
    return None
