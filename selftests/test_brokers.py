"""What is decided about brokers: by settings, words and answers; no network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import recordings

from seatrial.journal import Entry, open_entries
from seatrial.kube import NotFound
from seatrial.model_engine import agreement, cloud_roles, queues, regions, service_bus, services
from seatrial.model_engine.agreement import AUTOSCALER, BUILDER, FORWARDER, GATEWAY, HELM
from seatrial.model_engine.async_tasks import where
from seatrial.model_engine.cloud_roles import How
from seatrial.model_engine.configuration import REDIS, Configuration, Redis
from seatrial.model_engine.depths import REDIS_DATABASES, Depth, Watch
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.health import broker
from seatrial.model_engine.queue_services import QUEUE_SERVICES
from seatrial.model_engine.services import QUEUE, Answer, RoundTrip, cause
from seatrial.probe import Place, Probe, Prober
from seatrial.record import Record, events
from seatrial.run import Run
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import NotApplicable, NotJudged, Reason, Refused, Unhealthy, Unreachable

AWS, AZURE, GCP = (cloud_roles.ROLES[cloud] for cloud in ("aws", "azure", "gcp"))
ARN = "arn:aws:iam::123456789012:role/llm"
CLIENT = "11111111-1111-1111-1111-111111111111"


# -- roles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "named", "variables", "how", "by"),
    [
        (AWS, ARN, {"AWS_WEB_IDENTITY_TOKEN_FILE"}, How.GIVEN, "what the cluster gives its pods"),
        (AWS, ARN, {"PATH"}, How.NOT_INJECTED, ""),
        (AWS, ARN, {"AWS_ACCESS_KEY_ID"}, How.GIVEN, "credentials of its own"),
        (AWS, ARN, None, How.NAMED, ""),  # no pod of it is there
        (AWS, None, {"AWS_CONTAINER_CREDENTIALS_FULL_URI"}, How.GIVEN, "what the cluster gives its pods"),
        (AWS, None, {"PATH"}, How.NONE, ""),  # its nodes' role, perhaps
        (AWS, None, None, How.NONE, ""),
        (AWS, "role/llm", {"PATH"}, How.MALFORMED, ""),
        (AWS, "arn:aws-cn:iam::123456789012:role/path/llm", None, How.NAMED, ""),
        (AZURE, CLIENT, {"AZURE_CLIENT_ID"}, How.NOT_INJECTED, ""),
        (AZURE, "my-identity", None, How.MALFORMED, ""),
        (GCP, "llm@project.iam.gserviceaccount.com", {"PATH"}, How.NAMED, ""),  # GKE's metadata server gives it unseen
        (GCP, "llm@project", {"PATH"}, How.MALFORMED, ""),
    ],
)
def test_a_service_account_comes_by_its_role(
    role: cloud_roles.CloudRole, named: str | None, variables: set[str] | None, how: How, by: str
) -> None:
    found = cloud_roles.judge(role, named, variables)
    assert found[0] is how
    assert found[1].startswith(by)
    assert bool(found[1]) is (how is How.GIVEN), "what is only spelled is no way to come by a role"


@pytest.mark.parametrize(
    ("release", "endpoints", "said", "warned"),
    [
        (ARN, ARN, ["models/m has its role by", "endpoints/e names the role"], []),
        (ARN, None, ["models/m has its role by"], ["endpoints/e names no role, and no pod of it was seen"]),
        (None, ARN, None, []),
        (None, None, None, []),
    ],
)
def test_an_account_without_a_role_beside_one_with_it_is_warned_of(
    record: Record, release: str | None, endpoints: str | None, said: list[str] | None, warned: list[str]
) -> None:
    roles = {"m": release, "e": endpoints}
    variables = [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE"}] if release else []
    running = {"metadata": {"labels": {"app": "m"}}, "spec": {"containers": [{"env": variables}]}}
    kube = SimpleNamespace(
        get=lambda _, name, __: {"metadata": {"annotations": {AWS.annotation: roles[name]} if roles[name] else {}}},
        list=lambda *_, **__: [running],
    )
    gateway = {"spec": {"selector": {"matchLabels": {"app": "m"}}}}
    parts = SimpleNamespace(namespace="models", components={"gateway": gateway}, service_account=lambda _: "m")
    place, trial = Place("endpoints", "e", OWN), standing(record, Configuration()).trial
    ground: Any = SimpleNamespace(
        trial=trial, kube=kube, release=parts, configuration=Configuration(), endpoint_place=lambda: place
    )
    if said is None:
        with pytest.raises(NotApplicable, match=r"endpoints/e names the role" if endpoints else "their nodes' role"):
            cloud_roles.require(ground)
    else:
        found = cloud_roles.require(ground)
        assert [line.startswith(start) for line, start in zip(found, said, strict=True)] == [True] * len(said)
    lines = [one["line"] for one in events(record.path.parent) if one["kind"] == "warning"]
    assert [line.startswith(start) for line, start in zip(lines, warned, strict=True)] == [True] * len(warned)


def test_what_every_pod_has_counts() -> None:
    def pod(*names: str) -> dict[str, object]:
        return {"spec": {"containers": [{"env": [{"name": one} for one in names]}, {}]}}

    assert cloud_roles.pods_variables([pod("A", "B"), pod("B")]) == {"B"}
    assert cloud_roles.pods_variables([]) is None


# -- the pool -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("documented", "limit", "keep_alive", "wrong"),
    [
        (False, None, "", ""),
        (False, "10", "30", ""),
        (False, "0", "", "broker_pool_limit is 0, old advice"),
        (False, None, "0", "SERVICEBUS_KEEP_ALIVE_INTERVAL is 0"),
        (False, None, "240", "SERVICEBUS_KEEP_ALIVE_INTERVAL is 240"),
        (False, None, "soon", "SERVICEBUS_KEEP_ALIVE_INTERVAL is soon"),
        (True, "0", "", ""),
        (True, None, "30", "broker_pool_limit is not set"),
        (True, "10", "", "broker_pool_limit is 10"),
    ],
)
def test_never_both_settings_are_demanded(documented: bool, limit: str | None, keep_alive: str, wrong: str) -> None:
    found = service_bus.pool_trouble(documented=documented, limit=limit, keep_alive=keep_alive)
    assert found.startswith(wrong)
    assert bool(found) is bool(wrong)


OWN = "registry.local/model-engine:1"


def round_trip(record: Record, probe: Any, limit: int | None = None, **given: str) -> RoundTrip:
    """The way of a message that `probe` has sent before an install on Azure."""
    values = {
        "tag": "1",
        "image": {"builderRepository": "registry.local/model-engine"},
        "config": {"values": {"infra": {"cloud_provider": "azure"}, "launch": {"broker_pool_limit": limit}}},
    }
    settings = Settings.load({"set": [f"{key}={one}" for key, one in given.items()]}, {}, Path("/"))
    trial = Trial(Run("t5k2m9x7qd", Path("/")), settings, record)
    ground = Ground(trial, None, None, Configuration.of_values(values, "mine.yaml"), "models", "models")
    place = ground.place("builder") if probe.image else Place("", "", "")
    return RoundTrip(Answer(ground, "servicebus", probe, place), "q")


def pool(record: Record, image: str, sdk: str, limit: int | None = None, **given: str) -> str:
    """What the pool's check says where a program in `image` has found `sdk`."""
    probe = SimpleNamespace(image=image, result=lambda: {"ok": True, "sdk": sdk})
    asked = round_trip(record, probe, limit, **given)
    return service_bus.pool(asked.answer.ground, asked)


