"""An endpoint's life against a gateway that says what a test wants: statuses, memories, and answers nobody expects."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from scripted import CLOSE, Scripted, Spoken

from seatrial import mask
from seatrial.http import Http
from seatrial.journal import Journal, open_entries
from seatrial.model_engine.async_tasks import BEFORE, AsyncTasks, where
from seatrial.model_engine.backlog import Backlog
from seatrial.model_engine.client import ModelEngine
from seatrial.model_engine.depths import Depth
from seatrial.model_engine.fleet import Fleet
from seatrial.model_engine.kinds import ECHOES, KINDS
from seatrial.model_engine.ledger import instructions
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.model_engine.published import newly_written
from seatrial.model_engine.removal import remove
from seatrial.model_engine.site import Site
from seatrial.record import Record, events
from seatrial.run import Run
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, Blocked, Cause, NotApplicable, NotJudged, Reason, Unhealthy

NAME = "seatrial-echo-sync-t5k2m9x7qd"
Route = Callable[[Spoken, dict[str, str]], tuple[int, Any]]


class Gateway:
    """Routes by method and path; what no test replaced answers as a healthy released gateway does."""

    def __init__(self, **endpoint: Any) -> None:
        self.endpoint: dict[str, Any] = {"id": "end_1", "name": NAME, "status": "READY", "deployment_state": None}
        self.endpoint |= {"deployment_state": {"available_workers": 1}} | endpoint
        self.deleted = False
        self.asked: list[str] = []
        self.replaced: dict[str, Route] = {}

    def __call__(self, spoken: Spoken) -> Iterator[bytes]:
        url = urlsplit(spoken.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        asked = f"{spoken.method} {url.path}"
        self.asked.append(asked)
        status, body = self.replaced.get(asked, self.healthy)(spoken, query)
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        yield head.encode() + text

    def healthy(self, spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        match f"{spoken.method} {urlsplit(spoken.path).path}":
            case "GET /openapi.json":
                return 200, {"paths": {"/v2/model-bundles": {}}}
            case "GET /v1/model-endpoints" if "made-up" in spoken.header("authorization"):
                return 401, {"detail": "no"}
            case "GET /v1/model-endpoints":
                return 200, {"model_endpoints": [] if self.deleted else [self.endpoint]}
            case "GET /v1/model-endpoints/end_1":
                return 200, self.endpoint
            case "GET /v2/model-bundles/latest":
                return 200, {"id": "bun_1"}
            case "POST /v1/model-endpoints":
                return 200, {"endpoint_creation_task_id": "t"}
            case "DELETE /v1/model-endpoints/end_1":
                self.deleted = True
                return 200, {"deleted": True}
        return 404, {"detail": "Not Found"}


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., tuple[Lifecycle, Trial]]]:
    """Begins a lifecycle against a gateway."""
    opened: list[Any] = []

    def start(gateway: Gateway, suspect: Unhealthy | None = None, **given: Any) -> tuple[Lifecycle, Trial]:
        def known(answer: Any) -> None:
            if suspect:
                raise suspect

        environment = {
            "AUTH_TOKEN": "seatrial-tests",
            "MODEL_ENGINE_IMAGE_REPOSITORY": "registry.local/me",
            "MODEL_ENGINE_IMAGE_TAG": "1",
        }
        chosen = {"timeout_factor": 0.01, "gateway_memory": 0.2, **given}
        settings = Settings.load({"set": [f"{key}={value}" for key, value in chosen.items()]}, environment, tmp_path)
        trial = Trial(Run("t5k2m9x7qd", tmp_path / "run"), settings, Record(Run("t5k2m9x7qd", tmp_path / "run")))
        server = Scripted(gateway)
        http = Http(
            server.url,
            record=trial.record,
            token=settings.token,
            timeout=5,
            source="test",
            seen_from="here",
            suspect=known,
        )
        opened.extend((http, trial.record, server))
        return Lifecycle(Site(trial, ModelEngine(http, settings), patience=1), KINDS["sync"], NAME), trial

    yield start
    for one in opened:
        one.__exit__(None, None, None) if isinstance(one, Scripted) else one.close()


def test_a_life(begin) -> None:
    lifecycle, trial = begin(Gateway())
    assert lifecycle.create().task == "t"
    assert lifecycle.ready()["id"] == "end_1"
    assert lifecycle.served_by == "the gateway counts 1 available"
    assert lifecycle.delete() == {"deleted": True}
    lifecycle.unlisted()
    lifecycle.clean_up()
    assert list(open_entries(events(trial.run.directory))) == []


def test_each_step_is_done_once(begin) -> None:
    gateway = Gateway()
    lifecycle, _ = begin(gateway)
    assert lifecycle.create() is lifecycle.create()
    assert lifecycle.ready() is lifecycle.ready()
    assert gateway.asked.count("POST /v1/model-endpoints") == 1


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ({"status_reason": "forbidden: deployments"}, f"the builder could not make {NAME}: forbidden: deployments"),
        ({}, f"the builder could not make {NAME}: it gives no reason"),
    ],
)
def test_a_failed_build_is_terminal(begin, reason: dict[str, str], line: str) -> None:
    lifecycle, _ = begin(Gateway(status="UPDATE_FAILED", **reason), timeout_factor=1)
    with pytest.raises(Unhealthy) as caught:
        lifecycle.ready()
    assert caught.value.cause.line == line


@pytest.mark.parametrize(
    ("status", "workers"),
    [("UPDATE_PENDING", 0), ("UPDATE_IN_PROGRESS", 0), ("INITIALIZING", 0), ("unknown", 0), ("DELETE_IN_PROGRESS", 0)],
)
def test_not_yet(begin, status: str, workers: int) -> None:
    lifecycle, _ = begin(
        Gateway(status=status, deployment_state={"available_workers": workers}), endpoint_ready_timeout=50
    )
    with pytest.raises(Unhealthy) as caught:
        lifecycle.ready()
    assert caught.value.cause.line == "sync endpoint: not within 0.5 s"
    assert caught.value.cause.evidence == (f"after 0 s: status {status}",)


def test_ready_without_a_worker_is_not_serving(begin) -> None:
    lifecycle, _ = begin(Gateway(deployment_state={"available_workers": 0}), endpoint_ready_timeout=50)
    with pytest.raises(Unhealthy) as caught:
        lifecycle.ready()
    assert caught.value.cause.evidence == ("after 0 s: READY, but no worker is available",)


def test_what_tasks_go_by_must_say_ready_too(begin) -> None:
    gateway = Gateway()
    gateway.replaced["GET /v1/model-endpoints/end_1"] = lambda *_: (
        200,
        gateway.endpoint | {"status": "UPDATE_PENDING"},
    )
    lifecycle, _ = begin(gateway, endpoint_ready_timeout=50)
    with pytest.raises(Unhealthy) as caught:
        lifecycle.ready()
    line = "after 0 s: READY, but for tasks the gateway remembers it as UPDATE_PENDING"
    assert caught.value.cause.evidence == (line,)


def test_where_nobody_says_who_serves_the_echo_proves_it(begin) -> None:
    lifecycle, _ = begin(Gateway(deployment_state=None))
    lifecycle.ready()
    assert lifecycle.served_by == "to be proven by the echo: neither the gateway nor a cluster says"


def test_an_older_answer_from_memory_does_not_count(begin) -> None:
    gateway = Gateway()
    answers = iter(["2026-11-21T00:00:02Z/READY", "2026-11-21T00:00:01Z/UPDATE_PENDING"] * 5)

    def listed(spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        if "made-up" in spoken.header("authorization"):
            return 401, {}
        stamp, status = next(answers).split("/")
        return 200, {"model_endpoints": [gateway.endpoint | {"status": status, "last_updated_at": stamp}]}

    gateway.replaced["GET /v1/model-endpoints"] = listed
    lifecycle, _ = begin(gateway)
    assert lifecycle.ready()["status"] == "READY"


def test_a_refused_create_stands_once_and_blocks_the_rest(begin) -> None:
    gateway = Gateway()
    gateway.replaced["POST /v1/model-endpoints"] = lambda *_: (500, {"error": "Internal error occurred."})
    lifecycle, _ = begin(gateway)
    with pytest.raises(Unhealthy, match="answered 500, not 200") as failed:
        lifecycle.create()
    for step in (lifecycle.ready, lifecycle.delete, lifecycle.unlisted):
        with pytest.raises(Blocked) as blocked:
            step()
        assert blocked.value.cause == failed.value.cause


def test_without_a_description_the_contract_is_learnt_from_the_refusal(begin) -> None:
    gateway = Gateway()
    bodies: list[Any] = []

    def create(spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        bodies.append(json.loads(spoken.body))
        missing = {"type": "missing", "loc": ["body", "model_bundle_id"], "msg": "Field required"}
        return (
            (200, {"endpoint_creation_task_id": "t"})
            if "model_bundle_id" in bodies[-1]
            else (422, {"detail": [missing]})
        )

    gateway.replaced |= {"GET /openapi.json": lambda *_: (404, {}), "POST /v1/model-endpoints": create}
    lifecycle, _ = begin(gateway)
    assert lifecycle.create()
    assert ["model_bundle" in body for body in bodies] == [True, False]
    assert lifecycle.site.engine.contract_source == "the answer to the first create"


def test_an_open_gateway_takes_no_token_that_is_no_name(begin) -> None:
    gateway = Gateway()
    gateway.replaced["GET /v1/model-endpoints"] = lambda *_: (200, {"model_endpoints": []})
    lifecycle, trial = begin(gateway)
    trial.settings.token.value()
    lifecycle.site.trial.settings.token._fetched._text = "not a label!"
    with pytest.raises(BadSettings, match="the gateway is open"):
        lifecycle.create()
    assert "POST /v1/model-endpoints" not in gateway.asked


def test_deleted_before_it_was_built_it_stays_in_the_journal(begin) -> None:
    gateway = Gateway(status="UPDATE_PENDING")
    lifecycle, trial = begin(gateway)
    lifecycle.delete()
    lifecycle.clean_up()
    (entry,) = open_entries(events(trial.run.directory))
    assert entry.how["unbuilt"]
    with pytest.raises(AssertionError, match="deleted before it was built"):
        remove(lifecycle.site, entry)


def test_a_delete_that_is_not_performed(begin) -> None:
    gateway = Gateway()
    gateway.replaced["DELETE /v1/model-endpoints/end_1"] = lambda *_: (200, {"deleted": True})
    lifecycle, _ = begin(gateway)
    lifecycle.ready()
    lifecycle.delete()
    with pytest.raises(Unhealthy, match="goes on listing it"):
        lifecycle.unlisted()


def test_after_a_signal_finalizers_do_nothing(begin) -> None:
    gateway = Gateway()
    lifecycle, trial = begin(gateway)
    lifecycle.create()
    trial.interrupted = True
    lifecycle.clean_up()
    assert not gateway.deleted
    assert len(list(open_entries(events(trial.run.directory)))) == 1


def test_a_create_whose_answer_was_lost_stays_in_the_journal(begin) -> None:
    gateway = Gateway()
    gateway.deleted = True

    def late(spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        time.sleep(1.5)
        return 200, {"endpoint_creation_task_id": "t"}

    gateway.replaced["POST /v1/model-endpoints"] = late
    lifecycle, trial = begin(gateway, request_timeout=1)
    lifecycle.site.engine.http._timeout = 1
    with pytest.raises(Unhealthy, match="does not answer within 1 s"):
        lifecycle.create()
    (entry,) = open_entries(events(trial.run.directory))
    assert "answered" not in entry.how
    gateway.deleted = False  # it appears after all
    lifecycle.clean_up()
    assert gateway.deleted
    assert list(open_entries(events(trial.run.directory))) == []


def test_a_lost_create_that_does_not_appear_is_left_open(begin) -> None:
    gateway = Gateway()
    gateway.deleted = True
    lifecycle, trial = begin(gateway)
    lifecycle._ledger.write()
    lifecycle.clean_up()
    (entry,) = open_entries(events(trial.run.directory))
    with pytest.raises(
        AssertionError, match="its create was never answered, and it is not listed: it may still appear"
    ):
        remove(lifecycle.site, entry)


def test_a_contract_that_was_set_wrong_is_said(begin) -> None:
    gateway = Gateway()
    gateway.replaced["POST /v1/model-endpoints"] = lambda *_: (422, {"detail": [{"loc": ["body", "model_bundle_id"]}]})
    lifecycle, _ = begin(gateway, contract="documented")
    with pytest.raises(
        BadSettings, match="the contract is set to documented, and the gateway wants what the released one has"
    ):
        lifecycle.create()


def test_what_no_contract_knows_is_the_gateways_failure(begin) -> None:
    gateway = Gateway()
    del gateway.endpoint["id"]
    lifecycle, _ = begin(gateway, endpoint_ready_timeout=20)
    with pytest.raises(Unhealthy) as caught:
        lifecycle.ready()
    assert caught.value.cause.evidence[0].startswith("after 0 s: an answer of the gateway has no id: {'name'")


def test_other_trouble_after_a_delete_is_not_taken_for_a_delete_that_was_not_performed(begin) -> None:
    gateway = Gateway()
    lifecycle, _ = begin(gateway)
    lifecycle.ready()
    lifecycle.delete()
    gateway.replaced["GET /v1/model-endpoints"] = lambda *_: (500, {"error": "Internal error occurred."})
    with pytest.raises(Unhealthy, match="the gateway answers 500 to GET"):
        lifecycle.unlisted()


@pytest.mark.parametrize("answer", [(404, "<html>not here</html>"), (200, []), (200, {"paths": None})])
def test_whatever_is_no_description_leaves_the_contract_open(begin, answer: tuple[int, Any]) -> None:
    gateway = Gateway()
    gateway.replaced["GET /openapi.json"] = lambda *_: answer
    lifecycle, _ = begin(gateway)
    assert lifecycle.site.engine.contract is None


def test_the_journal_keeps_our_names_whatever_the_token_is(tmp_path: Path) -> None:
    mask.hide("seatrial-echo")
    record = Record(Run("t5k2m9x7qd", tmp_path))
    Journal(record).intend("endpoint", NAME, type=f"delete {NAME}")
    record.event("note", line=f"about {NAME}")
    record.close()
    (entry,) = open_entries(events(tmp_path))
    assert (entry.name, entry.how["type"]) == (NAME, f"delete {NAME}")
    assert [event["line"] for event in events(tmp_path) if event["kind"] == "note"] == ["about ***-sync-t5k2m9x7qd"]
    mask._values.clear()


@pytest.mark.parametrize("endpoint_id", ["", "end_1"])
def test_what_is_to_be_typed_is_shell(begin, endpoint_id: str) -> None:
    lifecycle, _ = begin(Gateway())
    lines = instructions(lifecycle.sight, endpoint_id)
    assert "$AUTH_TOKEN" in lines
    assert subprocess.run(["bash", "-n", "-c", lines.replace("<its id>", "x")], capture_output=True).stderr == b""


class Losing(Gateway):
    """Makes the endpoint, and closes the connection without an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted = True

    def __call__(self, spoken: Spoken) -> Iterator[bytes]:
        if spoken.method == "POST" and spoken.path == "/v1/model-endpoints":
            self.asked.append("POST /v1/model-endpoints")
            self.deleted = False
            yield CLOSE
        yield from super().__call__(spoken)


