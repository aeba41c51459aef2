"""The address range of one sandbox: a 127.S.0.0/16 that no other sandbox on this machine uses."""

from __future__ import annotations

import errno
import socket

RANGES = range(2, 255)


class Claim:
    """Holds the first free S in 2..254 for as long as the object lives and is not closed.

    The claim is a bound abstract Unix socket, ``\\0seatrial-127.S``: it is seen across users, and the kernel frees it
    with the process that holds it, SIGKILL included. Raises `OSError` (EADDRINUSE) when every range is taken.
    """

    def __init__(self) -> None:
        for number in RANGES:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                self._socket.bind(f"\0seatrial-127.{number}")
            except OSError:
                self._socket.close()
            else:
                self.number = number
                return
        raise OSError(errno.EADDRINUSE, f"all {len(RANGES)} address ranges 127.S.0.0/16 are claimed by other sandboxes")

    def address(self, third: int, fourth: int) -> str:
        """``127.S.third.fourth``."""
        return f"127.{self.number}.{third}.{fourth}"

    def network(self, third: int) -> str:
        """``127.S.third.0/24``."""
        return f"{self.address(third, 0)}/24"

    def close(self) -> None:
        """Give the range back."""
        self._socket.close()