def test_the_sdk_is_judged_where_it_is_the_releases_own(record: Record) -> None:
    assert "(azure-servicebus 7.14.3)" in pool(record, OWN, "7.14.3")
    with pytest.raises(Unhealthy, match=r"the image has azure-servicebus 7\.11\.4"):
        pool(record, OWN, "7.11.4")
    with pytest.raises(NotJudged, match=f"the image {OWN} does not say which version"):
        pool(record, OWN, "")


@pytest.mark.parametrize(
    ("image", "given", "line"),
    [
        ("registry.local/ours:1", {"probe_image": "registry.local/ours:1"}, r"ours:1 has asked \(probe_image: --set"),
        ("", {"probe_from": "runner"}, r"this machine has asked \(probe_from: --set"),
        ("registry.local/theirs:1", {}, r"theirs:1 has asked \(overlays"),
    ],
)
@pytest.mark.parametrize("sdk", ["", "7.11.4", "7.15.0"])
def test_the_sdk_of_whoever_else_asked_proves_nothing(
    record: Record, image: str, given: dict[str, str], line: str, sdk: str
) -> None:
    with pytest.raises(NotApplicable, match=line):
        pool(record, image, sdk, **given)
    with pytest.raises(Unhealthy, match="broker_pool_limit is 0, old advice"):
        pool(record, image, sdk, limit=0, **given)
    assert pool(record, image, sdk, limit=0, contract="documented", **given).startswith("the documented product")


