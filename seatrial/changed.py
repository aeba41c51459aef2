"""What is under test must stay what it was at the run's start: what is judged across a change is judged of neither."""

from __future__ import annotations

import pytest

from seatrial import connect
from seatrial.kube import ApiError, Kube
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, NotJudged, Reason

ABOUT = frozenset({"release", "ground"})
"""Fixtures that a check asks for, directly or not, when what it says depends on what is installed."""


class Watch:
    """One for each process. It is asked after each check, and remembers a change: no later check is judged."""

    def __init__(self, config: pytest.Config, trial: Trial) -> None:
        self._config, self._trial = config, trial
        self._kube: Kube | None = None
        self.change = ""

    def look(self) -> str:
        """One line with what changed since the run's start, empty while nothing has.

        A look that nobody answers says nothing: the next one compares with the start, too.
        """
        if self.change or self._trial.identity is None:
            return self.change
        try:
            self.change = difference(self._trial.identity, self.now() or "")
        except (NotJudged, ApiError, AssertionError) as error:
            self._trial.record.event("identity", trouble=str(error))
        return self.change

    def now(self) -> str | None:
        """What is under test at this moment."""
        if self._kube is None:
            target = connect.target(self._trial)
            if not target.has_cluster:
                return None
            self._kube = connect.kube(self._trial.settings, target, self._trial.record)
        found: list[str] = self._config.hook.pytest_seatrial_identity(trial=self._trial, kube=self._kube)
        return "; ".join(found) or None

    def refuse(self) -> None:
        """`NotJudged` if there was a change."""
        if self.change:
            raise changed(self.change)

    def close(self) -> None:
        """Close the connections."""
        if self._kube is not None:
            self._kube.close()


def start(config: pytest.Config, trial: Trial) -> None:
    """In the controlling process, once the target is known: write down what is under test."""
    if not ABOUT & trial.needs:
        return
    watch = Watch(config, trial)
    try:
        trial.identity = watch.now()
    except BadSettings:
        raise
    except (NotJudged, ApiError, AssertionError) as error:
        trial.record.event("identity", trouble=str(error))
    else:
        trial.record.event("identity", identity=trial.identity)
    finally:
        watch.close()


def changed(line: str) -> NotJudged:
    """What a check becomes whose verdict would be about two things."""
    return NotJudged(Reason.CHANGED, line, do="run it again once nobody upgrades what is under test")


def difference(old: str, new: str) -> str:
    """One line: what is no longer as it was, and what it is now; empty if nothing is."""
    was, now = old.split("; "), new.split("; ")
    gone, come = [one for one in was if one not in now], [one for one in now if one not in was]
    if not gone and not come:
        return ""
    return (
        f"what is under test changed during the run: {', '.join(gone) or 'nothing'} -> {', '.join(come) or 'nothing'}"
    )
