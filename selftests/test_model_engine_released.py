"""The released contract's stand-ins answer what the real product answered: selftests/data/model-engine, again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import recordings
from model_engine_sandbox import SCALE, WAIT, Object, Release, environment, started
from recordings import Replay, request, until

from sandbox.client import ApiError

CACHE = 15 * SCALE

STATELESS = (
    *("health_healthcheck", "health_healthz", "health_readyz", "list_noauth", "list_basic_malformed"),
    *("list_bearer_empty", "list_bearer_emptytoken", "list_bearer_malformed", "list_bad_orderby", "list_name_notfound"),
    *("longtoken_bundle", "longtoken_create", "longtoken_list", "get_notfound", "delete_sync_again"),
    *("bundle_bad_flavor", "bundle_missing_protocol", "bundle_missing_schema_location", "bundle_get_notfound"),
    *(
        "bundle_create_ok",
        "bundle_restricted_env",
        "seed_create_inline_bundle",
        "seed_create_inline_bundle_plus_bad_id",
    ),
    *("sync_task_missing_id", "sync_task_unknown_id"),
)
WITH_A_BUNDLE = (
    *("create_bad_gpu_type", "create_cpus_too_high", "create_label_bad_value", "create_label_missing_product"),
    *("create_missing_metadata", "create_missing_storage", "create_name_too_long", "create_streaming_perworker2"),
    "create_unknown_extra_field",
)
WORKER = ("echo_get_health", "echo_get_readyz", "echo_predict500", "echo_predict_delay", "echo_predict_invalid_json")
WORKER += ("echo_predict_status418", "echo_chat")
BUILDER = "model-engine-endpoint-builder"
FORWARDER = ("fwd_readyz", "fwd_predict_noargs")


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    """One of its own: what its logs say from the first start on is compared."""
    with started() as release:
        yield release


@pytest.fixture
def replay(release: Release) -> Replay:
    """A user of its own for each test: nothing of another test is in its lists."""
    up = release.up
    repository, tag = up["image"].rsplit(":", 1)
    user = f"user-{uuid.uuid4().hex[:8]}"
    now = {
        "registry.company.local/model-engine": repository,
        "a82369619a365b79a45e49ef6af1045653102615": tag,
        '"readiness_initial_delay_seconds": 20': '"readiness_initial_delay_seconds": 0',
    }
    return Replay(release.gateway_url, user, now)


@pytest.fixture
def bundle(replay: Replay) -> str:
    """The id of the bundle that the recordings were made with."""
    bundle_id = replay("bundle_create_ok")["model_bundle_id"]
    replay.now[recordings.load("bundle_create_ok")["response"]["body"]["model_bundle_id"]] = bundle_id
    return str(bundle_id)


def listed(replay: Replay, name: str, order_by: str = "") -> list[Object]:
    """The gateway's list."""
    query = f"?name={name}" + (f"&order_by={order_by}" if order_by else "")
    answer = request(f"{replay.url}/v1/model-endpoints{query}", "GET", f"Bearer {replay.user}")
    assert answer.status == 200, answer
    return list(answer.body["model_endpoints"])


def create(replay: Replay, recording: str, name: str, **changes: Any) -> Object:
    """Make a recorded create under another name; the new endpoint as it is listed first."""
    recorded = recordings.load(recording)["request"]
    answer = replay.ask(recorded | {"json": recorded["json"] | {"name": name} | changes})
    assert answer.status == 200, answer
    return listed(replay, name, "newest")[0]


def standing(endpoints: list[Object]) -> tuple[str, int] | None:
    """Status and available workers of the only endpoint, None while none is listed."""
    return next(((one["status"], (one["deployment_state"] or {}).get("available_workers")) for one in endpoints), None)


def serving(replay: Replay, name: str) -> Object:
    """The endpoint, once it is READY and has a worker, and the memory that tasks go by has heard of it, too."""

    until(lambda: standing(listed(replay, name)) == ("READY", 1), WAIT)
    path = f"{replay.url}/v1/model-endpoints/{listed(replay, name)[0]['id']}"
    until(lambda: request(path, "GET", f"Bearer {replay.user}").body["status"] == "READY", WAIT)
    return listed(replay, name)[0]


@pytest.mark.parametrize("name", STATELESS)
def test_answers_without_state(replay: Replay, name: str) -> None:
    replay(name)


@pytest.mark.parametrize("name", WITH_A_BUNDLE)
def test_refused_creates(replay: Replay, bundle: str, name: str) -> None:
    replay(name)


def test_the_cacher_keeps_images_at_hand(release: Release) -> None:
    said = {line["message"] for line in log_of(release, "model-engine-cacher")}
    made = {line["message"] for line in recordings.load("logs_healthy_cacher") if "Created image" in line["message"]}
    assert made <= said
    path = f"/apis/apps/v1/namespaces/{release.endpoints}/daemonsets"
    caches = {one["metadata"]["name"]: one for one in release.kube("GET", path)["items"]}
    assert {f"Created image cache daemonset {name}" for name in caches} == made
    (pod,) = release.pods(release.endpoints, "app=launch-image-cache-cpu")  # no node fits the others
    until(lambda: waiting_for_images(release, pod["metadata"]["name"]), WAIT)


