"""StatefulSets, DaemonSets and Jobs. No kubelet: the tests write pods' status."""

from __future__ import annotations

from typing import Any

import pytest
from kube_api_server import Running, eventually
from kube_objects import node
from kube_pods import end, finish, pods_of, run
from kubernetes import client

pytest_plugins = ["kube_fixtures"]

LABELS = {"app": "one"}


@pytest.fixture(scope="module", autouse=True)
def nodes(core: client.CoreV1Api) -> None:
    core.create_node(node("worker", labels={"disk": "fast"}))
    core.create_node(node("tainted"))
    core.patch_node("tainted", {"spec": {"taints": [{"key": "only", "value": "mine", "effect": "NoSchedule"}]}})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_TIME_SCALE", "0.02")


@pytest.fixture(scope="module")
def batch(api_client: client.ApiClient) -> client.BatchV1Api:
    return client.BatchV1Api(api_client)


def template(image: str = "app:1", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "main", "image": image}], **spec}}


def names(core: client.CoreV1Api, namespace: str) -> list[str]:
    return sorted(item.metadata.name for item in pods_of(core, namespace))


def become(core: client.CoreV1Api, namespace: str, expected: list[str]) -> list[client.V1Pod]:
    def look() -> list[client.V1Pod]:
        finish(core, namespace)
        assert names(core, namespace) == expected
        return pods_of(core, namespace)

    return eventually(look)


def count(core: client.CoreV1Api, namespace: str, number: int) -> list[client.V1Pod]:
    def look() -> list[client.V1Pod]:
        found = pods_of(core, namespace)
        assert len(found) == number
        assert all(item.spec.node_name for item in found)
        return found

    return eventually(look)


def events(core: client.CoreV1Api, namespace: str, name: str) -> set[tuple[str, str]]:
    found = core.list_namespaced_event(namespace, field_selector=f"involvedObject.name={name}").items
    return {(item.reason, item.message) for item in found}


def stateful_set(replicas: int, **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": LABELS}
    given = {"replicas": replicas, "selector": selector, "serviceName": "one", "template": template(), **spec}
    return {"metadata": {"name": "web"}, "spec": given}


def test_a_stateful_set_in_order_and_back(
    apps: client.AppsV1Api, core: client.CoreV1Api, api_server: Running, namespace: str
) -> None:
    apps.create_namespaced_stateful_set(namespace, stateful_set(2))
    for expected in (["web-0"], ["web-0", "web-1"]):
        newest = become(core, namespace, expected)[-1]
        run(core, newest)
    assert newest.spec.hostname == "web-1"
    assert newest.spec.subdomain == "one"
    assert newest.metadata.labels["statefulset.kubernetes.io/pod-name"] == "web-1"

    def complete() -> None:
        status = apps.read_namespaced_stateful_set("web", namespace).status
        counted = (status.replicas, status.ready_replicas, status.current_replicas, status.updated_replicas)
        assert counted == (2, 2, 2, 2)
        assert (status.observed_generation, status.current_revision) == (1, status.update_revision)

    eventually(complete)
    assert ("SuccessfulCreate", "create Pod web-0 in StatefulSet web successful") in events(core, namespace, "web")
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    row = api_server.request("GET", path, accept="application/json;as=Table;g=meta.k8s.io;v=v1").body["rows"][0]
    assert row["cells"][:2] == ["web", "2/2"]
    apps.patch_namespaced_stateful_set_scale("web", namespace, {"spec": {"replicas": 0}})
    become(core, namespace, [])
    assert ("SuccessfulDelete", "delete Pod web-1 in StatefulSet web successful") in events(core, namespace, "web")


def test_a_stateful_set_rolls_in_reverse(apps: client.AppsV1Api, core: client.CoreV1Api, namespace: str) -> None:
    apps.create_namespaced_stateful_set(namespace, stateful_set(2, podManagementPolicy="Parallel"))
    for item in become(core, namespace, ["web-0", "web-1"]):
        run(core, item)
    eventually(lambda: _updated(apps, namespace, 2))
    apps.patch_namespaced_stateful_set("web", namespace, {"spec": {"template": template("app:2")}})
    for expected in (["web-1"], ["web-0", "web-1"]):

        def replaced(expected: list[str] = expected) -> client.V1Pod:
            finish(core, namespace)
            found = pods_of(core, namespace, "app:2")
            assert [item.metadata.name for item in found] == expected
            return found[0]

        run(core, eventually(replaced))
    eventually(lambda: _updated(apps, namespace, 2))
    # The next to fail is made anew.
    end(core, core.read_namespaced_pod("web-0", namespace), "Failed")

    def again() -> None:
        assert core.read_namespaced_pod("web-0", namespace).status.phase == "Pending"

    eventually(again)


def _updated(apps: client.AppsV1Api, namespace: str, number: int) -> None:
    status = apps.read_namespaced_stateful_set("web", namespace).status
    assert (status.updated_replicas, status.ready_replicas) == (number, number)
    assert status.current_revision == status.update_revision


def test_a_stateful_set_whose_pods_are_refused(apps: client.AppsV1Api, core: client.CoreV1Api, namespace: str) -> None:
    apps.create_namespaced_stateful_set(namespace, stateful_set(1, template=template(serviceAccountName="none")))

    def look() -> None:
        refused = [text for reason, text in events(core, namespace, "web") if reason == "FailedCreate"]
        assert refused[0].startswith('create Pod web-0 in StatefulSet web failed error: pods "web-0" is forbidden')

    eventually(look)


def daemon_set(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": LABELS}, **spec}}


def test_a_daemon_set_is_on_every_node_that_fits(
    apps: client.AppsV1Api, core: client.CoreV1Api, namespace: str
) -> None:
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "DoesNotExist"}]}]
            }
        }
    }
    apps.create_namespaced_daemon_set(namespace, daemon_set(template=template(affinity=affinity)))
    (only,) = count(core, namespace, 1)
    assert only.spec.node_name == "worker"
    run(core, only)
    core.create_node(node("second"))
    for item in count(core, namespace, 2):
        run(core, item)

    def complete() -> None:
        status = apps.read_namespaced_daemon_set("agent", namespace).status
        assert (status.desired_number_scheduled, status.current_number_scheduled, status.number_ready) == (2, 2, 2)
        assert (status.updated_number_scheduled, status.number_misscheduled) == (2, 0)

    eventually(complete)
    core.patch_node("second", {"spec": {"taints": [{"key": "x", "value": "y", "effect": "NoExecute"}]}})

    def left() -> None:
        assert finish(core, namespace) == 1

    eventually(left)
    core.delete_node("second")


