"""What one phase of a check came to: the verdict with everything the reports need to say why."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from seatrial.mask import masked, masked_data
from seatrial.verdict import Blocked, Cause, NotApplicable, NotJudged, Reason, Unhealthy, Verdict, judge

_RANK = [Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.ERROR, Verdict.BLOCKED, Verdict.FAIL]


@dataclass(frozen=True)
class Outcome:
    """`line` says it in one sentence; `reason` is set for errors; `trace` only where a bug of ours must be found."""

    verdict: Verdict
    line: str = ""
    reason: Reason | None = None
    source: str = ""
    do: str = ""
    cause: Cause | None = None
    trace: str = ""

    @classmethod
    def of(cls, when: str, excinfo: pytest.ExceptionInfo[BaseException] | None) -> Outcome:
        """The outcome of a phase (``setup``, ``call``, ``teardown``) that ended with `excinfo`, or without."""
        error = None if excinfo is None else excinfo.value
        verdict = judge(when, error)
        match error:
            case None:
                return cls(verdict)
            case NotApplicable():
                return cls(verdict, error.fact)
            case Blocked() | Unhealthy() if verdict is not Verdict.ERROR:
                return cls(verdict, error.cause.line, do=error.cause.do, cause=error.cause)
            case NotJudged():
                return cls(verdict, error.line, error.reason, error.source, error.do)
            case AssertionError() if verdict is not Verdict.ERROR:
                return cls(verdict, _assertion(str(error)))
            case pytest.skip.Exception():
                return cls(verdict, f"a bare skip says nothing: {error}", Reason.BUG)
            case pytest.fail.Exception() if str(error).startswith("Timeout"):
                return cls(verdict, f"{error}: the last net, a wait of ours had no end", Reason.BUG)
            case _:
                line = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                place = "" if when == "call" else f" in {when}"
                place += _where(excinfo)
                trace = "" if excinfo is None else str(excinfo.getrepr(style="short"))
                return cls(verdict, f"a bug of ours{place}: {line}", Reason.BUG, trace=trace)

    @classmethod
    def error(cls, error: NotJudged) -> Outcome:
        """The outcome of what could not be judged, though no phase raised it."""
        return cls(Verdict.ERROR, error.line, error.reason, error.source, error.do)

    def worse(self, other: Outcome | None) -> Outcome:
        """The one of two outcomes that the check is remembered for."""
        return self if other is None or _RANK.index(self.verdict) > _RANK.index(other.verdict) else other

    def text(self) -> str:
        """What pytest, JUnit and a log show, masked."""
        lines = [f"{self.verdict}{f' ({self.reason})' if self.reason else ''}: {self.line}"]
        if self.cause:
            lines += [f"  evidence  {line}" for line in self.cause.evidence]
            lines += [f"  look      {self.cause.look}"] if self.cause.look else []
        lines += [f"  source    {self.source}"] if self.source else []
        lines += [f"  do        {self.do}"] if self.do else []
        return masked("\n".join([*lines, self.trace] if self.trace else lines))

    def data(self) -> dict[str, Any]:
        """As plain data, to travel with a pytest report from a worker to the controller; masked."""
        found: dict[str, Any] = masked_data({**asdict(self), "verdict": self.verdict.value})
        return found

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Outcome:
        """The outcome that `data()` was made of."""
        cause = data["cause"]
        return cls(
            **{
                **data,
                "verdict": Verdict(data["verdict"]),
                "reason": Reason(data["reason"]) if data["reason"] else None,
                "cause": Cause(**{**cause, "evidence": tuple(cause["evidence"])}) if cause else None,
            }
        )


def _where(excinfo: pytest.ExceptionInfo[BaseException] | None) -> str:
    """The last line of ours that the exception passed through."""
    frames = [one for one in (excinfo.traceback if excinfo else ()) if "site-packages" not in str(one.path)]
    return f" at {Path(frames[-1].path).name}:{frames[-1].lineno + 1}" if frames else ""


def _assertion(text: str) -> str:
    """An assertion's message in one paragraph; where it has no words, pytest's explanation of the comparison."""
    first, *rest = text.strip().splitlines() or ["an assertion without words"]
    if not first.startswith("assert "):  # our own words; what pytest adds to them only repeats the values
        rest = list(itertools.takewhile(lambda line: not line.startswith("assert "), rest))
    return " ".join(line.strip() for line in [first, *rest[:5]])
