"""Whether the gateway that was given can be found from here at all."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from seatrial.network import proxy_for
from seatrial.settings import Settings
from seatrial.verdict import BadSettings


def check_resolves(settings: Settings) -> None:
    """`BadSettings` if the name in ``gateway_url`` does not resolve: on a laptop the runbook's cluster name does not.

    Asks this machine's resolver, nobody else; behind an HTTP proxy the proxy resolves.
    """
    url = settings.gateway_url
    if url is None or proxy_for(url):
        return
    host = urlsplit(url).hostname or ""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        if settings.no_cluster:
            do = "kubectl port-forward its Service, then GATEWAY_URL=http://localhost:<the local port>"
        else:
            do = "leave GATEWAY_URL away: the suite opens a port-forward itself"
        raise BadSettings(
            f"{host} does not resolve from here: {error.strerror}", source=settings.source("gateway_url"), do=do
        ) from None