def test_the_pool_is_found_at_any_depth_and_in_the_environment_first() -> None:
    values = {"azure": {"client_id": "x"}, "config": {"values": {"launch": {"broker_pool_limit": 0}}}}
    assert service_bus.pool_limit(values, {}) == "0"
    assert service_bus.pool_limit(values, {"CELERY_BROKER_POOL_LIMIT": "5"}) == "5"
    assert service_bus.pool_limit({"broker_pool_limit": None}, {}) is None


@pytest.mark.parametrize(("began", "left"), [(False, []), (True, ["q"])])
def test_a_queue_that_nobody_came_to_make_is_not_left(record: Record, began: bool, left: list[str]) -> None:
    def result() -> Any:
        raise NotJudged(Reason.TOOL, "the image cannot be pulled" if not began else "it ended without an answer")

    asked = round_trip(record, SimpleNamespace(image=OWN, began=began, result=result))
    asked.answer.ground.trial.journal.intend(QUEUE, "q")
    with pytest.raises(NotJudged):
        asked.result()
    assert [one.name for one in open_entries(events(record.path.parent))] == left


def standing(record: Record, configuration: Configuration, release: Any = True, **given: str) -> Ground:
    """Of a release that nobody asks anything."""
    settings = Settings.load({"set": [f"{key}={one}" for key, one in given.items()]}, {}, Path("/"))
    trial = Trial(Run("t5k2m9x7qd", Path("/")), settings, record)
    return Ground(trial, None, release, configuration, "models", "models")


def test_a_queue_is_not_gone_because_the_broker_is_another_now(record: Record) -> None:
    redis = Configuration(infra={"celery_broker_type_redis": True}, source="ConfigMap models/c")
    made, found, guessed = (Entry(QUEUE, "q", how) for how in ({"type": "aws sqs delete-queue"}, {}, {"type": ""}))
    for entry in (made, found):
        with pytest.raises(NotApplicable, match="the broker is redis"):
            queues.delete(standing(record, redis), entry)
    queues.delete(standing(record, redis), guessed)
    with pytest.raises(NotApplicable, match="nothing says which cloud"):
        queues.delete(standing(record, Configuration(), None), guessed)
    with pytest.raises(Refused, match="no right"):
        queues.delete(standing(record, Configuration(refused=Refused("no right"))), guessed)


@pytest.mark.parametrize(
    "said", [Unreachable("no route"), Refused("expired"), NotFound(cast(Any, "get"), 404, "NotFound", "gone")]
)
def test_a_queue_stays_in_the_journal_while_nobody_sees_who_makes_it(record: Record, said: Exception) -> None:
    """Its pod may run: the program, and so the queue, was not seen."""
    pod = {"metadata": {"name": "p", "namespace": "models", "uid": "1"}, "spec": {"containers": []}}
    looks = [pod | {"status": {"phase": "Pending"}}, said]

    def get(*_: Any) -> Any:
        if isinstance(found := looks.pop(0) if len(looks) > 1 else looks[0], Exception):
            raise found
        return found

    def nothing(*_: Any, **__: Any) -> Any:
        return []

    trial = replace(standing(record, Configuration(), timeout_factor="0.001").trial, keep=True)
    kube: Any = SimpleNamespace(get=get, list=nothing, kubectl="kubectl")
    probe = Probe(Prober(trial, kube), "x", Place("models", "m", OWN), pod, None, "n", 600, OWN, "", selects=False)
    trial.journal.intend(QUEUE, "q")
    with pytest.raises(NotJudged):
        RoundTrip(Answer(standing(record, Configuration()), "sqs", probe, probe.place), "q").result()
    assert [one.name for one in open_entries(events(record.path.parent))] == ["q"]