def test_a_daemon_set_loses_its_node(apps: client.AppsV1Api, core: client.CoreV1Api, namespace: str) -> None:
    core.create_node(node("passing", labels={"pool": "passing"}))
    selector = {"pool": "passing"}
    apps.create_namespaced_daemon_set(namespace, daemon_set(template=template(nodeSelector=selector)))
    count(core, namespace, 1)
    core.delete_node("passing")
    count(core, namespace, 0)


def test_a_daemon_set_rolls(apps: client.AppsV1Api, core: client.CoreV1Api, namespace: str) -> None:
    tolerations = [{"operator": "Exists"}]
    apps.create_namespaced_daemon_set(namespace, daemon_set(template=template(tolerations=tolerations)))
    for item in count(core, namespace, 2):
        run(core, item)
    eventually(lambda: _daemons_ready(apps, namespace, 1))
    apps.patch_namespaced_daemon_set(
        "agent", namespace, {"spec": {"template": template("app:2", tolerations=tolerations)}}
    )
    for number in (1, 2):

        def replaced(number: int = number) -> list[client.V1Pod]:
            finish(core, namespace)
            found = pods_of(core, namespace, "app:2")
            assert len(found) == number
            assert len(pods_of(core, namespace)) == 2
            return found

        for item in eventually(replaced):
            run(core, item)
    eventually(lambda: _daemons_ready(apps, namespace, 2))
    evicted = pods_of(core, namespace)[0]
    end(core, evicted, "Failed")

    def anew() -> None:
        assert evicted.metadata.name not in names(core, namespace)
        assert len(names(core, namespace)) == 2

    eventually(anew)
    assert "FailedDaemonPod" in {reason for reason, _ in events(core, namespace, "agent")}


def _daemons_ready(apps: client.AppsV1Api, namespace: str, generation: int) -> None:
    status = apps.read_namespaced_daemon_set("agent", namespace).status
    assert (status.observed_generation, status.number_available) == (generation, 2)