def waiting_for_images(release: Release, name: str) -> bool:
    """Whether a pod of the endpoints' namespace has an image that nobody pushed."""
    pod = release.kube("GET", f"/api/v1/namespaces/{release.endpoints}/pods/{name}")
    states = [one["state"].get("waiting", {}) for one in pod["status"].get("containerStatuses", [])]
    return any(state.get("reason") == "ImagePullBackOff" for state in states)


def test_bundles_are_kept(replay: Replay, bundle: str) -> None:
    replay("bundle_get")
    recorded = recordings.load("bundle_create_ok_same_name_again")["response"]["body"]["model_bundle_id"]
    replay.now[recorded] = replay("bundle_create_ok_same_name_again")["model_bundle_id"]
    assert replay("bundle_latest")["id"] == replay.now[recorded]
    mine = request(f"{replay.url}/v2/model-bundles?model_name=smoke-test-echo", "GET", f"Bearer {replay.user}")
    assert [one["id"] for one in mine.body["model_bundles"]] == [bundle, replay.now[recorded]]
    assert request(f"{replay.url}/v2/model-bundles/{bundle}", "DELETE", f"Bearer {replay.user}").status == 405
    document = request(f"{replay.url}/openapi.json", "GET", None).body
    assert {"/v2/model-bundles", "/v1/model-endpoints", "/v1/sync-tasks"} <= set(document["paths"])


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"gpu_type": "nvidia-tesla-t4"}, "Cannot have gpus=0 when gpu_type is not None"),
        ({"gpus": 1}, "Must provide gpu_type if gpus > 0"),
        ({"memory": "29Gi"}, "Requested memory=33285996544 too high. The maximum for gpu_type=None is 28Gi"),
        ({"memory": "much"}, "Requested memory='much' is incorrectly formatted"),
        ({"storage": "0Gi"}, "Requested storage must be positive"),
        ({"max_workers": 51}, "Requested max workers 51 too high"),
        ({"labels": {"team": "t", "product": "p", "user_id": "u"}}, "Cannot specify 'user_id' in labels"),
    ],
)
def test_business_rules(replay: Replay, bundle: str, changes: Object, detail: str) -> None:
    recorded = recordings.load("e2e_sync_create")["request"]
    answer = replay.ask(recorded | {"json": recorded["json"] | changes})
    assert (answer.status, answer.body) == (400, {"detail": detail})


def test_what_is_not_part_of_the_sandbox_says_so(replay: Replay, bundle: str) -> None:
    recorded = recordings.load("e2e_sync_create")["request"]
    answer = replay.ask(recorded | {"json": recorded["json"] | {"gpus": 1, "gpu_type": "nvidia-tesla-t4"}})
    assert (answer.status, answer.body) == (501, {"detail": "an endpoint with GPUs is not part of the sandbox"})


def test_a_bundle_that_cannot_serve_the_type(replay: Replay, bundle: str) -> None:
    recorded = recordings.load("bundle_create_ok")["request"]
    flavor = recorded["json"]["flavor"]
    plain = flavor | {"flavor": "runnable_image"}
    for changed, kind, detail in (
        (plain, "streaming", "Cannot create a streaming endpoint for a non-streaming model bundle."),
        (flavor | {"command": []}, "sync", "Cannot create a non-streaming endpoint with no bundle command."),
    ):
        made = replay.ask(recorded | {"json": recorded["json"] | {"flavor": changed}}).body["model_bundle_id"]
        create_request = recordings.load("e2e_sync_create")["request"]
        changes = {"model_bundle_id": made, "endpoint_type": kind}
        answer = replay.ask(create_request | {"json": create_request["json"] | changes})
        assert (answer.status, answer.body) == (400, {"detail": detail})
    triton = plain | {"flavor": "triton_enhanced_runnable_image", "triton_model_repository": "r"}
    triton |= {"triton_num_cpu": 1, "triton_commit_tag": "c"}
    assert replay.ask(recorded | {"json": recorded["json"] | {"flavor": triton}}).status == 501