@pytest.mark.parametrize(
    ("given", "environment", "asked"),
    [
        ({}, {}, ({}, "theirs")),
        ({"asb_namespace": "theirs"}, {}, ({}, "theirs")),
        ({"asb_namespace": "theirs.servicebus.windows.net"}, {}, ({}, "theirs")),
        ({"asb_namespace": "TheirS.servicebus.Windows.net"}, {}, ({}, "theirs")),
        ({"asb_namespace": "ours"}, {}, None),
        ({}, {"SERVICEBUS_NAMESPACE": "ours"}, ({}, "theirs")),  # set for another program, perhaps: a warning
    ],
)
def test_the_namespace_is_the_pods_own(
    record: Record, given: dict[str, str], environment: dict[str, str], asked: tuple[dict[str, str], str] | None
) -> None:
    settings = Settings.load({"set": [f"{key}={one}" for key, one in given.items()]}, environment, Path("/"))
    trial, release = Trial(Run("t5k2m9x7qd", Path("/")), settings, record), cast(Release, object())
    ground = Ground(trial, None, release, Configuration(), "models", "models")
    place = Place("models", "m", OWN, env=({"name": "SERVICEBUS_NAMESPACE", "value": "theirs"},))
    if asked is None:
        with pytest.raises(Unhealthy, match=r"pods ask Service Bus in theirs, and asb_namespace is ours \(--set"):
            services.WHERE["servicebus"](ground, place)
        return
    assert services.WHERE["servicebus"](ground, place) == asked
    warned = [one["line"] for one in events(record.path.parent) if one["kind"] == "warning"]
    assert len(warned) == len(environment), warned
    ground.release = None
    told = settings.asb_namespace
    assert services.WHERE["servicebus"](ground, place)[1] == (told or "theirs").partition(".")[0].lower()


@pytest.mark.parametrize(
    ("given", "environment", "asked", "warned"),
    [
        ({}, {}, (None, None), ""),
        ({"redis_host": "theirs"}, {"REDIS_PORT": "6379"}, ("theirs", 6379), ""),
        ({"redis_host": "Theirs"}, {}, ("Theirs", None), ""),
        ({}, {"REDIS_HOST": "ours"}, (None, None), "(REDIS_HOST (environment)): theirs:6379 was asked"),
        ({"redis_port": "6379"}, {"REDIS_HOST": "ours"}, (None, None), "(REDIS_HOST (environment)): theirs:6379 was"),
        ({"redis_host": "ours"}, {"REDIS_PORT": "6379"}, ("ours", 6379), "(--set redis_host=…): ours:6379 was asked"),
        ({"redis_port": "7"}, {}, (None, 7), "settings say theirs:7 (--set redis_port=…): theirs:7 was asked"),
        ({"redis_host": "ours", "probe_from": "runner"}, {}, ("ours", None), ""),  # a way of this machine's own
    ],
)
def test_a_redis_of_the_settings_is_not_taken_for_the_releases(
    record: Record,
    given: dict[str, str],
    environment: dict[str, str],
    asked: tuple[str | None, int | None],
    warned: str,
) -> None:
    settings = Settings.load({"set": [f"{key}={one}" for key, one in given.items()]}, environment, Path("/"))
    trial, release = Trial(Run("t5k2m9x7qd", Path("/")), settings, record), cast(Release, object())
    ground = Ground(trial, None, release, Configuration(), "models", "models")
    assert services._told(ground, Redis("theirs", 6379, "redis://theirs:6379"), "cache") == asked
    lines = [one["line"] for one in events(record.path.parent) if one["kind"] == "warning"]
    assert len(lines) == bool(warned)
    assert warned in "".join(lines)


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [("::1", "::1", None), ("[::1]", "::1", 1), ("localhost", "localhost", 1), ("127.0.0.1", "127.0.0.1", None)],
)
def test_a_redis_of_the_settings_is_asked_at_any_address(
    record: Record, given: str, host: str, port: int | None
) -> None:
    """By the program itself, here: nobody listens there, which is an answer, too."""
    more = {} if port is None else {"redis_port": str(port)}
    ground = standing(record, Configuration(), None, redis_host=given, probe_from="runner", **more)
    ground.kube, ask = None, {"commands": [["PING"]]}
    answer = services._redis(ground, Place("", "", ""), ask, None, "cache")
    assert (ask["host"], ask.get("port")) == (host, port)
    assert answer.probe.result()["at"] == f"{host}:{port or 6379}"


