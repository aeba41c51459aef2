"""A secret, and the gateway's token: where it comes from, and how to get a fresh one."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.mask import MASK, hide, masked
from seatrial.verdict import BadSettings

COMMAND_TIMEOUT = 60.0
"""Seconds after which a command that should print a token is given up."""


class Secret:
    """A text that neither `str`, `repr`, a format nor a log shows; from now on it is masked in every text, too."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        hide(text)
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __str__(self) -> str:
        return MASK

    __repr__ = __str__


@dataclass
class Token:
    """The gateway's token. It is read at the first use, once; one from a file or a command can be fetched again.

    At most one of `given`, `file` and `command` is set; `source` says where that came from.
    """

    given: Secret | None = None
    file: Path | None = None
    command: tuple[str, ...] | None = None
    source: str = ""
    _fetched: Secret | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def value(self) -> Secret:
        """The token; `BadSettings` if nobody gave one, or if it cannot be fetched."""
        with self._lock:
            if self._fetched is None:
                self._fetched = self._fetch()
            return self._fetched

    def refetch(self, refused: Secret) -> bool:
        """Whether there is another token now than the one the gateway `refused`; asks the file or the command once."""
        if self.given is not None:
            return False
        with self._lock:
            if self._fetched is None or self._fetched.reveal() == refused.reveal():
                self._fetched = self._fetch()
            return self._fetched.reveal() != refused.reveal()

    def _fetch(self) -> Secret:
        if self.given is not None:
            return self._usable(self.given.reveal())
        if self.file is not None:
            return self._usable(self._read(self.file))
        if self.command is not None:
            return self._usable(self._ask(self.command))
        raise BadSettings(
            "no token for the gateway",
            do="export AUTH_TOKEN, or set auth_token_file or auth_token_command in seatrial.yaml",
        )

    def _read(self, file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise BadSettings(
                f"the token cannot be read from {file}: {why}", source=self.source, do="name a file that holds it"
            ) from None

    def _ask(self, command: tuple[str, ...]) -> str:
        what = masked(f"the command for the token, {command[0]},")
        do = "run it by hand; it must print the token and end with 0"
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=COMMAND_TIMEOUT,
                check=False,
            )
        except OSError as error:
            raise BadSettings(f"{what} cannot be started: {error.strerror}", source=self.source, do=do) from None
        except subprocess.TimeoutExpired:
            line = f"{what} did not end within {COMMAND_TIMEOUT:g} s"
            raise BadSettings(line, source=self.source, do=do) from None
        if done.returncode:
            said = masked(done.stderr.strip().splitlines()[-1]) if done.stderr.strip() else "without a word"
            raise BadSettings(f"{what} ended with {done.returncode}: {said}", source=self.source, do=do)
        return done.stdout

    def _usable(self, text: str) -> Secret:
        """A token goes into one header: no blank, no line break, nothing beyond ASCII."""
        token = text.strip()
        do = "give the token alone, without Bearer and without quotes"
        if not token:
            raise BadSettings("the token is empty", source=self.source, do=do)
        if not token.isascii() or not token.isprintable() or " " in token:
            raise BadSettings("the token holds a blank or a character that no header can", source=self.source, do=do)
        return Secret(token)
