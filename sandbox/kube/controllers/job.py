"""Jobs: pods until enough of them have succeeded, or too many have failed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sandbox import clock
from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers import pods
from sandbox.kube.controllers.loop import ControlLoop, Item
from sandbox.kube.objects import (
    Object,
    condition_is,
    controller_uid,
    get,
    is_deleting,
    is_terminal,
    name_of,
    timestamp,
    with_condition,
)
from sandbox.kube.recorder import record
from sandbox.kube.resources import JOBS, PODS
from sandbox.kube.store import Event

COMPONENT = "job-controller"
# Seconds before a failed pod's successor: doubled with each failure, up to the longest.
BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 10, 360


@dataclass(frozen=True)
class End:
    """How a Job ends: the interim condition, the final one, and both conditions' reason and message."""

    interim: str
    final: str
    reason: str
    message: str


COMPLETE = End("SuccessCriteriaMet", "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
FAILED = End("FailureTarget", "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
LATE = End("FailureTarget", "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
BY_REASON = {end.reason: end for end in (COMPLETE, FAILED, LATE)}


class JobController(ControlLoop):
    """Runs each Job to its end, and removes it after ``ttlSecondsAfterFinished``."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        # By the Job's uid and the pod's: how each pod ended. It counts after the pod is gone, too.
        self._ended: dict[str, dict[str, str]] = {}
        self._failed_at: dict[str, float] = {}

    def concerns(self, event: Event) -> Iterable[Item]:
        if event.key == JOBS.key:
            if event.type == "DELETED":
                self._ended.pop(event.object["metadata"]["uid"], None)
                self._failed_at.pop(event.object["metadata"]["uid"], None)
            else:
                yield event.key, name_of(event.object)
        elif event.key == PODS.key:
            for item in pods.owners_item(event, JOBS):
                self._note(event)
                yield item

    def _note(self, event: Event) -> None:
        pod = event.object
        job = str(controller_uid(pod))
        ended = self._ended.setdefault(job, {})
        uid = pod["metadata"]["uid"]
        if uid not in ended and (is_terminal(pod) or event.type == "DELETED"):
            ended[uid] = "Succeeded" if get(pod, "status.phase") == "Succeeded" else "Failed"
            if ended[uid] == "Failed":
                self._failed_at[job] = time.monotonic()

    def reconcile(self, item: Item) -> None:
        job = self.store.get(JOBS.key, *item[1])
        if job is None or is_deleting(job):
            return
        if is_finished(job):
            self._expire(item, job)
            return
        if not get(job, "status.startTime"):
            job = self.cluster.write_status(JOBS, job, {**job.get("status", {}), "startTime": timestamp()})
        end = self._end(item, job)
        active = [pod for pod in pods.controlled(self.cluster, job) if not is_terminal(pod) and not is_deleting(pod)]
        if end is None:
            self._start(item, job, active)
        else:
            for pod in active:
                pods.delete(self.cluster, COMPONENT, job, pod)
        self._write_status(job, end)

    def _count(self, job: Object, how: str) -> int:
        return sum(ended == how for ended in self._ended.get(job["metadata"]["uid"], {}).values())

    def _end(self, item: Item, job: Object) -> End | None:
        decided = get(job, "status.conditions", [])
        if decided:  # and its pods are ending
            return BY_REASON[decided[0]["reason"]]
        spec, failed = job["spec"], self._count(job, "Failed")
        if get(spec, "template.spec.restartPolicy") == "OnFailure":
            failed += sum(map(_restarts, pods.controlled(self.cluster, job)))
        if failed > spec["backoffLimit"]:
            return FAILED
        if "activeDeadlineSeconds" in spec:
            left = clock.scaled(spec["activeDeadlineSeconds"]) - _since(job["status"]["startTime"])
            if left <= 0:
                return LATE
            self.look_again(item, left)
        return COMPLETE if self._count(job, "Succeeded") >= spec["completions"] else None

    def _start(self, item: Item, job: Object, active: list[Object]) -> None:
        """As many pods as may run side by side; after a failure, not before its back-off has passed."""
        missing = job["spec"]["completions"] - self._count(job, "Succeeded") - len(active)
        wait = self._back_off(job)
        if missing > 0 and wait > 0:
            self.look_again(item, wait)
            return
        for _ in range(min(missing, job["spec"]["parallelism"] - len(active))):
            pod = pods.of_template(job, generateName=f"{job['metadata']['name']}-")
            active.append(pods.create(self.cluster, COMPONENT, job, pod))

    def _back_off(self, job: Object) -> float:
        failed = self._count(job, "Failed")
        if not failed:
            return 0
        whole = clock.scaled(min(BACK_OFF_SECONDS * 2 ** (failed - 1), LONGEST_BACK_OFF_SECONDS))
        return self._failed_at[job["metadata"]["uid"]] + whole - time.monotonic()

    def _write_status(self, job: Object, end: End | None) -> None:
        present = pods.controlled(self.cluster, job)
        living = [pod for pod in present if not is_terminal(pod)]
        active = [pod for pod in living if not is_deleting(pod)]
        counts = {
            "active": len(active),
            "succeeded": self._count(job, "Succeeded"),
            "failed": self._count(job, "Failed"),
        }
        status = {
            "startTime": job["status"]["startTime"],
            **{name: count for name, count in counts.items() if count},
            "ready": sum(map(pods.is_ready, active)),
            "terminating": len(living) - len(active),
            "uncountedTerminatedPods": {},
        }
        if end is not None:
            status["conditions"] = self._conditions(job, end, finished=not living)
            if end is COMPLETE and not living:
                status["completionTime"] = timestamp()
        self.cluster.write_status(JOBS, job, status)

    def _conditions(self, job: Object, end: End, *, finished: bool) -> list[Object]:
        """The final condition only once no pod runs any more."""
        if finished and end is COMPLETE:
            record(self.cluster, COMPONENT, job, "Normal", "Completed", "Job completed")
        elif finished:
            record(self.cluster, COMPONENT, job, "Warning", end.reason, end.message)
        conditions: list[Object] = get(job, "status.conditions", [])
        for kind in (end.interim, end.final) if finished else (end.interim,):
            if condition_is(job, kind):
                continue
            new = {"type": kind, "status": "True", "reason": end.reason, "message": end.message}
            conditions = with_condition(conditions, {**new, "lastProbeTime": timestamp()})
        return conditions

    def _expire(self, item: Item, job: Object) -> None:
        if "ttlSecondsAfterFinished" not in job["spec"]:
            return
        finished = max(each["lastTransitionTime"] for each in job["status"]["conditions"])
        left = clock.scaled(job["spec"]["ttlSecondsAfterFinished"]) - _since(finished)
        if left > 0:
            self.look_again(item, left)
        else:
            self.cluster.delete(JOBS, job, {"propagationPolicy": "Foreground"})


def is_finished(job: Object) -> bool:
    """Whether the Job is complete or has failed for good."""
    return condition_is(job, "Complete") or condition_is(job, "Failed")


def _restarts(pod: Object) -> int:
    return sum(each.get("restartCount", 0) for each in get(pod, "status.containerStatuses", []))


def _since(stamp: str) -> float:
    return time.time() - datetime.fromisoformat(stamp).timestamp()