# -- agreement ------------------------------------------------------------------------------------------------------


def test_whose_broker_is_another_is_said_by_broker() -> None:
    same = dict.fromkeys((HELM, GATEWAY, FORWARDER, AUTOSCALER, BUILDER), "sqs")
    assert agreement.disagreement(same) == ""
    assert agreement.disagreement(same | {FORWARDER: "elasticache", HELM: "elasticache"}).startswith(
        "helm declares the broker elasticache, which the forwarders"
    )
    redis = dict.fromkeys(same, "redis")
    assert agreement.disagreement(redis | {HELM: "elasticache"}) == ""  # a word for Redis, where forwarders get another
    found = agreement.disagreement(same | {BUILDER: "redis"})
    assert found.endswith(": sqs by " + ", ".join(list(same)[:-1]) + "; redis by the builder's log")


def test_the_builders_log_tells_its_broker() -> None:
    assert agreement.transport(json.dumps(recordings.load("logs_healthy_builder"))) == "sqs"
    assert agreement.transport("- ** ---------- .> transport:   redis://redis:6379/0\n") == "redis"
    bus = '{"message": "Connected to azureservicebus://DefaultAzureCredential@ns.servicebus.windows.net"}'
    assert agreement.transport(bus) == "servicebus"
    assert agreement.transport("nothing of it") == ""


@pytest.mark.parametrize(
    ("options", "broker"),
    [
        ("    - --broker-type\n    - servicebus\n", "servicebus"),
        ('- "--broker-type"\n- "servicebus"\n- --sqs-url\n- u', "servicebus"),
        ("--broker-type=servicebus", "servicebus"),
        ("- --sqs-url\n- u\n", "sqs"),
        ("- --queue\n- q\n", "redis"),
    ],
)
def test_the_forwarders_command_line_tells_theirs(options: str, broker: str) -> None:
    assert (
        agreement.forwarder_type(f"- -m\n- model_engine_server.inference.forwarding.celery_forwarder\n{options}")
        == broker
    )
    assert agreement.forwarder_type(options) == "", "it is another program's"


# -- queues ---------------------------------------------------------------------------------------------------------


def watch(record: Record, refused: Refused | None, exists: bool, broker: str = "sqs") -> Watch:
    """Of the queue q, into which a pod of ours has looked once."""
    seen = {"ok": True, "exists": exists} if broker == "sqs" else {"ok": True, "replies": ["OK", 0, 0]}
    place = Place("models", "m", OWN)
    probe: Any = SimpleNamespace(lines=lambda: [seen], place=place, remove=lambda: None)
    trial = standing(record, Configuration(), timeout_factor="0.001").trial
    return Watch(trial, "q", probe, broker, (0,), refused)


@pytest.mark.parametrize("broker", ["sqs", "redis"])
def test_a_queue_that_a_guessed_broker_does_not_have_is_not_gone(record: Record, broker: str) -> None:
    watch(record, None, False, broker).gone()
    with pytest.raises(Refused, match="no right to ConfigMaps"):
        watch(record, Refused("no right to ConfigMaps"), False, broker).gone()
    assert not list(open_entries(events(record.path.parent)))


def test_a_queue_that_is_left_is_the_journals(record: Record) -> None:
    with pytest.raises(Unhealthy, match="the queue q is left"):
        watch(record, None, True).gone()
    assert [one.name for one in open_entries(events(record.path.parent))] == ["q"]