def test_a_sync_endpoint_from_create_to_delete(release: Release, replay: Replay, bundle: str) -> None:
    name = "smoke-test-echo-sync"
    # The first create of a gateway makes its client for SQS; what follows looks at a cache of 15 s, here 3.
    create(replay, "e2e_sync_create", "before-it", endpoint_type="async")
    replay("e2e_sync_create")
    replay("e2e_sync_list_immediately")
    replay("e2e_sync_create_duplicate")

    # A key of the cache that was not used yet shows it at once.
    endpoint_id = listed(replay, name, "newest")[0]["id"]
    recorded_id = recordings.load("e2e_sync_get_by_id")["response"]["body"]["id"]
    replay.now |= {recorded_id: endpoint_id, recorded_id.replace("_", "-"): endpoint_id.replace("_", "-")}

    seen: list[tuple[str, int] | None] = []
    until(lambda: seen.append(standing(listed(replay, name))) or seen[-1] == ("READY", 1), WAIT)
    recorded = [
        (status, workers) if status else None for _, status, workers, _ in recordings.load("status_timeline")["sync"]
    ]
    assert (seen[0], seen[-1]) == (recorded[0], recorded[-1])
    endpoint = listed(replay, name)[0]
    replay("e2e_sync_ready")
    time.sleep(CACHE)  # by id it is remembered as it was created
    replay("e2e_sync_get_by_id")
    replay("create_duplicate_after_cache_expiry")
    for recording in ("sync_task_no_args", "sync_task_status400", "sync_task_status500", "sync_task_other_user"):
        replay(recording)
    replay("sync_task_status429")  # 10 s of retries
    # Slower than the retries' budget, and answered.
    slow = recordings.load("sync_task_delay12")["request"]
    slow["json"]["args"]["delay"] = 12 * SCALE
    assert replay.ask(slow).body["status"] == "SUCCESS"

    (pod,) = release.pods(release.endpoints, f"endpoint_name={name},user_id={replay.user}")
    for port, names in ((5005, WORKER), (5000, FORWARDER)):
        direct = Replay(f"http://{pod['status']['podIP']}:{port}", replay.user)
        for recording in names:
            direct(recording)
    check_deployment(release, replay, endpoint["deployment_name"], "k8s_deployment_smoke-test-echo-sync", 600)

    time.sleep(CACHE)
    begun = time.monotonic()
    listed(replay, name)  # what the gateway now remembers
    replay("delete_sync")
    replay("delete_sync_again")
    if time.monotonic() - begun < CACHE / 2:  # a busy machine is slower than the memory is long
        replay("delete_sync_list_after")
    until(lambda: not listed(replay, name), WAIT)
    for kind in ("apps/v1:deployments", "autoscaling/v2:horizontalpodautoscalers", "policy/v1:poddisruptionbudgets"):
        group, _, plural = kind.partition(":")
        path = f"/apis/{group}/namespaces/{release.endpoints}/{plural}"
        assert release.kube("GET", path, labelSelector=f"endpoint_id={endpoint_id}")["items"] == []
    for plural in ("services", "configmaps"):
        path = f"/api/v1/namespaces/{release.endpoints}/{plural}"
        assert release.kube("GET", path, labelSelector=f"endpoint_id={endpoint_id}")["items"] == []


def check_deployment(release: Release, replay: Replay, name: str, recording: str, grace_period: int) -> None:
    """The Deployment against the recorded one, apart from what helm values decide and the API server adds."""
    expected = replay.translated(recordings.load(recording))
    deployment = release.kube("GET", f"/apis/apps/v1/namespaces/{release.endpoints}/deployments/{name}")
    assert set(deployment["metadata"]["labels"]) == set(expected["metadata"]["labels"])
    pod, expected_pod = (one["spec"]["template"] for one in (deployment, expected))
    assert set(pod["metadata"]["labels"]) == set(expected_pod["metadata"]["labels"])
    assert set(pod["metadata"]["annotations"]) == set(expected_pod["metadata"]["annotations"])
    assert pod["spec"]["terminationGracePeriodSeconds"] == grace_period
    annotations = expected["metadata"].get("annotations", {})
    assert set(annotations) <= set(deployment["metadata"]["annotations"])
    assert pod["spec"]["volumes"][1:3] != []
    for container, wanted in zip(pod["spec"]["containers"], expected_pod["spec"]["containers"], strict=True):
        broker = wanted["command"].index("--broker-type") + 1 if "--broker-type" in wanted["command"] else None
        assert container["command"][:broker] == wanted["command"][:broker]  # the recording's broker was Redis
        assert [pair["name"] for pair in container["env"]] == [pair["name"] for pair in wanted["env"]]
        probes = [one.get("readinessProbe", {}).get("httpGet", {}).get("port") for one in (container, wanted)]
        assert probes[0] == probes[1]
        assert set(container["resources"]["requests"]) == set(wanted["resources"]["requests"])


def adopt(release: Release, replay: Replay, recording: str, name: str) -> Object:
    """The endpoint `name`, created as recorded, once it serves; the recordings' id and environment are now its own."""
    replay(f"{recording}_create")
    replay(f"{recording}_list_immediately")
    endpoint_id = listed(replay, name, "newest")[0]["id"]
    recorded_id = recordings.load(f"{recording}_get_by_id")["response"]["body"]["id"]
    replay.now |= {recorded_id: endpoint_id, recorded_id.replace("_", "-"): endpoint_id.replace("_", "-")}
    endpoint = serving(replay, name)
    until(lambda: listed(replay, name)[0]["num_queued_items"] is None, WAIT)  # the cacher's word; others count
    replay(f"{recording}_ready")
    replay(f"{recording}_get_by_id")
    return endpoint


def finished(replay: Replay, recording: str) -> Object:
    """A recorded task's answer, made again; in `replay` its recorded id becomes the new one's."""
    task = replay(f"{recording}_create")["task_id"]
    replay.now[recordings.load(f"{recording}_create")["response"]["body"]["task_id"]] = task
    return await_task(replay, task)


def await_task(replay: Replay, task: str) -> Object:
    """The task's answer once it is no longer underway."""
    path = f"{replay.url}/v1/async-tasks/{task}"
    seen = []

    def look() -> bool:
        seen.append(request(path, "GET", f"Bearer {replay.user}").body)
        return seen[-1]["status"] not in ("PENDING", "STARTED")

    until(look, WAIT)
    return seen[-1]


