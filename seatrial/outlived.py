"""Whether a container that was restarted stays this time: it is not told before it has outlived its last run."""

from __future__ import annotations

from datetime import datetime

from seatrial.kube import Object

SHORT = 20.0
"""Seconds: a run that ended sooner may be one of a crash loop; of a longer one nobody can wait for the next."""
ROUNDED = 2.0
"""Seconds by which a length may be wrong: Kubernetes tells whole seconds."""


def needed(status: Object) -> float:
    """Seconds that the container's present run must last to be another than its last one, by a ContainerStatus.

    None are where it was not restarted, or its last run ended well or was long.
    """
    last = status.get("lastState", {}).get("terminated") or {}
    if "running" not in status.get("state", {}) or not last.get("exitCode") or not last.get("startedAt"):
        return 0.0
    lasted = (_moment(last["finishedAt"]) - _moment(last["startedAt"])).total_seconds()
    return lasted + ROUNDED if lasted <= SHORT else 0.0


def age(status: Object, now: datetime) -> float:
    """Seconds since the present run began, by the API server's clock `now`, which need not be the node's."""
    began = (status.get("state", {}).get("running") or {}).get("startedAt")
    return (now - _moment(began)).total_seconds() if began else 0.0


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
