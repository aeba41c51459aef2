"""A pod's phase and conditions, from the statuses of its containers, as the kubelet works them out."""

from __future__ import annotations

from sandbox.client import Object

from .timestamps import now


def phase(init: list[Object], main: list[Object], restart_policy: str, *, terminal: bool) -> str:
    """Pending, Running, Succeeded or Failed; `terminal`: the pod is being deleted and all of it has ended."""
    exits = [status["state"].get("terminated") for status in main]
    succeeded = [exit_ for exit_ in exits if exit_ and exit_["exitCode"] == 0]
    if terminal:
        return "Succeeded" if len(succeeded) == len(main) else "Failed"
    for status in init:
        ended = status["state"].get("terminated")
        if ended and ended["exitCode"] and restart_policy == "Never":
            return "Failed"
        if not ended or ended["exitCode"]:
            return "Pending"
    if any("waiting" in status["state"] and not status["lastState"] for status in main):
        return "Pending"
    if any("running" in status["state"] for status in main) or restart_policy == "Always":
        return "Running"
    if len(succeeded) == len(main):
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def conditions(
    before: list[Object], init: list[Object], main: list[Object], phase: str, *, in_place: bool
) -> list[Object]:
    """The five conditions; `before` lends the times of those whose status has not changed."""
    completed = {"reason": "PodCompleted"} if phase == "Succeeded" else {}
    uninitialized = [each["name"] for each in init if each["state"].get("terminated", {}).get("exitCode") != 0]
    unready = [each["name"] for each in main if not each["ready"]]
    not_ready = completed or _unmet("ContainersNotReady", "unready", unready)
    return [
        _condition(before, "PodReadyToStartContainers", in_place, {}),
        _condition(
            before,
            "Initialized",
            not uninitialized,
            completed or _unmet("ContainersNotInitialized", "incomplete", uninitialized),
        ),
        _condition(before, "Ready", not unready, not_ready),
        _condition(before, "ContainersReady", not unready, not_ready),
        _condition(before, "PodScheduled", True, {}),
    ]


def _unmet(reason: str, adjective: str, names: list[str]) -> Object:
    if not names:
        return {}
    return {"reason": reason, "message": f"containers with {adjective} status: [{' '.join(names)}]"}


def _condition(before: list[Object], kind: str, met: bool, why: Object) -> Object:
    value = "True" if met else "False"
    old = next((each for each in before if each["type"] == kind and each["status"] == value), None)
    since = (old or {}).get("lastTransitionTime") or now()
    return {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": since, **why}