@pytest.mark.prove
def test_an_async_endpoint_from_create_to_delete(release: Release, replay: Replay, bundle: str) -> None:
    endpoint = adopt(release, replay, "e2e_async", "smoke-test-echo-async")
    replay("sync_task_on_async_endpoint")
    recorded = recordings.load("async_task_pending")
    assert recorded["request"] == recordings.load("async_task_final")["request"]
    pending = await_task(replay, replay("async_task_create")["task_id"])  # its first look may find it done
    assert set(pending) == set(recorded["response"]["body"])
    assert finished(replay, "async_task")["status"] == "SUCCESS"
    replay("async_task_final")
    replay("async_get_unknown_task")
    for recording, args in (
        ("async_delay8_final", {"y": 1, "delay": 8}),
        ("async_status500_final", {"y": 1, "status_code": 500}),
        ("async_noargs_final", None),
    ):
        ask = recordings.load("async_delay8_create")["request"]
        slow = {name: value * SCALE if name == "delay" else value for name, value in (args or {}).items()} or None
        task = replay.ask(ask | {"json": {"args": slow}}).body["task_id"]
        expected = recordings.load(recording)["response"]["body"]
        if args and "delay" in args:
            expected["result"]["result"] = expected["result"]["result"].replace("8", str(8 * SCALE))
        expected |= {"task_id": task}
        # A failure is written twice, at first with its traceback.
        until(lambda task=task, expected=expected: await_task(replay, task) == expected, WAIT)

    check_deployment(release, replay, endpoint["deployment_name"], "k8s_deployment_smoke-test-echo-async", 1800)
    sqs = SimpleQueues(release)
    (url,) = sqs.named(endpoint["destination"])
    assert sqs.client.list_queue_tags(QueueUrl=url)["Tags"] == {
        "Spellbook-Serve-Endpoint-Id": endpoint["id"],
        "Spellbook-Serve-Endpoint-Name": endpoint["name"],
        "Spellbook-Serve-Endpoint-Created-By": replay.user,
    }
    attributes = sqs.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert endpoint["destination"] in attributes["Policy"]
    assert attributes["VisibilityTimeout"] == "43200"
    services = f"/api/v1/namespaces/{release.endpoints}/services"
    assert release.kube("GET", services, labelSelector=f"endpoint_id={endpoint['id']}")["items"] == []

    time.sleep(CACHE)
    listed(replay, endpoint["name"])
    replay("delete_async")
    replay("delete_async_again")
    until(lambda: not listed(replay, endpoint["name"]), WAIT)
    replay("delete_async_list_after")
    assert sqs.named(endpoint["destination"]) == []


class SimpleQueues:
    """The release's SQS, as boto3 sees it."""

    def __init__(self, release: Release) -> None:
        import boto3

        (pod,) = release.pods(release.namespace, "app=model-engine")[:1]
        env = {pair["name"]: pair.get("value") for pair in pod["spec"]["containers"][0]["env"]}
        url = env["AWS_ENDPOINT_URL_SQS"]
        self.client = boto3.client(
            "sqs", endpoint_url=url, region_name="us-west-2", aws_access_key_id="k", aws_secret_access_key="s"
        )

    def named(self, prefix: str) -> list[str]:
        """The queues' URLs whose names begin so."""
        return list(self.client.list_queues(QueueNamePrefix=prefix).get("QueueUrls", []))


@pytest.mark.prove
def test_a_task_whose_endpoint_expires_it_is_not_done(release: Release, replay: Replay, bundle: str) -> None:
    with release.without("celery-autoscaler-sqs", "statefulsets"):  # or it would have a worker there in time
        endpoint = create(replay, "e2e_async_create", "impatient", task_expires_seconds=1, min_workers=0)
        until(lambda: (listed(replay, "impatient") or [{}])[0].get("status") == "READY", WAIT)
        path = f"{replay.url}/v1/model-endpoints/{endpoint['id']}"
        until(lambda: request(path, "GET", f"Bearer {replay.user}").body["status"] == "READY", WAIT)
        url = f"{replay.url}/v1/async-tasks?model_endpoint_id={endpoint['id']}"
        task = request(url, "POST", f"Bearer {replay.user}", {"args": {"y": 1}}).body["task_id"]
        time.sleep(1.1)
        deployments = f"/apis/apps/v1/namespaces/{release.endpoints}/deployments/{endpoint_name(endpoint)}"
        release.kube("PATCH", deployments, {"spec": {"replicas": 1}})

        def said() -> bool:
            for pod in release.pods(release.endpoints, f"endpoint_id={endpoint['id']}"):
                log = f"/api/v1/namespaces/{release.endpoints}/pods/{pod['metadata']['name']}/log"
                try:
                    text = release.kube("GET", log, container="celery-forwarder")
                except ApiError:
                    continue
                if f"Discarding revoked task: {task}" in text or f"[{task}] received" in text:
                    return True
            return False

        until(said, WAIT)
        answer = request(f"{replay.url}/v1/async-tasks/{task}", "GET", f"Bearer {replay.user}").body
        assert answer["status"] != "SUCCESS"


