"""Objects of ours: stamped, in the journal before they are made, found when an answer is lost, removed by their uid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_server import Api, write_config
from scripted import RESET, Scripted, Spoken, answer

from seatrial import ours
from seatrial.journal import Entry, open_entries
from seatrial.kube import Conflict, Forbidden, Kube, NotFound
from seatrial.ours import Patience
from seatrial.record import Record, events
from seatrial.resources import CONFIG_MAPS, NAMESPACES, PODS
from seatrial.run import Run, new_id, started
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import Unreachable

HASTE = Patience(looked_for=0.5, gone_within=0.5, overdue=0)
MANIFEST = {"metadata": {"name": "probe", "namespace": "models"}, "data": {"key": "1"}}
POD = {
    "metadata": {"name": "probe", "namespace": "models"},
    "spec": {"containers": [{"name": "probe", "image": "registry.local/echo:1"}]},
}


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    run = Run(new_id(), tmp_path / "run")
    record = Record(run)
    yield Trial(run, Settings.load({"timeout_factor": "0.2"}, {}, tmp_path), record)
    record.close()


@pytest.fixture
def kube(tmp_path: Path, trial: Trial) -> Iterator[Kube]:
    """A client of an API server with the namespace models."""
    with Api(tmp_path) as api, Kube.connect(api.config, "sandbox", record=trial.record) as kube:
        kube.create(NAMESPACES, {"metadata": {"name": "models"}})
        yield kube


def entries(trial: Trial) -> list[Entry]:
    return list(open_entries(events(trial.run.directory)))


def test_an_object_is_known_by_labels_name_and_expiry(kube: Kube, trial: Trial) -> None:
    made = ours.create(kube, trial, CONFIG_MAPS, MANIFEST)
    metadata = made["metadata"]
    assert metadata["name"] == f"seatrial-probe-{trial.run.id}"
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "seatrial", "seatrial.dev/run": trial.run.id}
    expires = datetime.fromisoformat(metadata["annotations"]["seatrial.dev/expires"].replace("Z", "+00:00"))
    assert expires.timestamp() > started(trial.run.id) + 3600 + trial.settings.endpoint_ready_timeout
    assert ours.stamp(made, trial)["metadata"] == metadata
    assert MANIFEST["metadata"] == {"name": "probe", "namespace": "models"}
    [entry] = entries(trial)
    assert (entry.kind, entry.name) == ("object", f"configmaps models/{metadata['name']}")
    assert entry.how["type"].endswith(f" -n models delete configmaps {metadata['name']}")
    assert ours.settle(kube, trial, entry) == []
    with pytest.raises(NotFound):
        kube.get(CONFIG_MAPS, metadata["name"], "models")


def test_a_refused_create_leaves_nothing_in_the_journal(kube: Kube, trial: Trial) -> None:
    with pytest.raises(NotFound):
        ours.create(kube, trial, CONFIG_MAPS, {"metadata": {"name": "probe", "namespace": "nowhere"}})
    assert entries(trial) == []


def test_a_finalizer_removes_and_raises_nothing(kube: Kube, trial: Trial) -> None:
    made = ours.create(kube, trial, CONFIG_MAPS, MANIFEST)
    ours.remove(kube, trial, CONFIG_MAPS, made)
    ours.remove(kube, trial, CONFIG_MAPS, made)
    assert entries(trial) == []
    another = ours.create(kube, trial, CONFIG_MAPS, MANIFEST)
    ours.remove(kube, trial, CONFIG_MAPS, made)
    [entry] = entries(trial)
    assert kube.get(CONFIG_MAPS, another["metadata"]["name"], "models") == another
    trial.interrupted = True
    ours.remove(kube, trial, CONFIG_MAPS, another)
    assert kube.get(CONFIG_MAPS, another["metadata"]["name"], "models") == another
    assert ours.settle(kube, trial, entry) == []


def test_what_is_not_of_this_run_stays(kube: Kube, trial: Trial) -> None:
    name = trial.run.name("probe")
    theirs = kube.create(CONFIG_MAPS, {"metadata": {"name": name}}, "models")
    with pytest.raises(Conflict):
        ours.create(kube, trial, CONFIG_MAPS, MANIFEST)
    [entry] = entries(trial)
    with pytest.raises(LookupError, match="not of this run"):
        ours.settle(kube, trial, entry)
    assert kube.get(CONFIG_MAPS, name, "models") == theirs


def test_a_finalizer_that_nobody_removes_is_left(kube: Kube, trial: Trial) -> None:
    """Deletes that are answered and not performed; the clock is the API server's."""
    manifest = {**MANIFEST, "metadata": {**MANIFEST["metadata"], "finalizers": ["example.com/nobody"]}}
    made = ours.create(kube, trial, CONFIG_MAPS, manifest)
    [entry] = entries(trial)
    with pytest.raises(AssertionError, match=r"should have ended at .*; its finalizers hold it: example.com/nobody"):
        ours.settle(kube, trial, entry, patience=HASTE)
    kube.patch(CONFIG_MAPS, made["metadata"]["name"], "models", {"metadata": {"finalizers": None}})
    assert ours.settle(kube, trial, entry) == []


