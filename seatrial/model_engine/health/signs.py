"""Signs of trouble in what programs say, as rows of data: words in an exception's text, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from seatrial.verdict import Cause

LONGEST = 400
"""Characters of a log line that are quoted."""
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Configured|Timeout|Refused|Violation)\w*\b", re.M)


@dataclass(frozen=True)
class Sign:
    """Any of `words` means `code`; `line` says it in a sentence with ``{at}`` in it, `do` what the operator can do."""

    code: str
    words: tuple[str, ...]
    line: str
    do: str

    def cause(self, service: str, at: str, evidence: Iterable[str] = (), look: str = "") -> Cause:
        """The cause, its key ``<service>.<code>/<at>``."""
        quoted = tuple(one[:LONGEST] for one in evidence)
        return Cause(f"{service}.{self.code}/{at}", self.line.format(at=at), evidence=quoted, do=self.do, look=look)


def first(signs: Iterable[Sign], text: str) -> Sign | None:
    """The first row that one of its words stands in `text` of."""
    lowered = text.lower()
    return next((one for one in signs if any(word.lower() in lowered for word in one.words)), None)


def by_code(signs: Iterable[Sign], code: str) -> Sign | None:
    """The row of a code."""
    return next((one for one in signs if one.code == code.lower()), None)


def ending(text: str) -> str:
    """The exception that a traceback ends with, its text included; all of a text without one."""
    found = list(_EXCEPTION.finditer(text))
    return text[found[-1].start() :] if found else text