@pytest.mark.prove
def test_the_autoscaler_gives_an_endpoint_a_worker_once_a_task_waits(
    release: Release, replay: Replay, bundle: str
) -> None:
    endpoint = create(replay, "e2e_async_create", "from-nothing", min_workers=0)
    until(lambda: (listed(replay, "from-nothing") or [{}])[0].get("status") == "READY", WAIT)
    path = f"{replay.url}/v1/model-endpoints/{endpoint['id']}"
    until(lambda: request(path, "GET", f"Bearer {replay.user}").body["status"] == "READY", WAIT)
    assert release.pods(release.endpoints, f"endpoint_id={endpoint['id']}") == []
    url = f"{replay.url}/v1/async-tasks?model_endpoint_id={endpoint['id']}"
    task = request(url, "POST", f"Bearer {replay.user}", {"args": {"y": 1}}).body["task_id"]
    assert await_task(replay, task)["status"] == "SUCCESS"
    messages = [line["message"] for line in release.log("celery-autoscaler-sqs-0")]
    assert any(re.fullmatch(rf"Inflight : launch-endpoint-id-{endpoint['id']} : 1", line) for line in messages)
    assert any(re.fullmatch(r"Iteration length: \d\S* seconds\.", line) for line in messages)


def endpoint_name(endpoint: Object) -> str:
    """What its objects in Kubernetes are called."""
    return f"launch-endpoint-id-{endpoint['id'].replace('_', '-')}"


@pytest.mark.prove
def test_sqs_denies(release: Release, replay: Replay, bundle: str) -> None:
    """The endpoint's queue cannot be made, or removed: the product says so."""
    create(replay, "e2e_sync_create", "before-it")  # the gateway makes the builder's queue if it has not seen it yet
    with denied(release, "CreateQueue"):
        create(replay, "e2e_async_create", "no-queue")
        until(lambda: (listed(replay, "no-queue") or [{}])[0].get("status") == "UPDATE_FAILED", WAIT)
        assert listed(replay, "no-queue")[0]["status_reason"] == "Failed to create SQS queue"
    endpoint = create(replay, "e2e_async_create", "stuck-queue", min_workers=0)
    until(lambda: (listed(replay, "stuck-queue") or [{}])[0].get("status") == "READY", WAIT)
    path = f"{replay.url}/v1/model-endpoints/{endpoint['id']}"
    until(lambda: request(path, "GET", f"Bearer {replay.user}").body["status"] == "READY", WAIT)
    with denied(release, "SendMessage"):
        url = f"{replay.url}/v1/async-tasks?model_endpoint_id={endpoint['id']}"
        sent = request(url, "POST", f"Bearer {replay.user}", {"args": {"y": 1}})
        assert (sent.status, "AccessDenied" in sent.body["detail"]) == (400, True)
        recorded = recordings.load("e2e_sync_create")["request"]
        assert replay.ask(recorded | {"json": recorded["json"] | {"name": "not-sent"}}).status == 500
    with denied(release, "DeleteQueue"):
        refused = request(path, "DELETE", f"Bearer {replay.user}")
    assert (refused.status, refused.body["detail"]) == (
        500,
        "deletion of endpoint failed, compute resources still exist.",
    )
    assert request(path, "DELETE", f"Bearer {replay.user}").body == {"deleted": True}


@contextlib.contextmanager
def denied(release: Release, action: str) -> Iterator[None]:
    """With `action` of SQS denied to all."""
    operator = json.loads((Path(release.up["directory"]) / "sandbox.json").read_text())["operator_url"]
    assert request(f"{operator}/sqs/deny", "PUT", None, [["*", action]]).status == 200
    try:
        yield
    finally:
        request(f"{operator}/sqs/deny", "PUT", None, [])


@pytest.mark.prove
def test_a_streaming_endpoint_from_create_to_delete(release: Release, replay: Replay, bundle: str) -> None:
    endpoint = adopt(release, replay, "e2e_streaming", "smoke-test-echo-streaming")
    assert replay("streaming_task") == recordings.load("streaming_task")["response"]["body"]
    replay("sync_task_on_streaming_endpoint")
    (pod,) = release.pods(release.endpoints, f"endpoint_id={endpoint['id']}")
    Replay(f"http://{pod['status']['podIP']}:5005", replay.user)("echo_stream")
    recorded = recordings.load("sync_task_on_streaming_endpoint")["request"]
    assert replay.ask(recorded | {"path": recorded["path"].replace("sync", "async")}).status == 400
    time.sleep(CACHE)
    listed(replay, endpoint["name"])
    replay("delete_streaming")
    until(lambda: not listed(replay, endpoint["name"]), WAIT)
    replay("delete_streaming_list_after")


