"""A run's Lease: seen by the next run while it is renewed, told as killed when not; without the right it is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_server import Api, write_config
from scripted import Scripted, answer

from seatrial import ours
from seatrial.journal import open_entries
from seatrial.kube import Kube
from seatrial.lease import Lease, is_fresh
from seatrial.record import Record, events
from seatrial.resources import LEASES, NAMESPACES
from seatrial.run import Run, new_id
from seatrial.settings import Settings
from seatrial.trial import Trial


@contextmanager
def trial(folder: Path, config: Path, home: str = "models") -> Iterator[Trial]:
    """A run of its own against that cluster."""
    run = Run(new_id(), folder / new_id())
    settings = Settings.load({"set": [f"kubeconfig={config}"]}, {}, folder)
    record = Record(run)
    yield Trial(run, settings, record, writes=True, home=home)
    record.close()


def sweep(run: str) -> str:
    return f"sweep {run}"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path) as api:
        yield api


@pytest.fixture
def kube(api: Api, tmp_path: Path) -> Iterator[Kube]:
    """The administrator's client; there is a namespace models."""
    record = Record(Run(new_id(), tmp_path / "admin"))
    with Kube.connect(api.config, "sandbox", record=record) as kube:
        kube.create(NAMESPACES, {"metadata": {"name": "models"}})
        yield kube
    record.close()


def test_a_run_sees_another_one_alive_and_then_killed(api: Api, kube: Kube, tmp_path: Path) -> None:
    with trial(tmp_path, api.config) as one, trial(tmp_path, api.config) as other, trial(tmp_path, api.config) as next_:
        first, second, third = (Lease(run, sweep) for run in (one, other, next_))
        assert first.begin() == []
        [lease] = kube.list(LEASES, "models", labels=ours.SELECTOR)
        name = lease["metadata"]["name"]
        assert name == f"seatrial-run-{one.run.id}"
        assert ours.EXPIRES in lease["metadata"]["annotations"]
        assert is_fresh(lease["spec"]["renewTime"], kube.now())
        [entry] = open_entries(events(one.run.directory))
        assert entry.how["plural"] == "leases"
        [line] = second.begin()
        assert line.startswith(f"another run is alive: {one.run.id} on ")
        kube.patch(LEASES, name, "models", {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}})
        said = third.begin()
        for run in (first, second, third):
            run.end()
    assert [line for line in said if "was ended by force" in line and line.endswith(f"removed by: sweep {one.run.id}")]
    assert [line for line in said if line.startswith(f"another run is alive: {other.run.id}")]


def test_without_the_right_it_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    message = 'leases.coordination.k8s.io is forbidden: User "me" cannot list resource "leases"'
    refusal = answer(403, json.dumps({"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}))
    with Scripted(refusal) as server:
        config = write_config(tmp_path / "config", server.url, {"token": "t"})
        with trial(tmp_path, config) as run:
            [line] = Lease(run, sweep).begin()
    assert line.startswith("no Lease says that this run is alive, and runs of others are not seen: ")
    assert 'resources: ["leases"], verbs: ["list"]' in line


def test_where_the_release_is_must_be_known(api: Api, tmp_path: Path) -> None:
    text = api.config.read_text().replace("namespace: models", "extensions: []")
    config = tmp_path / "other"
    config.write_text(text)
    with trial(tmp_path, config, "") as run:
        said = Lease(run, sweep).begin()
    assert said == ["no Lease says that this run is alive: where the release is was not found"]


def test_fresh_is_a_minute_by_the_servers_clock() -> None:
    now = datetime.now(UTC)
    for seconds, fresh in ((0, True), (59, True), (61, False)):
        renewed = (now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert is_fresh(renewed, now) is fresh
    assert not is_fresh(None, now)
