"""What was deleted before it was built: it is in doubt until it has appeared, or cannot any more."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logged import ENDPOINTS, Logged
from scripted import Scripted
from test_lifecycle import NAME, Gateway

from seatrial.http import Http
from seatrial.journal import Entry, open_entries
from seatrial.kube import Object
from seatrial.model_engine import unbuilt
from seatrial.model_engine.client import ModelEngine
from seatrial.model_engine.depths import Depth
from seatrial.model_engine.kinds import KINDS
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.model_engine.removal import remove
from seatrial.model_engine.site import Site
from seatrial.record import Record, events
from seatrial.resources import CONFIG_MAPS
from seatrial.run import Run
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import Unhealthy

EMPTY, WAITS, TAKEN = Depth(True, 0, 0), Depth(True, 1, 0), Depth(True, 0, 1)


@pytest.fixture
def gateway() -> Gateway:
    """Nobody has built its endpoint yet."""
    return Gateway(status="UPDATE_PENDING", endpoint_type="async")


@pytest.fixture
def site(logged: Logged, gateway: Gateway, tmp_path: Path) -> Iterator[Site]:
    """A gateway beside a cluster."""
    given = ["timeout_factor=0.01", "gateway_memory=0.1", f"endpoint_namespace={ENDPOINTS}"]
    environment = {"AUTH_TOKEN": "t", "MODEL_ENGINE_IMAGE_REPOSITORY": "r", "MODEL_ENGINE_IMAGE_TAG": "1"}
    settings, run = Settings.load({"set": given}, environment, tmp_path), Run("t5k2m9x7qd", tmp_path / "run")
    record = Record(run)
    with Scripted(gateway) as server:
        http = Http(server.url, record=record, token=settings.token, timeout=5, source="test", seen_from="here")
        yield Site(Trial(run, settings, record), ModelEngine(http, settings), logged.kube, logged.release, patience=1)
        http.close()
    record.close()


def doubted(site: Site) -> Entry:
    """The journal's only entry, of an endpoint that is deleted."""
    (found,) = (one for one in open_entries(events(site.trial.run.directory)) if one.kind == "endpoint")
    return found


def config_map() -> Object:
    """As the builder makes one for the endpoint."""
    return {"metadata": {"name": "x", "namespace": ENDPOINTS, "labels": {"endpoint_name": NAME}}}


def test_what_has_appeared_and_was_removed_is_settled(site: Site) -> None:
    assert site.kube is not None
    lifecycle = Lifecycle(site, KINDS["async"], NAME)
    lifecycle.delete()
    lifecycle.clean_up()
    assert doubted(site).how["unbuilt"]
    made = site.kube.create(CONFIG_MAPS, config_map(), ENDPOINTS)
    with pytest.raises(Unhealthy, match="1 object of"):
        remove(site, doubted(site))
    site.kube.delete(CONFIG_MAPS, made)
    remove(site, doubted(site))
    queues = [one.name for one in open_entries(events(site.trial.run.directory)) if one.kind == "queue"]
    assert queues == ["launch-endpoint-id-end_1"]


def configured_by(site: Site, config_map: str) -> None:
    """The gateway mounts this ConfigMap, and wants the broker of it."""
    assert site.release is not None
    gateway, wanted = copy.deepcopy(site.release.components["gateway"]), [{"key": "infra_service_config"}]
    gateway["spec"]["template"]["spec"]["volumes"][0]["configMap"] = {"name": config_map, "items": wanted}
    site.release = replace(site.release, components={**site.release.components, "gateway": gateway})


@pytest.mark.parametrize("known", [True, False])
def test_no_command_is_given_for_a_broker_that_nobody_knows(site: Site, known: bool) -> None:
    configured_by(site, "llm-service-config" if known else "nobody-made-it")
    unbuilt.has_appeared(site, Entry("endpoint", NAME, {"queue": "q"}))
    (queue,) = open_entries(events(site.trial.run.directory))
    assert queue.how["type"].startswith("aws sqs delete-queue") is known


def test_what_was_seen_to_be_gone_is_not_removed_again(gateway: Gateway, site: Site) -> None:
    assert site.kube is not None
    gateway.endpoint["status"] = "READY"
    made = site.kube.create(CONFIG_MAPS, config_map(), ENDPOINTS)
    lifecycle = Lifecycle(site, KINDS["async"], NAME)
    lifecycle.delete()
    site.kube.delete(CONFIG_MAPS, made)
    lifecycle.gone()
    gateway.asked.clear()
    lifecycle.clean_up()
    assert gateway.asked == []
    assert not list(open_entries(events(site.trial.run.directory)))


def test_a_second_sweep_remembers_what_the_first_had_to_doubt(site: Site) -> None:
    """Of a run that was killed while its endpoint waited for the builder."""
    lifecycle = Lifecycle(site, KINDS["sync"], NAME)
    lifecycle.create()
    for _ in range(2):
        with pytest.raises(AssertionError, match="may still appear"):
            remove(site, doubted(site))


class Looks:
    """A look at the endpoint, and one into the builder's queue."""

    id = "end_1"

    def __init__(self, *depths: Depth, objects: list[dict[str, Any]] | None = None) -> None:
        self._depths, self._objects, self.objects = depths, objects or [], self

    def all(self, endpoint_id: str) -> Iterator[tuple[str, Object]]:
        return iter([("", one) for one in self._objects])

    def depths(self) -> list[Depth]:
        return list(self._depths)


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        (Looks(), "nobody has looked"),
        (Looks(*[EMPTY] * 9, WAITS), "the builder's queue: 1 waiting, 0 taken and not done"),
        (Looks(*[EMPTY] * 9, TAKEN), "the builder's queue: 0 waiting, 1 taken and not done"),
        (Looks(*[EMPTY] * 9, Depth(True, 0)), "the builder's queue: 0 waiting"),
        (Looks(*[EMPTY] * 9, Depth(False)), "the builder's queue: the queue does not exist"),
        (Looks(*[EMPTY] * 9, WAITS, EMPTY), "the builder's queue is empty, for 2 s"),
        (Looks(WAITS, *[EMPTY] * 5), ""),
        (Looks(WAITS, objects=[{"metadata": {}}]), "there"),
        (Looks(*[EMPTY] * 5, objects=[{"metadata": {"deletionTimestamp": "now"}}]), ""),
    ],
)
def test_an_empty_queue_settles_it_after_a_while(looks: Looks, said: str) -> None:
    if said in ("", "there"):
        assert unbuilt._known(looks, looks, 10) is bool(said)
        return
    with pytest.raises(AssertionError, match=said):
        unbuilt._known(looks, looks, 10)


def test_where_nobody_may_look_it_stays_in_doubt(site: Site) -> None:
    """A sweep says why it does not know."""
    Lifecycle(site, KINDS["sync"], NAME).delete()
    site.trial = replace(site.trial, unhurried=True)
    with pytest.raises(AssertionError, match=r"may still appear \("):
        remove(site, doubted(site))


def test_where_nobody_knows_the_broker_it_stays_in_doubt(site: Site) -> None:
    """An empty queue of another broker settles nothing."""
    Lifecycle(site, KINDS["sync"], NAME).delete()
    site.trial = replace(site.trial, unhurried=True)
    configured_by(site, "nobody-made-it")
    with pytest.raises(AssertionError, match=r"may still appear \(.*nobody-made-it"):
        remove(site, doubted(site))
