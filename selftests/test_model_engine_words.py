"""What the words of ``up`` make of the product: on which cloud and broker what works, and what breaks as released."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import recordings
import redis
import yaml
from dummies import ROOT
from model_engine_sandbox import WAIT, Object, Release, environment, started
from recordings import Answer, request, until

from sandbox import handle
from sandbox.client import ApiError

pytestmark = pytest.mark.prove

USER = "Bearer smoke-user"
BUILDER = "model-engine-endpoint-builder"


def ask(release: Release, method: str, path: str, body: Any = None) -> Answer:
    """A request as the recordings' user."""
    return request(release.gateway_url + path, method, USER, body)


def create(release: Release, kind: str) -> Answer:
    """Ask for an echo endpoint, called by its type."""
    repository, tag = release.up["image"].rsplit(":", 1)
    body = recordings.load("bundle_create_ok")["request"]["json"]
    body["flavor"] |= {"repository": repository, "tag": tag, "readiness_initial_delay_seconds": 0}
    bundle = ask(release, "POST", "/v2/model-bundles", body).body["model_bundle_id"]
    asked = recordings.load(f"e2e_{kind}_create")["request"]["json"]
    return ask(release, "POST", "/v1/model-endpoints", asked | {"model_bundle_id": bundle, "name": kind})


def settled(release: Release, kind: str) -> Object:
    """The endpoint once a worker serves, or its build has failed."""

    def look() -> Object | None:
        for one in ask(release, "GET", f"/v1/model-endpoints?name={kind}").body["model_endpoints"]:
            serving = (one["deployment_state"] or {}).get("available_workers")
            by_id = ask(release, "GET", f"/v1/model-endpoints/{one['id']}").body
            if one["status"] == "UPDATE_FAILED" or (serving and by_id["status"] == "READY"):
                return dict(one)
        return None

    found = until(look, WAIT)
    assert found is not None
    return found


def task(release: Release, endpoint: Object) -> str:
    """Send an async task."""
    path = f"/v1/async-tasks?model_endpoint_id={endpoint['id']}"
    return str(ask(release, "POST", path, {"args": {"y": 1}}).body["task_id"])


def state(release: Release, task_id: str) -> Object:
    """What is known of a task."""
    return dict(ask(release, "GET", f"/v1/async-tasks/{task_id}").body)


