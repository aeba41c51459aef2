"""How this machine reaches others, the same for both clients: proxies, trusted authorities, and what went wrong."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import certifi

from seatrial.verdict import BadSettings

_CLUSTER_SUFFIXES = (".svc", ".cluster.local")


def proxy_for(url: str, given: str | None = None) -> str | None:
    """The HTTP proxy on the way to `url`: `given` (a kubeconfig's) or the environment's; None is the direct way.

    Loopback and cluster names never go through one: no proxy knows them. NO_PROXY holds for the environment's alone,
    as in kubectl, and may name networks (``10.0.0.0/8``).
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_loopback(host) or _is_of_cluster(host):
        return None
    if given:
        return given
    known = getproxies_environment()
    if proxy_bypass_environment(parts.netloc.rpartition("@")[2]) or _is_in(host, known.get("no", "")):
        return None
    return known.get(parts.scheme) or known.get("all")


def trusted(*bundles: Path | str | None, public: bool = True) -> ssl.SSLContext:
    """Trusts the certificates in `bundles` (PEM; None is none), and this machine's and the public ones if `public`."""
    # create_default_context() is stricter from Python 3.13 on than kubectl or curl are with a private authority.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if public:
        context.load_default_certs()
        context.load_verify_locations(certifi.where())
    for bundle in bundles:
        if bundle is None:
            continue
        try:
            context.load_verify_locations(bundle)
        except (OSError, ssl.SSLError) as error:
            why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise BadSettings(
                f"the certificates in {bundle} cannot be used: {why}", do="name a file with the authority's PEM"
            ) from None
    return context


def chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it came from, the outermost first."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def why(error: BaseException) -> str:
    """A few words on what broke a connection."""
    for link in chain(error):
        match link:
            case socket.gaierror():
                return "the name does not resolve"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {link.verify_message}"
            case ssl.SSLError():
                return f"no TLS: {(link.reason or str(link)).replace('_', ' ').lower()}"
            case TimeoutError():
                return "timed out"
            case OSError() if link.strerror:
                return link.strerror.lower()
    first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return first[:1].lower() + first[1:]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_of_cluster(host: str) -> bool:
    return not set(host) & {".", ":"} or host.endswith(_CLUSTER_SUFFIXES)


def _is_in(host: str, networks: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for network in networks.split(","):
        try:
            if address in ipaddress.ip_network(network.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False