def test_a_pod_that_takes_its_time_is_terminating(kube: Kube, trial: Trial) -> None:
    """On a node that nobody serves: its grace period is not over."""
    made = ours.create(kube, trial, PODS, {**POD, "spec": {**POD["spec"], "nodeName": "gone"}})
    [entry] = entries(trial)
    [line] = ours.settle(kube, trial, entry, patience=Patience(gone_within=0.5))
    assert line.startswith(f"pods models/{made['metadata']['name']} is terminating, until ")


def stored(trial: Trial) -> dict[str, Any]:
    found = ours.stamp(MANIFEST, trial)
    found["metadata"]["uid"] = "u-1"
    return found


def test_an_object_whose_answer_was_lost_is_found(trial: Trial, tmp_path: Path) -> None:
    def hear(spoken: Spoken) -> Iterator[bytes]:
        if spoken.method == "POST":
            assert len(entries(trial)) == 1, "made before it was journaled"
            yield RESET
        yield answer(200, json.dumps(stored(trial)))

    with Scripted(hear) as api, connected(api, trial, tmp_path) as kube:
        assert ours.create(kube, trial, CONFIG_MAPS, MANIFEST)["metadata"]["uid"] == "u-1"
    [entry] = entries(trial)
    assert entry.how["answered"]


def test_an_object_whose_answer_was_lost_stays_in_the_journal(trial: Trial, tmp_path: Path) -> None:

    def hear(spoken: Spoken) -> Iterator[bytes]:
        yield RESET if spoken.method == "POST" else status(404, "NotFound")

    with Scripted(hear) as api, connected(api, trial, tmp_path) as kube:
        with pytest.raises(Unreachable):
            ours.create(kube, trial, CONFIG_MAPS, MANIFEST, patience=HASTE)
        [entry] = entries(trial)
        assert "answered" not in entry.how
        assert ours.settle(kube, trial, entry, patience=HASTE) == []


def test_a_forbidden_create_was_never_made(trial: Trial, tmp_path: Path) -> None:
    refusal = status(403, "Forbidden", 'configmaps is forbidden: User "tester" cannot create resource')
    with Scripted(refusal) as api, connected(api, trial, tmp_path) as kube, pytest.raises(Forbidden):
        ours.create(kube, trial, CONFIG_MAPS, MANIFEST)
    assert entries(trial) == []


def test_the_clock_is_the_api_servers(trial: Trial, tmp_path: Path) -> None:
    says = answer(200, json.dumps(stored(trial)), Date="Wed, 01 Jan 2020 12:00:00 GMT")
    with Scripted(says) as api, connected(api, trial, tmp_path) as kube:
        assert kube.now() > datetime(2026, 1, 1, tzinfo=UTC)
        kube.get(CONFIG_MAPS, "x", "models")
        assert kube.now() - datetime(2020, 1, 1, 12, tzinfo=UTC) < timedelta(seconds=30)


def connected(api: Scripted, trial: Trial, folder: Path) -> Kube:
    config = write_config(folder / "config", api.url, {"token": "t"})
    return Kube.connect(config, "prod", record=trial.record)


def status(code: int, reason: str, message: str = "") -> bytes:
    return answer(code, json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message or reason}))
