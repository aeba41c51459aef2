"""Addresses for pods, and who stands in their way."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections import deque
from pathlib import Path


class PodNetwork:
    """Hands out the host addresses of a network, e.g. ``127.7.1.0/24``; a released one is used again last."""

    def __init__(self, network: str) -> None:
        self._free = deque(str(address) for address in ipaddress.ip_network(network).hosts())

    def allocate(self) -> str:
        """A free address; `IndexError` when there is none."""
        return self._free.popleft()

    def release(self, address: str) -> None:
        """Give an address back."""
        self._free.append(address)


def holder(address: str, port: int) -> str | None:
    """Who keeps a new pod from listening on `address`:`port`, e.g. ``0.0.0.0:5000``; None when the port is free.

    A pod's address belongs to that pod alone, so it is somebody of this machine who listens on every address.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return None  # a privileged port, say: the program itself will tell
            return _listener(port)
    return None


def _listener(port: int) -> str:
    """The wildcard listener of a port as the kernel's tables show it."""
    local = f"{port:04X}"
    for table, wildcard, shown in (("tcp", "0" * 8, "0.0.0.0"), ("tcp6", "0" * 32, "[::]")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1] == f"{wildcard}:{local}" and fields[3] == "0A":  # 0A: LISTEN
                return f"{shown}:{port}"
    return f"another address on port {port}"
