"""A port to tell a child to listen on."""

import errno
import random
import socket
from pathlib import Path

FIRST = 10000


def free_port(host: str) -> int:
    """A TCP port that is free on `host`, and stays so until the child is there. OSError: no such address.

    It is below those that the kernel gives to connections and to listeners on port 0.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(FIRST, max(ephemeral, FIRST + 1000))
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
        return port
