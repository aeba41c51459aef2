"""A migration that failed: the chart deletes its Job when it succeeds, so one that is left did not."""

from __future__ import annotations

from seatrial.kube import Kube, NotFound, Object
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import database, signs
from seatrial.resources import JOBS, PODS
from seatrial.verdict import Cause, NotJudged

PART = "-database-migration"


def jobs(kube: Kube, release: Release) -> list[Object]:
    """The migration Jobs of this release that are left, the newest revision last."""
    prefix = f"{release.fullname}{PART}"
    found = kube.list(JOBS, release.namespace, empty_ok=True)
    return sorted(
        (one for one in found if one["metadata"]["name"].startswith(prefix)),
        key=lambda one: str(one["metadata"].get("creationTimestamp")),
    )


def trouble(kube: Kube, release: Release) -> Cause | None:
    """The failed migration. AssertionError for one that goes on: its Job has neither failed nor succeeded."""
    for job in reversed(jobs(kube, release)):
        name, namespace = job["metadata"]["name"], release.namespace
        conditions = {one["type"]: one for one in job.get("status", {}).get("conditions") or []}
        ended = {kind for kind in ("Complete", "Failed") if conditions.get(kind, {}).get("status") == "True"}
        if "Complete" in ended or job["metadata"].get("deletionTimestamp"):
            continue  # it succeeded and is about to be deleted, or somebody keeps it
        assert ended, f"the migration Job {name} has not ended yet"
        words, reason = _last_words(kube, namespace, name), conditions["Failed"]
        known = database.told("\n".join(words), f"{namespace}/{release.fullname}")
        said = known.line if known else signs.ending("\n".join(words)).partition("\n")[0]
        return Cause(
            f"database.migration-failed/{namespace}/{release.fullname}",
            f"the migration Job {name} failed{f': {said[:200]}' if said else ''}",
            evidence=(
                f"job {namespace}/{name}: Failed, {reason.get('reason', '')}: {reason.get('message', '')}",
                *(one[:300] for one in words[-5:]),
            ),
            do=f"mend what it says, then helm upgrade; a Job that is only left over: {kube.kubectl} -n {namespace} "
            f"delete job {name}",
            look=f"{kube.kubectl} -n {namespace} logs job/{name}",
        )
    return None


def _last_words(kube: Kube, namespace: str, job: str) -> list[str]:
    """What its pods said last; none where they are gone, or we may not read them."""
    try:
        for pod in kube.list(PODS, namespace, labels=f"job-name={job}", empty_ok=True):
            said = kube.logs(pod["metadata"]["name"], namespace, container=_container(pod), tail=20)
            if lines := [one.strip() for one in said.splitlines() if one.strip()]:
                return lines
    except (NotFound, NotJudged):
        pass
    return []


def _container(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["name"])
