"""What is wrong with Redis, by what its clients say, and by the codes of its own replies."""

from __future__ import annotations

import re
from collections.abc import Iterable

from seatrial.kube import Kube
from seatrial.model_engine.configuration import Configuration
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health.signs import Sign, by_code, ending, first
from seatrial.verdict import Cause, Refused

_PASSWORD = "correct the password in the release's configuration, then restart gateway, builder and cacher"
SIGNS = (
    Sign("wrongpass", ("WRONGPASS", "invalid username-password pair"), "Redis at {at} refuses the password", _PASSWORD),
    Sign(
        "auth",
        ("without any password configured",),
        "the release gives a password to Redis at {at}, which has none",
        "take the password out of the release's configuration, or give Redis one",
    ),
    Sign("noauth", ("NOAUTH", "Authentication required"), "Redis at {at} wants a password", _PASSWORD),
    Sign(
        "noperm",
        ("NOPERM", "NoPermissionError", "has no permissions"),
        "Redis at {at} does not let the release do what it must",
        "give the release's user the rights to read and write, see ACL LIST",
    ),
    Sign("loading", ("LOADING", "BusyLoadingError"), "Redis at {at} is still loading its data", "wait until it has"),
    Sign(
        "readonly",
        ("READONLY", "ReadOnlyError", "against a read only replica"),
        "Redis at {at} is read-only: a replica",
        "name the primary in the release's configuration",
    ),
    Sign("oom", ("OOM command not allowed",), "Redis at {at} is out of memory", "give it more, or an eviction policy"),
    Sign(
        "tls",
        ("CERTIFICATE_VERIFY_FAILED", "SSL:", "WRONG_VERSION_NUMBER"),
        "no TLS connection to Redis at {at} comes about",
        "redis:// and rediss:// in the configuration must be as the server has it",
    ),
    Sign(
        "refused",
        ("Error 111 connecting", "Connection refused"),
        "Redis at {at} refuses connections",
        "see whether it runs, and whether host and port are right",
    ),
    Sign(
        "dns",
        ("Error -2 connecting", "Error -3 connecting", "Error -5 connecting", "Name or service not known"),
        "the name in Redis' address {at} does not resolve",
        "correct the host in the release's configuration",
    ),
    Sign(
        "timeout",
        ("Timeout connecting", "Error 110 connecting", "Timeout reading"),
        "Redis at {at} does not answer",
        "see whether a firewall, security group or NetworkPolicy drops the way there",
    ),
    Sign(
        "silent",
        (),
        "Redis at {at} accepts the connection and does not answer",
        "see its log, and whether it wants TLS",
    ),
    Sign("unreachable", (), "there is no way to Redis at {at}", "see routes, firewalls and NetworkPolicies"),
    Sign(
        "closed",
        ("Connection closed by server", "Connection reset by peer"),
        "Redis at {at} closes the connection",
        "see its log, and whether it wants TLS",
    ),
)
_OF_REDIS = re.compile(
    r"redis\.exceptions\.|Error -?\d+ connecting to |redis(?:s)?://|\bNOAUTH\b|\bWRONGPASS\b|\bNOPERM\b"
)
_ADDRESS = re.compile(r"connecting to ([\w.-]+:\d+)|rediss?://(?:[^\s/@]*@)?([\w.-]+:\d+)")


def is_of(text: str) -> bool:
    """Whether `text` ends with an exception of Redis' client."""
    return bool(_OF_REDIS.search(ending(text)))


def told(text: str, at: str, evidence: Iterable[str] = (), look: str = "") -> Cause | None:
    """The cause that an exception's `text` tells of, if it is of Redis; `at` is used where the text has no address."""
    last = ending(text)
    sign = first(SIGNS, last) if is_of(text) else None
    if sign is None:
        return None
    found = _ADDRESS.search(last)
    return sign.cause("redis", (found[1] or found[2]) if found else at, evidence, look)


def replied(code: str, at: str, evidence: Iterable[str] = (), look: str = "") -> Cause:
    """The cause of a `code`: a probe's, or the first word of Redis' own error reply."""
    sign = by_code(SIGNS, code) or Sign(code.lower(), (), f"Redis at {{at}} answers {code}", "see its log")
    return sign.cause("redis", at, evidence, look)


def cache(kube: Kube, release: Release) -> str:
    """The cache's address, ``host:port``; "its address" where we may not read the configuration that has it."""
    try:
        found = Configuration.of_release(kube, release.components["gateway"]).cache_redis
    except (Refused, AssertionError):
        found = None
    return found.at if found else "its address"
