"""What a run can find out about a check, and the exceptions that say so.

AssertionError              the deployment should, and does not         fail in a body, blocked in a set-up
└── Unhealthy(cause)        … and this is why
Blocked(cause)              it failed in an earlier step, and stands in the check of that step
NotApplicable(fact)         a positive fact: there is nothing here to judge
NotJudged(reason, line)     could not be judged here and now            error
├── BadSettings             what the user gave does not fit; before anything runs it is exit 4
├── Refused                 we are not let in, or lack a right
└── Unreachable             nobody answers: the API server is gone; for a while that is only "not yet"
anything else               a bug of ours                               error
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import pytest


class Verdict(enum.StrEnum):
    """The one thing the record says about each collected check."""

    PASS = "pass"
    FAIL = "fail"
    BLOCKED = "blocked"
    ERROR = "error"
    NOT_APPLICABLE = "not applicable"


class Reason(enum.StrEnum):
    """Why a check is an *error*: it could not be judged."""

    SETTINGS = "settings"
    PERMISSION = "permission"
    UNREACHABLE = "unreachable"
    ADMISSION = "admission"
    BUSY = "busy"
    CHANGED = "changed"
    TOOL = "tool"
    WORKER = "worker"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    BUG = "bug"


@dataclass(frozen=True)
class Cause:
    """Why something does not hold, as a health function found it.

    `key` names the kind of trouble and its object (``pod.image-pull/models/x``): the same cause met twice is printed
    once. `line` says it in one sentence, `evidence` quotes what was seen, `certain` is False where the evidence only
    suggests it. `settle`: seconds it must hold before a wait ends by it: None for the setting of that name, 0 where
    nothing can mend it any more, ``math.inf`` where it only explains and never ends a wait. `alike`: what it shares
    with the same trouble of other objects: once a wait of the run has ended by one of them, it need not hold again.
    `do` and `look` are for the operator: what to do, and one command to copy.
    """

    key: str
    line: str
    evidence: tuple[str, ...] = ()
    certain: bool = True
    settle: float | None = None
    alike: str = ""
    do: str = ""
    look: str = ""


class Unhealthy(AssertionError):
    """The deployment should and does not, and the cause is known."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.line)
        self.cause = cause


class Blocked(Exception):
    """What an earlier step left behind keeps this one from being judged: blocked, wherever it is raised."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.line)
        self.cause = cause


class NotApplicable(pytest.skip.Exception):  # type: ignore[misc, name-defined]
    """There is nothing here to judge, by a positive fact or an option the user gave; the only skip that is one."""

    def __init__(self, fact: str) -> None:
        super().__init__(fact, _use_item_location=True)
        self.fact = fact


class NotJudged(Exception):
    """Could not be judged: `line` says what, `source` where the value in question came from, `do` what to do."""

    def __init__(self, reason: Reason, line: str, *, source: str = "", do: str = "") -> None:
        super().__init__(line)
        self.reason, self.line, self.source, self.do = reason, line, source, do

    @property
    def whole(self) -> str:
        """All of it in one line."""
        source = f" ({self.source})" if self.source else ""
        return f"{self.line}{source}{f'; {self.do}' if self.do else ''}"


class BadSettings(NotJudged):
    """A setting is missing, malformed, or names a target that does not exist."""

    def __init__(self, line: str, *, source: str = "", do: str = "") -> None:
        super().__init__(Reason.SETTINGS, line, source=source, do=do)


class Refused(NotJudged):
    """The API server, the gateway or what stands before them does not let us in."""

    def __init__(self, line: str, *, source: str = "", do: str = "") -> None:
        super().__init__(Reason.PERMISSION, line, source=source, do=do)


class Unreachable(NotJudged):
    """The API server does not answer, or says it cannot now; a wait rides it out for a while."""

    def __init__(self, line: str, *, source: str = "", do: str = "") -> None:
        super().__init__(Reason.UNREACHABLE, line, source=source, do=do)


def judge(when: str, error: BaseException | None) -> Verdict:
    """The verdict of one phase (``setup``, ``call``, ``teardown``) of a check that ended with `error`, or without."""
    match error:
        case None:
            return Verdict.PASS
        case NotApplicable():
            return Verdict.NOT_APPLICABLE
        case Blocked():
            return Verdict.BLOCKED
        case AssertionError() if when == "call":
            return Verdict.FAIL
        case AssertionError() if when == "setup":
            return Verdict.BLOCKED
        case _:
            return Verdict.ERROR