# -- regions --------------------------------------------------------------------------------------------------------


def test_who_means_which_region_is_said_by_region() -> None:
    assert regions.differing({"a": "us-west-2", "b": "us-west-2"}) == ""
    assert regions.differing({"a": "us-west-2", "b": "eu-west-1"}).endswith(": us-west-2 by a; eu-west-1 by b")


# -- words and codes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("azure.servicebus.exceptions.ServiceBusAuthenticationError: CBS Token", "servicebus.auth/servicebus"),
        ("azure.identity: WorkloadIdentityCredential: AADSTS700213: No matching", "servicebus.auth/servicebus"),
        (
            "Unauthorized access. 'Manage' claim(s) are required. sb://ns.servicebus.windows.net",
            "servicebus.denied/servicebus",
        ),
        ("amqp:not-found: The messaging entity 'sb://ns/q' could not be found", "servicebus.no-such-queue/servicebus"),
        ("Cannot connect to azureservicebus://x: [Errno 111] Connection refused", "servicebus.refused/servicebus"),
        ("https://ns.servicebus.windows.net/q: Name or service not known", "servicebus.dns/servicebus"),
        ("ServiceBusConnectionError: amqp:connection:forced", "servicebus.closed/servicebus"),
        ("Cannot connect to sqs://localhost//: Could not connect to the endpoint URL", "broker.refused/sqs"),
    ],
)
def test_what_logs_say_of_a_broker(text: str, key: str) -> None:
    found = broker.told(text, "sqs", "cache:6379")
    assert found is not None
    assert found.key == key


def test_what_probes_say_has_the_keys_that_logs_have() -> None:
    assert cause("servicebus", "auth", "ns:5671").key == "servicebus.auth/servicebus"
    assert cause("servicebus", "denied", "ns:5671").key == "servicebus.denied/servicebus"
    assert cause("servicebus", "409", "ns:5671").line == "the broker servicebus answers 409"
    assert cause("sqs", "AccessDeniedException", "SQS").key == "broker.denied/sqs"
    assert cause("sqs", "unreachable", "SQS").key == "broker.refused/sqs"


def test_a_queue_is_deleted_by_hand_where_it_is() -> None:
    sqs, bus = QUEUE_SERVICES["sqs"], QUEUE_SERVICES["servicebus"]
    assert sqs.deletes("q", "eu-west-1") == (
        "aws sqs delete-queue --region eu-west-1 --queue-url "
        "$(aws sqs get-queue-url --region eu-west-1 --queue-name q --query QueueUrl --output text)"
    )
    assert "--region" not in sqs.deletes("q")
    assert bus.deletes("q", "ns").endswith("--namespace-name ns --name q")
    assert sqs.finds("q") == "aws sqs get-queue-url --queue-name q"


def test_what_is_taken_is_not_told_from_what_waits_where_the_broker_does_not() -> None:
    one = Depth(True, 1, 0, together=True)
    assert where(one) == "in its queue are 1 waiting, or taken and not done"
    assert not one.empty
    assert Depth(True, 0, 0, together=True).empty


@pytest.mark.parametrize(
    ("replies", "seen"),
    [
        (["OK", 0, 0, "OK", 0, 0], Depth(True, 0, 0)),
        (["OK", 2, 0, "OK", 0, 0], Depth(True, 2, 0, (0,))),
        (["OK", 0, 0, "OK", 0, 1], Depth(True, 0, None)),  # somebody has taken something, of whichever queue
        (["OK", 0, 0], Depth(True, 0, 0)),
    ],
)
def test_redis_says_whether_anything_is_taken_at_all(replies: list[Any], seen: Depth) -> None:
    probe: Any = SimpleNamespace(lines=lambda: [{"ok": True, "replies": replies}])
    watch = Watch(cast(Trial, None), "q", probe, REDIS, REDIS_DATABASES[: len(replies) // 3])
    assert watch.depths() == [seen]
    assert watch.depths()[0].empty is ((seen.waiting, seen.taken) == (0, 0))
