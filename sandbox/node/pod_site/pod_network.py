"""The network as a pod sees it, for Python's sockets: one address is everything local, and Services have names.

C libraries that resolve names themselves (libpq, libcurl) see none of this: they are given addresses.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from typing import Any

ADDRESS = NAME = NAMESPACE = ""  # of the pod, see `identify`
SERVICES = os.environ["SANDBOX_SERVICES"]
EGRESS = os.path.join(os.path.dirname(SERVICES), "egress.json")
NAMES = os.path.join(os.path.dirname(SERVICES), "names.json")

WILDCARD = ("", "0.0.0.0", "::", None)
LOCAL = ("localhost", "127.0.0.1", "::1")

_getaddrinfo = socket.getaddrinfo
_bind, _connect, _connect_ex = socket.socket.bind, socket.socket.connect, socket.socket.connect_ex


def service(name: str) -> dict[str, Any] | None:
    """The entry of ``services.json`` for ``svc``, ``svc.ns``, ``svc.ns.svc`` or ``svc.ns.svc.cluster.local``."""
    parts = name.rstrip(".").removesuffix(".cluster.local").removesuffix(".svc").split(".")
    namespace = parts[1] if len(parts) == 2 else NAMESPACE
    with open(SERVICES) as file:
        return json.load(file).get(f"{namespace}/{parts[0]}") if len(parts) <= 2 else None


def outside() -> dict[str, Any]:
    """What has a name outside the cluster, in the form of ``services.json``."""
    try:
        with open(NAMES) as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def resolve(host: str) -> str:
    """The address of a name; an address is its own. Nothing outside the sandbox has a name here."""
    if host in WILDCARD or host in LOCAL or host == NAME:
        return ADDRESS
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        entry = service(host) or outside().get(host)
        if entry is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        return str(entry["address"])
    return host


def real_port(address: str, port: int) -> int:
    """Where a Service's port is really listened on."""
    with open(SERVICES) as file:
        entries = [*json.load(file).values(), *outside().values()]
    plain = address.removeprefix(_mapped(""))
    ports: dict[str, int] = next((entry["ports"] for entry in entries if entry["address"] == plain), {})
    return ports.get(str(port), port)


def hole(address: str, port: int) -> tuple[str, int] | None:
    """Where a connection goes that network policies do not allow; None when they do."""
    try:
        with open(EGRESS) as file:
            table = json.load(file)
    except FileNotFoundError:  # nobody there looks at policies
        return None
    allowed = table["pods"].get(f"{NAMESPACE}/{NAME}")
    target = ipaddress.ip_address(address.removeprefix(_mapped("")))
    if allowed is None or str(target) == ADDRESS or any(_within(target, port, each) for each in allowed):
        return None
    return table["hole"][0], table["hole"][1]


def _within(target: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, allowed: dict[str, Any]) -> bool:
    return (
        target in ipaddress.ip_network(allowed["cidr"])
        and not any(target in ipaddress.ip_network(each) for each in allowed["except"])
        and ("ports" not in allowed or port in allowed["ports"])
    )


def _mapped(address: str) -> str:
    """A pod's address is of version 4; this is how a socket of version 6 says it."""
    return f"::ffff:{address}"


def _place(sock: socket.socket, address: Any, *, local: bool) -> Any:
    """`address` as this machine knows it; `local`: of this pod, else of a peer."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return address
    host, port = resolve(address[0]), address[1]
    if not local:
        host, port = hole(host, port) or (host, real_port(host, port))
    if sock.family == socket.AF_INET:
        return host, port
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return host if ":" in host else _mapped(host), port


def bind(self: socket.socket, address: Any) -> None:
    _bind(self, _place(self, address, local=True))


def connect(self: socket.socket, address: Any) -> None:
    _connect(self, _place(self, address, local=False))


def connect_ex(self: socket.socket, address: Any) -> int:
    return _connect_ex(self, _place(self, address, local=False))


def getaddrinfo(host: Any, port: Any, family: int = 0, *arguments: Any, **options: Any) -> Any:
    address = resolve(host.decode() if isinstance(host, bytes) else host)
    if family == socket.AF_INET6 and ":" not in address:
        address = _mapped(address)
    return _getaddrinfo(address, port, family, *arguments, **options)


def gethostbyname(host: str) -> str:
    return resolve(host)


def gethostbyaddr(host: str) -> tuple[str, list[str], list[str]]:
    if resolve(host) != ADDRESS:
        raise socket.herror(1, "Unknown host")
    return NAME, [], [ADDRESS]


def gethostname() -> str:
    return NAME


def identify() -> None:
    """Be the pod of the environment."""
    global ADDRESS, NAME, NAMESPACE
    ADDRESS, NAME, NAMESPACE = (os.environ[f"POD_{what}"] for what in ("IP", "NAME", "NAMESPACE"))


def install() -> None:
    """Put these in the places of the standard library's."""
    identify()
    for method in (bind, connect, connect_ex):
        setattr(socket.socket, method.__name__, method)
    for function in (getaddrinfo, gethostbyname, gethostbyaddr, gethostname):
        setattr(socket, function.__name__, function)