def log(release: Release, app: str) -> list[Object]:
    """The JSON lines of the log of the pod labelled `app`, of the container before if it has just started anew."""
    pod = release.pods(release.namespace, f"app={app}")[0]
    path = f"/api/v1/namespaces/{release.namespace}/pods/{pod['metadata']['name']}/log"
    texts = [release.kube("GET", path)]
    if pod["status"]["containerStatuses"][0]["restartCount"]:
        texts.append(release.kube("GET", path, previous="true"))
    return [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("words", ["redis-broker patched", "gcp patched", "onprem patched"])
def test_patched_everything_works(words: str) -> None:
    with started(*words.split()) as release:
        assert release.up["image"].endswith("-patched")
        for kind in ("sync", "async"):
            assert create(release, kind).status == 200
        sync, slow = settled(release, "sync"), settled(release, "async")
        sent = ask(release, "POST", f"/v1/sync-tasks?model_endpoint_id={sync['id']}", {"args": {"y": 1}})
        assert sent.body["status"] == "SUCCESS"
        task_id = task(release, slow)
        until(lambda: state(release, task_id)["status"] == "SUCCESS", WAIT)
        assert state(release, task_id)["result"] == {"result": '{"y": 1}'}
        assert ask(release, "DELETE", f"/v1/model-endpoints/{slow['id']}").body == {"deleted": True}


def test_with_redis_for_a_broker_async_tasks_wait_where_nobody_looks() -> None:
    with started("redis-broker") as release:
        assert create(release, "async").status == 200
        endpoint = settled(release, "async")
        task_id = task(release, endpoint)
        url = release.up["redis_url"].rpartition("/")[0]
        with redis.Redis.from_url(f"{url}/0") as sent, redis.Redis.from_url(f"{url}/3") as looked_at:
            assert sent.llen(endpoint["destination"]) == 1
            assert looked_at.llen(endpoint["destination"]) == 0
        assert state(release, task_id)["status"] == "PENDING"
        banner = release.pods(release.endpoints, f"endpoint_id={endpoint['id']}")[0]["metadata"]["name"]
        path = f"/api/v1/namespaces/{release.endpoints}/pods/{banner}/log"
        until(lambda: f".> transport:   {url}/3" in release.kube("GET", path, container="celery-forwarder"), WAIT)

        # Of the broker's troubles, what a builder says of a password that it does not have.
        (recorded, *_) = recordings.load("logs_broken_builder_redis_noauth")
        with release.redis_password(), release.copy_of(BUILDER, environment()) as (name, _):
            lines: list[Object] = []

            def said() -> bool:
                with contextlib.suppress(ApiError):  # not started yet
                    lines[:] = [line for line in release.log(name) if line["level"] == "ERROR"]
                return bool(lines)

            until(said, WAIT)
        wanted = recorded["message"].replace("redis://127.0.0.1:56379", url)
        assert (lines[0]["name"], lines[0]["message"]) == (recorded["name"], wanted)


def test_on_gcp_the_builder_looks_for_sqs() -> None:
    with started("gcp") as release:
        for kind in ("sync", "async"):
            assert create(release, kind).status == 200
        assert settled(release, "sync")["status"] == "READY"
        failed = settled(release, "async")
        assert (failed["status"], failed["status_reason"]) == (
            "UPDATE_FAILED",
            "Endpoint deployment failed due to an internal error.",
        )
        messages = [line["message"] for line in log(release, BUILDER) if line["level"] == "ERROR"]
        assert any("NoCredentialsError" in message for message in messages)
        assert "Endpoint build failed with exception" in messages


def test_on_prem_builder_and_cacher_end_as_recorded() -> None:
    with started("onprem") as release:
        assert "as released, cacher and builder do not start on-prem" in handle.load(release.up["name"]).notes
        for app, recording in ((BUILDER, "onprem_builder"), ("model-engine-cacher", "onprem_cacher")):
            (recorded,) = recordings.load(f"logs_broken_{recording}")
            wanted = {name: recorded[name] for name in ("level", "name", "message")}

            def last(app: str = app, wanted: Object = wanted) -> Object | None:
                return next((line for line in log(release, app) if wanted.items() <= line.items()), None)

            found = until(last, WAIT)
            assert found is not None
            assert found["exc_info"].splitlines()[-1] == recorded["exc_tail"].splitlines()[-1]
        assert ask(release, "GET", "/v1/model-endpoints").body == {"model_endpoints": []}
        assert create(release, "sync").status == 500  # the gateway has no place for the build's result either
        assert any("Missing boto3 session" in line["message"] for line in log(release, "model-engine"))


def test_each_gateway_has_a_memory_of_its_own() -> None:
    with started("--gateways", "2") as release:
        pods = release.pods(release.namespace, "app=model-engine")
        urls = [f"http://{pod['status']['podIP']}:5000/v1/model-endpoints?name=sync" for pod in pods]
        assert len(urls) == 2
        # A memory of 1.5 s: the first gateway's is filled until the second has been asked.
        assert request(urls[0], "GET", USER).body == {"model_endpoints": []}
        assert create(release, "sync").status == 200
        remembered, asked = (request(url, "GET", USER).body["model_endpoints"] for url in urls)
        assert (len(remembered), len(asked)) == (0, 1)
        (autoscaler,) = release.kube(
            "GET", f"/apis/autoscaling/v2/namespaces/{release.namespace}/horizontalpodautoscalers"
        )["items"]
        assert autoscaler["spec"]["minReplicas"] == 2


def test_an_empty_one_has_what_an_install_needs_and_no_more() -> None:
    with started("empty") as release:
        assert release.up["gateway_url"] == ""
        for namespace in (release.namespace, release.endpoints):
            assert release.pods(namespace, "") == []
        values = yaml.safe_load(Path(release.up["values"]).read_text())
        secret = values["secrets"]["kubernetesDatabaseSecretName"]
        core = f"/api/v1/namespaces/{release.namespace}"
        assert "database_url" in release.kube("GET", f"{core}/secrets/{secret}")["data"]
        assert release.kube("GET", f"{core}/configmaps")["items"][0]["metadata"]["name"] == "kube-root-ca.crt"
        container = {"name": "pull", "image": release.up["vllm_image"], "command": ["echo", "a nonce"]}
        pod = {"metadata": {"name": "pull"}, "spec": {"containers": [container], "restartPolicy": "Never"}}
        release.kube("POST", f"{core}/pods", pod)
        until(lambda: release.kube("GET", f"{core}/pods/pull")["status"].get("phase") == "Succeeded", WAIT)
        assert release.kube("GET", f"{core}/pods/pull/log") == "a nonce\n"


def test_redis_for_a_broker_wants_a_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_REDIS", "none")
    words = [sys.executable, "-m", "sandbox", "up", "gcp", "--name", f"selftest-{uuid.uuid4().hex[:8]}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"python -m sandbox up: Redis for a broker wants a real one: .*\n", done.stderr)
