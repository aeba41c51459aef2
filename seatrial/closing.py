"""What is closed when its ``with`` ends."""

from __future__ import annotations

import abc
from typing import Self


class Closing(abc.ABC):
    """A context manager whose end is its `close`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close what is open; closing twice does no harm."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