@pytest.mark.prove
def test_a_stream_without_a_worker_fails_in_its_first_event(release: Release, replay: Replay, bundle: str) -> None:
    create(replay, "e2e_streaming_create", "streaming")
    endpoint = serving(replay, "streaming")
    recorded = recordings.load("streaming_task")["request"]
    replay.now[recorded["path"].partition("=")[2]] = endpoint["id"]
    (pod,) = release.pods(release.endpoints, f"endpoint_id={endpoint['id']}")
    # The worker is gone, its Service not yet.
    path = f"/apis/apps/v1/namespaces/{release.endpoints}/deployments/{endpoint['deployment_name']}"
    release.kube("PATCH", path, {"spec": {"replicas": 0}})
    ended = f"/api/v1/namespaces/{release.endpoints}/pods/{pod['metadata']['name']}"
    release.kube("DELETE", ended, {"gracePeriodSeconds": 0})  # by itself it would go after 600 s: it ignores SIGTERM
    until(lambda: not release.pods(release.endpoints, f"endpoint_id={endpoint['id']}"), WAIT)
    failed = replay.ask(recordings.load("streaming_task")["request"])
    assert (failed.status, "No healthy upstream" in failed.body) == (200, True)


def test_a_streaming_task_needs_a_streaming_endpoint(replay: Replay, bundle: str) -> None:
    recorded = recordings.load("streaming_task_on_sync_endpoint")
    recorded_id = recorded["request"]["path"].partition("=")[2]
    replay.now[recorded_id] = create(replay, "e2e_sync_create", "a-sync-one")["id"]
    replay("streaming_task_on_sync_endpoint")


def test_forwarder_max_concurrency_breaks_the_forwarder(replay: Replay, bundle: str) -> None:
    recorded_id = recordings.load("bug_forwarder_max_concurrency_sync_task")["request"]["path"].partition("=")[2]
    create(replay, "e2e_sync_create", "concurrent", forwarder_max_concurrency=2)
    endpoint = serving(replay, "concurrent")
    assert endpoint["deployment_state"]["forwarder_max_concurrency"] == 2
    replay.now[recorded_id] = endpoint["id"]
    replay("bug_forwarder_max_concurrency_sync_task")


@pytest.mark.prove
def test_without_a_builder_an_endpoint_stays_pending(release: Release, replay: Replay, bundle: str) -> None:
    with release.without("model-engine-endpoint-builder"):
        replay("pending_create_builder_down")
        pending = listed(replay, "smoke-pending", "newest")[0]
        replay.now[recordings.load("pending_get_by_id")["response"]["body"]["id"]] = pending["id"]
        replay("pending_get_by_id")
        # The recorded 404 came from that machine's name server, which knew every name; here nothing has that name.
        task = replay.ask(recordings.load("pending_sync_task")["request"])
        unavailable = {"status": "FAILURE", "result": None, "traceback": "No healthy upstream", "status_code": 503}
        assert (task.status, task.body) == (200, unavailable)
        replay("pending_delete")
    # The build waits in the queue all the same, and makes objects that no endpoint owns.
    path = f"/apis/apps/v1/namespaces/{release.endpoints}/deployments"
    selector = f"endpoint_id={pending['id']}"
    (orphan,) = until(lambda: release.kube("GET", path, labelSelector=selector)["items"], WAIT)
    release.kube("DELETE", f"{path}/{orphan['metadata']['name']}")


def test_a_forbidden_variable_leaves_an_endpoint_pending(release: Release, replay: Replay) -> None:
    recorded = recordings.load("bundle_restricted_env")["response"]["body"]["model_bundle_id"]
    replay.now[recorded] = replay("bundle_restricted_env")["model_bundle_id"]
    replay("restricted_create")
    until(
        lambda: any("cannot set the following env vars: DD_ENV" in one["message"] for one in log_of(release, BUILDER)),
        WAIT,
    )
    until(lambda: listed(replay, "smoke-restricted"), WAIT)
    body = replay("restricted_list")
    recorded = recordings.load("restricted_list")["response"]["body"]["model_endpoints"][0]["id"]
    replay.now[recorded] = body["model_endpoints"][0]["id"]
    replay("restricted_delete")


def log_of(release: Release, app: str) -> list[Object]:
    """The log of a control-plane pod, by its label `app`."""
    return release.log(release.pods(release.namespace, f"app={app}")[0]["metadata"]["name"])


def test_a_refused_object_fails_the_build(release: Release, bundle: str, replay: Replay) -> None:
    # The recording had no right to create Deployments. Here the user's name is no label value: refused as well.
    user = "no label value!"
    theirs = Replay(replay.url, user, dict(replay.now))
    theirs.now[recordings.RECORDED_USER] = user
    theirs.now[next(then for then, today in replay.now.items() if today == bundle)] = theirs("bundle_create_ok")[
        "model_bundle_id"
    ]
    theirs("k8sfail_create")
    until(
        lambda: listed(theirs, "smoke-k8sfail") and listed(theirs, "smoke-k8sfail")[0]["status"] == "UPDATE_FAILED",
        WAIT,
    )
    body = theirs("k8sfail_list")
    theirs.now[recordings.load("k8sfail_list")["response"]["body"]["model_endpoints"][0]["id"]] = body[
        "model_endpoints"
    ][0]["id"]
    theirs("k8sfail_delete")
    assert any("EndpointResourceInfraException()" in line["message"] for line in log_of(release, BUILDER))