def job(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "once"}, "spec": {"template": template(restartPolicy="Never"), **spec}}


def ended(batch: client.BatchV1Api, namespace: str) -> client.V1JobStatus:
    def look() -> client.V1JobStatus:
        status = batch.read_namespaced_job("once", namespace).status
        assert len(status.conditions or []) == 2
        return status

    return eventually(look)


def test_a_job_succeeds(batch: client.BatchV1Api, core: client.CoreV1Api, api_server: Running, namespace: str) -> None:
    made = batch.create_namespaced_job(namespace, job(completions=2))
    assert made.spec.backoff_limit == 6
    for number in (1, 2):

        def latest(number: int = number) -> client.V1Pod:
            found = pods_of(core, namespace)
            assert len(found) == number
            return next(item for item in found if item.status.phase == "Pending")

        item = eventually(latest)
        assert item.metadata.labels["job-name"] == "once"
        run(core, item)
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        as_table = "application/json;as=Table;g=meta.k8s.io;v=v1"
        assert api_server.request("GET", path, accept=as_table).body["rows"][0]["cells"][1] == "Running"
        end(core, item)
    status = ended(batch, namespace)
    assert [(each.type, each.reason) for each in status.conditions] == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]
    assert (status.succeeded, status.failed, status.active) == (2, None, None)
    assert status.start_time <= status.completion_time
    cells = api_server.request("GET", path, accept=as_table).body["rows"][0]["cells"]
    assert cells[:3] == ["once", "Complete", "2/2"]
    assert cells[3].endswith("s")
    assert ("Completed", "Job completed") in events(core, namespace, "once")


def test_a_job_fails_after_its_retries(batch: client.BatchV1Api, core: client.CoreV1Api, namespace: str) -> None:
    batch.create_namespaced_job(namespace, job(backoffLimit=1, ttlSecondsAfterFinished=60))
    (first,) = count(core, namespace, 1)
    end(core, first, "Failed")
    _, second = count(core, namespace, 2)
    core.delete_namespaced_pod(
        next(item.metadata.name for item in pods_of(core, namespace) if item.status.phase == "Pending"),
        namespace,
        grace_period_seconds=0,
    )
    status = ended(batch, namespace)
    assert status.failed == 2
    assert (status.conditions[1].type, status.conditions[1].reason) == ("Failed", "BackoffLimitExceeded")
    assert status.conditions[1].message == "Job has reached the specified backoff limit"

    def gone() -> None:
        assert not batch.list_namespaced_job(namespace).items

    eventually(gone)
    assert second.metadata.owner_references[0].kind == "Job"


def test_a_job_whose_container_keeps_failing(batch: client.BatchV1Api, core: client.CoreV1Api, namespace: str) -> None:
    body = job(backoffLimit=0)
    body["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    batch.create_namespaced_job(namespace, body)
    (item,) = count(core, namespace, 1)
    restarted = {"name": "main", "image": "app:1", "imageID": "", "ready": False, "restartCount": 1}
    core.patch_namespaced_pod_status(
        item.metadata.name, namespace, {"status": {"phase": "Running", "containerStatuses": [restarted]}}
    )

    def ending() -> None:
        conditions = batch.read_namespaced_job("once", namespace).status.conditions or []
        assert [each.type for each in conditions] == ["FailureTarget"]

    eventually(ending)  # its pod has not ended yet
    finish(core, namespace)
    assert ended(batch, namespace).conditions[1].reason == "BackoffLimitExceeded"


def test_a_job_that_takes_too_long(batch: client.BatchV1Api, core: client.CoreV1Api, namespace: str) -> None:
    batch.create_namespaced_job(namespace, job(activeDeadlineSeconds=50))
    count(core, namespace, 1)

    def late() -> None:
        assert finish(core, namespace) == 1

    eventually(late)
    status = ended(batch, namespace)
    assert (status.conditions[1].type, status.conditions[1].reason) == ("Failed", "DeadlineExceeded")
    assert status.conditions[1].message == "Job was active longer than specified deadline"


def test_a_job_must_not_restart_for_ever(api_server: Running, namespace: str) -> None:
    body = {"metadata": {"name": "once"}, "spec": {"template": template()}}
    answer = api_server.request("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", body)
    assert answer.status == 422
    assert 'Unsupported value: "Always": supported values: "OnFailure", "Never"' in answer.body["message"]