def test_a_create_that_closed_the_connection_is_looked_up_and_not_repeated(begin) -> None:
    gateway = Losing()
    lifecycle, trial = begin(gateway)
    assert lifecycle.create().task == "unknown: the answer was lost"
    assert lifecycle.ready()["id"] == "end_1"
    assert gateway.asked.count("POST /v1/model-endpoints") == 1
    (warning,) = [one["line"] for one in events(trial.run.directory) if one["kind"] == "warning"]
    assert warning.startswith(f"the answer to the create of {NAME} was lost, and it was made: the gateway at ")
    lifecycle.clean_up()
    assert list(open_entries(events(trial.run.directory))) == []


def test_a_create_that_nobody_heard_was_never_made(begin) -> None:
    gateway = Gateway()
    lifecycle, trial = begin(gateway)

    def last_answer(spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        lifecycle.site.engine.http.base_url = "http://127.0.0.1:9"  # nobody listens there
        return 200, {"id": "bun_1"}

    gateway.replaced["GET /v2/model-bundles/latest"] = last_answer
    with pytest.raises(Unhealthy, match="cannot be connected to"):
        lifecycle.create()
    assert list(open_entries(events(trial.run.directory))) == []


def test_an_endpoint_that_exists_is_spoken_to_and_left(begin) -> None:
    gateway = Gateway(name="mine", endpoint_type="async")
    lifecycle, trial = begin(gateway)
    fleet = Fleet.existing(lifecycle.site, "mine")
    mine = fleet.of("async")
    assert mine.ready()["id"] == "end_1"
    for step in (mine.create, mine.delete, mine.unlisted):
        with pytest.raises(NotApplicable, match=r"mine .*\(--endpoint\)"):
            step()
    with pytest.raises(NotApplicable, match=r"mine is no sync endpoint, it is async \(--endpoint\)"):
        fleet.of("sync")
    fleet.clean_up()
    assert not gateway.deleted
    assert not any(asked.startswith(("POST", "DELETE")) for asked in gateway.asked)
    assert [one for one in events(trial.run.directory) if one["kind"] == "journal"] == []


def test_an_endpoint_that_does_not_exist(begin) -> None:
    lifecycle, _ = begin(Gateway(), endpoint="nobodys")
    with pytest.raises(BadSettings, match="there is no endpoint called nobodys"):
        Fleet.existing(lifecycle.site, "nobodys")


def test_keep_leaves_it_in_the_journal(begin) -> None:
    gateway = Gateway()
    lifecycle, trial = begin(gateway)
    trial.keep = True
    lifecycle.ready()
    with pytest.raises(NotApplicable, match="--keep leaves it"):
        lifecycle.delete()
    lifecycle.clean_up()
    assert not gateway.deleted
    assert [entry.name for entry in open_entries(events(trial.run.directory))] == [NAME]


def test_all_are_requested_before_one_is_waited_for_and_deleted_before_one_is_seen_off(begin) -> None:
    gateway = Gateway()
    first, _ = begin(gateway)
    fleet = Fleet.requested(first.site, ECHOES)
    assert [asked for asked in gateway.asked if asked.startswith("POST /v1/model-e")] == [
        "POST /v1/model-endpoints"
    ] * 3
    for one, lifecycle in fleet.lifecycles.items():
        gateway.endpoint |= {"name": lifecycle.name, "endpoint_type": one}
        lifecycle.ready()
    gateway.asked.clear()
    fleet.dismiss()
    assert [asked for asked in gateway.asked if not asked.startswith("GET")] == ["DELETE /v1/model-endpoints/end_1"] * 3


def test_all_deletes_are_on_their_way_at_once(begin) -> None:
    gateway = Gateway()
    together = threading.Barrier(3, timeout=5)

    def delete(spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        together.wait()
        return gateway.healthy(spoken, query)

    gateway.replaced["DELETE /v1/model-endpoints/end_1"] = delete
    first, _ = begin(gateway)
    fleet = Fleet.requested(first.site, ECHOES)
    for one in fleet.lifecycles.values():
        gateway.endpoint["name"] = one.name
        one.ready()
    fleet.dismiss()
    assert [one.delete() for one in fleet.lifecycles.values()] == [{"deleted": True}] * 3


def test_what_is_looked_at_beside_the_wait_begins_once_the_id_is_known(begin) -> None:
    gateway = Gateway(status="UPDATE_PENDING")
    lifecycle, _ = begin(gateway, endpoint_ready_timeout=50)
    told: list[str] = []
    lifecycle.when_listed = told.append
    with pytest.raises(Unhealthy, match="not within"):
        lifecycle.ready()
    assert told == ["end_1"]


def test_what_the_contract_does_not_know_is_not_asked_for(begin) -> None:
    gateway = Gateway()
    lifecycle, _ = begin(gateway, contract="documented")
    fleet = Fleet.requested(lifecycle.site, ECHOES)
    assert set(fleet.lifecycles) == {"sync", "async"}
    with pytest.raises(NotApplicable, match="the documented contract knows no streaming endpoints"):
        fleet.of("streaming")


def test_an_async_task_that_nobody_answers_is_waited_for_once(begin) -> None:
    gateway = Gateway(endpoint_type="async")
    gateway.replaced |= {
        "POST /v1/async-tasks": lambda *_: (200, {"task_id": "t1"}),
        "GET /v1/async-tasks/t1": lambda *_: (200, {"task_id": "t1", "status": "PENDING", "result": None}),
    }
    lifecycle, _ = begin(gateway, async_task_timeout=50)
    tasks = AsyncTasks(lifecycle.sight)
    for _ in range(2):
        with pytest.raises(Unhealthy, match=r"is not over: not within 0\.5 s; its queue was not looked into") as caught:
            tasks.answered()
    assert caught.value.cause.evidence == ("task t1: after 0 s: status PENDING",)
    assert gateway.asked.count("POST /v1/async-tasks") == 1


@pytest.mark.parametrize(
    ("key", "certain", "found"),
    [
        ("servicebus.closed/servicebus", True, "servicebus.idle/"),
        ("model_engine.async-unanswered/x", True, "servicebus.idle/"),
        ("redis.noauth/cache:6379", False, "servicebus.idle/"),  # a gateway that hangs, for whatever reason
        ("redis.refused/cache:6379", True, "redis.refused/"),
        ("servicebus.auth/servicebus", True, "servicebus.auth/"),
        ("gateway/no-pods", True, "gateway/no-pods"),
    ],
)
def test_what_broke_while_connections_idled_is_no_matter_of_idleness(
    begin, key: str, certain: bool, found: str
) -> None:
    gateway, sent = Gateway(endpoint_type="async"), []

    def send(spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        sent.append(spoken.body)
        return 200 if len(sent) <= BEFORE else 500, {"task_id": "t1"}

    gateway.replaced |= {
        "POST /v1/async-tasks": send,
        "GET /v1/async-tasks/t1": lambda *_: (200, {"task_id": "t1", "status": "SUCCESS", "status_code": 200}),
    }
    lifecycle, _ = begin(gateway, suspect=Unhealthy(Cause(key, "that broke", certain=certain)), broker_idle=1)
    with pytest.raises(Unhealthy) as caught:
        AsyncTasks(lifecycle.sight).survive_idle()
    assert caught.value.cause.key.startswith(found)
    assert "that broke" in (caught.value.cause.line, *caught.value.cause.evidence)


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (Depth(True, 3), "3 wait in its queue, and nobody takes them"),
        (Depth(True, 0, 1), "a worker has taken 1 from its queue, and does not finish"),
        (Depth(True, 0, 0), "no result has come to the gateway"),
        (Depth(True, 2, databases=(0,)), "its gateway puts tasks into database 0, where 2 wait"),
        (Depth(True, 2, databases=(3,)), "2 wait in its queue, and nobody takes them"),
        (Depth(False), "its queue does not exist"),
    ],
)
def test_what_the_depth_of_its_queue_says_of_a_task(depth: Depth, said: str) -> None:
    assert said in where(depth)


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([], None),
        ([(0, -0.002), (1, 180), (2, 179), (3, 178.1)], None),  # by whoever found it missing
        ([(0, 178), (0.5, 177.5), (1, 59.9), (1.5, 59.4)], 59.9),
        ([(0, 46), (0.5, 60), (1, 59.5)], 60),
        ([(0, 0.4), (0.5, -0.002), (1, 60)], None),  # it had gone: perhaps not by the cacher
    ],
)
def test_a_key_is_written_anew_where_its_expiry_moves(looks: list[tuple[float, float]], found: float | None) -> None:
    assert newly_written(looks) == found