def test_a_refused_delete(release: Release, replay: Replay, bundle: str) -> None:
    endpoint = create(replay, "e2e_sync_create", "stays", endpoint_type="async")
    path = f"/api/v1/namespaces/{release.namespace}/configmaps"
    mount = {"ca.crt": release.kube("GET", f"{path}/kube-root-ca.crt")["data"]["ca.crt"], "token": "of nobody"}
    name = f"token-{uuid.uuid4().hex[:8]}"
    release.kube("POST", path, {"metadata": {"name": name}, "data": mount})

    def change(spec: Object) -> None:
        spec["automountServiceAccountToken"] = False
        spec["volumes"].append({"name": "token", "configMap": {"name": name}})
        where = "/var/run/secrets/kubernetes.io/serviceaccount"
        spec["containers"][0]["volumeMounts"].append({"name": "token", "mountPath": where})

    with release.another_gateway(change) as (_, url):
        answer = request(f"{url}/v1/model-endpoints/{endpoint['id']}", "DELETE", f"Bearer {replay.user}")
    assert (answer.status, answer.body["detail"]) == (
        500,
        "deletion of endpoint failed, compute resources still exist.",
    )
    until(lambda: listed(replay, "stays", "oldest")[0]["status"] == "UPDATE_FAILED", WAIT)
    (kept,) = listed(replay, "stays", "oldest")
    assert kept["status_reason"] == "Failed to delete the endpoint's infrastructure."