class Deep:
    """Queues of which a pod of ours has seen `waiting`, one after the other."""

    builder_queue, builder_listens = "builds", "builds"

    def __init__(self, site: Site, waiting: list[int]) -> None:
        self.trial, self.kube, self.release, self.waiting = site.trial, site.kube, site.release, waiting

    def watch(self, queue: str) -> Deep:
        return self

    def depths(self) -> list[Depth]:
        if not self.waiting:
            raise NotJudged(Reason.TOOL, "the broker does not answer us")
        return [Depth(True, one) for one in self.waiting]


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        ([9] * 10 + [8], "UPDATE_PENDING, 8 wait in the builder's queue, ours for "),
        ([9, 9], "UPDATE_PENDING, 9 wait in the builder's queue, ours for "),
        ([9] * 10 + [0], ""),
        ([], ""),
    ],
)
def test_a_queue_that_shrinks_or_was_not_seen_for_long_is_no_cause(begin, waiting: list[int], said: str) -> None:
    lifecycle, _ = begin(Gateway(), timeout_factor=0.2)
    backlog = Backlog(Deep(lifecycle.site, waiting))
    if not said:
        backlog.explain("UPDATE_PENDING", time.monotonic() - 60)
        return
    with pytest.raises(AssertionError) as caught:
        backlog.explain("UPDATE_PENDING", time.monotonic() - 60)
    assert str(caught.value).startswith(said)
    assert not isinstance(caught.value, Unhealthy)


def test_nobody_looks_into_the_queue_at_once(begin) -> None:
    lifecycle, _ = begin(Gateway(), timeout_factor=1)
    Backlog(Deep(lifecycle.site, [9] * 20)).explain("UPDATE_PENDING", time.monotonic())