@pytest.mark.prove
def test_no_usable_database(release: Release, replay: Replay) -> None:
    """Refused, without an address, not migrated."""
    up = urlsplit(release.up["database_url"])
    with psycopg.connect(up.geturl(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE unmigrated")
    refused, unknown = (up._replace(netloc=f"postgres:x@{host}").geturl() for host in ("127.0.0.1:1", "host.invalid"))
    unmigrated = up._replace(path="/unmigrated").geturl()
    for database_url, names, error in (
        (refused, ("db_refused_list", "db_refused_llm_list", "db_refused_readyz"), "[Errno 111] Connect call failed"),
        (
            unknown,
            ("db_noname_list", "db_noname_llm_list", "db_noname_readyz"),
            "socket.gaierror: [Errno -2] Name or service not known",
        ),
        (
            unmigrated,
            ("db_unmigrated_healthz", "db_unmigrated_llm_list"),
            'relation "hosted_model_inference.endpoints" does not exist',
        ),
    ):
        with release.another_gateway(environment(ML_INFRA_DATABASE_URL=database_url)) as (name, url):
            there = Replay(url, replay.user)
            for recording in names:
                there(recording)
            answer = there.ask(recordings.load("db_refused_list")["request"])
            (line,) = [one for one in release.log(name) if answer.body["request_id"] in one["message"]]
            assert error in line["message"]


def with_cache(release: Release, url: str) -> Callable[[Object], None]:
    """Changes a pod's spec so that the cache is looked for at `url`."""
    path = f"/api/v1/namespaces/{release.namespace}/configmaps"
    config = release.kube("GET", f"{path}/model-engine-service-config")
    data = {name: re.sub(r"redis://[^/]+", url, text) for name, text in config["data"].items()}
    other = f"config-{uuid.uuid4().hex[:8]}"
    release.kube("POST", path, {"metadata": {"name": other}, "data": data})

    def change(spec: Object) -> None:
        for volume in spec["volumes"]:
            if volume.get("configMap", {}).get("name") == "model-engine-service-config":
                volume["configMap"]["name"] = other

    return change


@pytest.mark.prove
def test_redis_refuses(release: Release, replay: Replay, bundle: str) -> None:
    create(replay, "e2e_sync_create", "there-is-one")
    change = with_cache(release, "redis://127.0.0.1:1")
    with release.another_gateway(change) as (_, url):
        there = Replay(url, replay.user, replay.now)
        for name in ("redis_down_readyz", "redis_down_list", "redis_down_list_bogus_name", "redis_down_create"):
            there(name)
    with release.copy_of("model-engine-cacher", change) as (name, _):
        assert "ConnectionError: Error 111 connecting to 127.0.0.1:1. 111." in uncaught(release, name)


@pytest.mark.prove
def test_what_a_cacher_says_of_a_redis_that_it_cannot_use(release: Release, replay: Replay, bundle: str) -> None:
    create(replay, "e2e_sync_create", "there-is-one")
    serving(replay, "there-is-one")
    where = release.up["redis_url"].removeprefix("redis://").partition("/")[0]
    for cache, error in (
        ("redis://nowhere.invalid:6379", "ConnectionError: Error -2 connecting to nowhere.invalid:6379. -2."),
        (f"redis://:wrong@{where}", "AuthenticationError: AUTH <password> called without any password configured"),
    ):
        with release.copy_of("model-engine-cacher", with_cache(release, cache)) as (name, _):
            assert f"redis.exceptions.{error}" in uncaught(release, name)
    with release.redis_password():
        with release.copy_of("model-engine-cacher", with_cache(release, f"redis://:wrong@{where}")) as (name, _):
            text = "AuthenticationError: invalid username-password pair or user is disabled."
            assert f"redis.exceptions.{text}" in uncaught(release, name)
        # Without a word, and never ready: its client asks again and again.
        with release.copy_of("model-engine-cacher", lambda spec: None) as (name, _):
            until(lambda: any(one["message"].startswith("Got data for") for one in log(release, name)), WAIT)
            time.sleep(CACHE + 3 * SCALE)
            said = [one["message"] for one in log(release, name)]
            assert said[-1].startswith("Got data for ")
            assert not any("Loop took" in message for message in said)


def uncaught(release: Release, name: str) -> str:
    """What ended the program of a pod."""
    said = until(lambda: [one for one in log(release, name) if one["message"] == "Uncaught exception"], WAIT)
    return str(said[0]["exc_info"])


@pytest.mark.prove
def test_redis_asks_for_a_password(release: Release, replay: Replay, bundle: str) -> None:
    create(replay, "e2e_sync_create", "there-is-one")
    serving(replay, "there-is-one")
    with release.another_gateway(lambda spec: None) as (_, url), release.redis_password():
        for name in ("redis_noauth_readyz", "redis_noauth_list", "redis_noauth_get_bundle", "redis_noauth_create"):
            replay(name)
        fresh = Replay(url, replay.user, replay.now)
        for name in ("readyz", "list_bogus_name", "get_bundle", "create"):
            fresh(f"redis_noauth_fresh_{name}")
        assert "exception" in recordings.load("redis_noauth_fresh_list")["response"]
        with pytest.raises(TimeoutError):
            fresh.ask(recordings.load("redis_noauth_fresh_list")["request"], timeout=10 * SCALE)
        # The running cacher dies of it.
        path = f"/api/v1/namespaces/{release.namespace}/pods"
        cacher = release.pods(release.namespace, "app=model-engine-cacher")[0]["metadata"]["name"]
        previous = until(lambda: previous_log(release, f"{path}/{cacher}/log"), WAIT)
        assert "redis.exceptions.AuthenticationError: Authentication required." in previous
    until(lambda: listed(replay, "there-is-one"), WAIT)


def previous_log(release: Release, path: str) -> str:
    """What the container said before it was restarted, empty if it was not."""
    try:
        return str(release.kube("GET", path, previous="true"))
    except ApiError:
        return ""


def test_sqs_refuses(release: Release) -> None:
    recorded = recordings.load("logs_broken_builder_sqs_down")
    with release.copy_of(BUILDER, environment(AWS_ENDPOINT_URL_SQS="http://127.0.0.1:1")) as (name, _):
        said = until(lambda: [line for line in log(release, name) if line["level"] == "ERROR"], WAIT)
    wanted = {key: recorded[0][key] for key in ("level", "name", "message")}
    assert {key: said[0][key] for key in wanted} == wanted


def log(release: Release, name: str) -> list[Object]:
    """A pod's log, empty while it has none."""
    try:
        return release.log(name)
    except ApiError:
        return []


# Of the recorded lines: what a reader of this slice looks for. `…` stands for anything.
HEALTHY = {
    "model-engine": ("logs_healthy_gateway", ("model_engine_server.api.", "…celery_task_queue_gateway")),
    BUILDER: ("logs_healthy_builder", ("celery.worker", "celery.app", "asyncio", "…service_builder", "…live_endpoint")),
    "model-engine-cacher": (
        "logs_healthy_cacher",
        ("k8s_cache", "…k8s_endpoint_resource_delegate", "…image_cache_gateway"),
    ),
}


@pytest.mark.parametrize("app", HEALTHY)
def test_a_healthy_log_says_what_was_recorded(release: Release, replay: Replay, bundle: str, app: str) -> None:
    create(replay, "e2e_sync_create", "smoke-test-echo-sync")
    serving(replay, "smoke-test-echo-sync")
    digest = hashlib.md5(f"{replay.user}smoke-test-echo-sync".encode()).hexdigest()[:8]
    replay.now["fb371c1c"] = digest
    recording, names = HEALTHY[app]
    wanted = {
        (line["level"], line["name"], pattern(line["message"]))
        for line in replay.translated(recordings.load(recording))
        if any(name.strip("…") in line["name"] for name in names) and "Created image" not in line["message"]
    }
    lines = log_of(release, app)
    for level, name, message in wanted:
        said = [line["message"] for line in lines if (line["level"], line["name"]) == (level, name)]
        assert any(re.fullmatch(message, line, re.DOTALL) for line in said), (name, message, said[-3:])


CHANGING = (
    *(r"'[^']*'", r"\[[^\]]*\]", r"\{.*\}", r"<.*>", r"\(.*\)"),
    *(r"\d+\.\d+[.\d]*", r"\b(?:end|bun)_\w+", r"[0-9a-f]{8}-[0-9a-f-]{27}", r"redis://\S+", r"celery@\S+"),
    r"metadata=\w+",
)


def pattern(message: str) -> str:
    """A recorded message, for any user, id, address, number and task."""
    return ".*".join(re.escape(part) for part in re.split("|".join(CHANGING), message, flags=re.DOTALL))


def test_every_recording_is_replayed() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    by_name = {f"redis_noauth_fresh_{name}" for name in ("readyz", "list_bogus_name", "get_bundle", "create")}
    steps = ("create", "list_immediately", "get_by_id", "ready")
    by_name |= {f"e2e_{kind}_{step}" for kind in ("async", "streaming") for step in steps}
    assert [
        path.stem for path in recordings.DATA.iterdir() if f'"{path.stem}"' not in text and path.stem not in by_name
    ] == []
