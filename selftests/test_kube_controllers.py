"""Controllers: rollouts, endpoints, garbage collection, namespaces, nodes. No kubelet: the tests write pods' status."""

from __future__ import annotations

import asyncio

import pytest
from kube_api_server import Running, eventually
from kube_objects import config_map, deployment, node, owned_by, pod
from kube_pods import finish, pods_of, run
from kubernetes import client

from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers import manager
from sandbox.kube.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
)

pytest_plugins = ["kube_fixtures"]


@pytest.fixture(scope="module", autouse=True)
def worker_node(core: client.CoreV1Api) -> None:
    core.create_node(node("worker"))


def wait_for_pods(core: client.CoreV1Api, namespace: str, count: int, image: str | None = None) -> list[client.V1Pod]:
    def look() -> list[client.V1Pod]:
        found = pods_of(core, namespace, image)
        assert len(found) == count
        assert all(item.spec.node_name for item in found)
        return found

    return eventually(look)


def wait_for_available(apps: client.AppsV1Api, namespace: str, count: int) -> None:
    def look() -> None:
        assert apps.read_namespaced_deployment("web", namespace).status.available_replicas == count

    eventually(look)


def conditions(apps: client.AppsV1Api, namespace: str, name: str) -> dict[str, tuple[str, str]]:
    found = apps.read_namespaced_deployment(name, namespace).status.conditions or []
    return {item.type: (item.status, item.reason) for item in found}


def test_a_deployment_makes_pods_and_becomes_available(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=2))
    found = wait_for_pods(core, namespace, 2)
    (replica_set,) = apps.list_namespaced_replica_set(namespace).items
    assert replica_set.metadata.name.startswith("web-")
    assert {item.metadata.owner_references[0].name for item in found} == {replica_set.metadata.name}
    assert all("pod-template-hash" in item.metadata.labels for item in found)

    def unavailable() -> None:
        status = apps.read_namespaced_deployment("web", namespace).status
        assert (status.replicas, status.unavailable_replicas, status.ready_replicas) == (2, 2, None)

    eventually(unavailable)
    assert conditions(apps, namespace, "web") == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "ReplicaSetUpdated"),
    }
    for item in found:
        run(core, item)

    def available() -> None:
        seen = apps.read_namespaced_deployment("web", namespace)
        status = seen.status
        assert (status.ready_replicas, status.available_replicas, status.updated_replicas) == (2, 2, 2)
        assert status.unavailable_replicas is None
        assert status.observed_generation == seen.metadata.generation

    eventually(available)
    assert conditions(apps, namespace, "web") == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    messages = [event.message for event in core.list_namespaced_event(namespace).items]
    assert f"Scaled up replica set {replica_set.metadata.name} from 0 to 2" in messages
    assert f"Created pod: {found[0].metadata.name}" in messages


def test_a_rolling_update_replaces_pods_as_new_ones_become_ready(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=4))
    for item in wait_for_pods(core, namespace, 4):
        run(core, item)
    wait_for_available(apps, namespace, 4)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}}
    apps.patch_namespaced_deployment("web", namespace, image)
    # 25 % of 4: one more, and one less, than asked for.
    wait_for_pods(core, namespace, 2, "app:2")
    assert len(wait_for_pods(core, namespace, 3, "app:1")) == 3

    def step() -> None:
        finish(core, namespace)
        for item in pods_of(core, namespace, "app:2"):
            run(core, item)
        assert len(pods_of(core, namespace, "app:2")) == 4
        assert not pods_of(core, namespace, "app:1")

    eventually(step)

    def complete() -> None:
        status = apps.read_namespaced_deployment("web", namespace).status
        assert (status.replicas, status.updated_replicas, status.available_replicas) == (4, 4, 4)

    eventually(complete)
    seen = apps.read_namespaced_deployment("web", namespace)
    assert seen.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
    back = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}}}
    apps.patch_namespaced_deployment("web", namespace, back)

    def rolled_back() -> None:
        seen = apps.read_namespaced_deployment("web", namespace)
        assert seen.metadata.annotations["deployment.kubernetes.io/revision"] == "3"

    eventually(rolled_back)
    assert len(apps.list_namespaced_replica_set(namespace).items) == 2, "the first ReplicaSet serves again"


def test_a_broken_update_leaves_the_old_pods(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=1, progressDeadlineSeconds=1))
    for item in wait_for_pods(core, namespace, 1):
        run(core, item)
    wait_for_available(apps, namespace, 1)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:broken"}]}}}}
    apps.patch_namespaced_deployment("web", namespace, image)
    wait_for_pods(core, namespace, 1, "app:broken")
    wait_for_pods(core, namespace, 1, "app:1")

    def late() -> None:
        assert conditions(apps, namespace, "web")["Progressing"] == ("False", "ProgressDeadlineExceeded")

    eventually(late)
    assert conditions(apps, namespace, "web")["Available"] == ("True", "MinimumReplicasAvailable")


def test_recreate_waits_until_the_old_pods_are_gone(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", strategy={"type": "Recreate"}))
    wait_for_pods(core, namespace, 1)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}}
    apps.patch_namespaced_deployment("web", namespace, image)
    wait_for_pods(core, namespace, 0)
    assert finish(core, namespace) == 1
    wait_for_pods(core, namespace, 1, "app:2")


def test_scaling_down_takes_pods_that_are_not_ready_first(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=3))
    _, second, _ = wait_for_pods(core, namespace, 3)
    run(core, second)
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    (left,) = wait_for_pods(core, namespace, 1)
    assert left.metadata.name == second.metadata.name


def test_a_lost_pod_is_replaced(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web"))
    (first,) = wait_for_pods(core, namespace, 1)
    core.patch_namespaced_pod_status(first.metadata.name, namespace, {"status": {"phase": "Failed"}})

    def replaced() -> None:
        assert {item.metadata.name for item in pods_of(core, namespace)} > {first.metadata.name}

    eventually(replaced)


def test_pods_that_cannot_be_created_are_tried_again(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    body = deployment("web")
    body["spec"]["template"]["spec"]["serviceAccountName"] = "late"
    apps.create_namespaced_deployment(namespace, body)
    account = f'error looking up service account {namespace}/late: serviceaccount "late" not found'

    def refused() -> None:
        selector = "reason=FailedCreate,type=Warning"
        (event, *_) = core.list_namespaced_event(namespace, field_selector=selector).items or [None]
        assert event is not None
        assert event.message.startswith('Error creating: pods "web-')
        assert event.message.endswith(f'" is forbidden: {account}')

    eventually(refused)
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "late"}})
    wait_for_pods(core, namespace, 1)


def test_deleting_a_deployment_takes_everything(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=2))
    wait_for_pods(core, namespace, 2)
    apps.delete_namespaced_deployment("web", namespace)
    wait_for_pods(core, namespace, 0)
    assert finish(core, namespace) == 2
    assert not apps.list_namespaced_replica_set(namespace).items


def test_foreground_deletion_waits_for_dependents(
    core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web"))
    wait_for_pods(core, namespace, 1)
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    wait_for_pods(core, namespace, 0)
    assert apps.read_namespaced_deployment("web", namespace).metadata.finalizers == ["foregroundDeletion"]
    finish(core, namespace)

    def gone() -> None:
        assert not apps.list_namespaced_deployment(namespace).items

    eventually(gone)


def names(core: client.CoreV1Api, namespace: str) -> set[str]:
    listed = {item.metadata.name for item in core.list_namespaced_config_map(namespace).items}
    return listed - {"kube-root-ca.crt"}


def test_dependents_go_when_their_last_owner_goes(core: client.CoreV1Api, namespace: str) -> None:
    first = core.create_namespaced_config_map(namespace, config_map("first"))
    second = core.create_namespaced_config_map(namespace, config_map("second"))
    both = owned_by(first) + owned_by(second)
    core.create_namespaced_config_map(namespace, config_map("dependent", ownerReferences=both))
    core.delete_namespaced_config_map("first", namespace)

    def forgotten() -> None:
        references = core.read_namespaced_config_map("dependent", namespace).metadata.owner_references
        assert [reference.name for reference in references] == ["second"]

    eventually(forgotten)
    core.delete_namespaced_config_map("second", namespace)

    def gone() -> None:
        assert not names(core, namespace)

    eventually(gone)


def test_a_dependent_of_an_owner_that_never_was(core: client.CoreV1Api, namespace: str) -> None:
    owner = core.create_namespaced_config_map(namespace, config_map("owner"))
    references = owned_by(owner, uid="00000000-0000-0000-0000-000000000000")
    core.create_namespaced_config_map(namespace, config_map("dependent", ownerReferences=references))

    def gone() -> None:
        assert names(core, namespace) == {"owner"}

    eventually(gone)


def test_orphans_stay(core: client.CoreV1Api, namespace: str) -> None:
    owner = core.create_namespaced_config_map(namespace, config_map("owner"))
    core.create_namespaced_config_map(namespace, config_map("dependent", ownerReferences=owned_by(owner)))
    core.delete_namespaced_config_map("owner", namespace, propagation_policy="Orphan")

    def orphaned() -> None:
        assert names(core, namespace) == {"dependent"}

    eventually(orphaned)
    assert core.read_namespaced_config_map("dependent", namespace).metadata.owner_references is None


def test_a_deleted_namespace_is_emptied(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one", finalizers=["test/hold"]))
    core.create_namespaced_pod(namespace, pod("running", nodeName="worker"))
    core.delete_namespace(namespace)

    def terminating() -> None:
        assert core.read_namespace(namespace).status.phase == "Terminating"
        assert core.read_namespaced_pod("running", namespace).metadata.deletion_timestamp

    eventually(terminating)
    with pytest.raises(client.ApiException) as caught:
        core.create_namespaced_config_map(namespace, config_map("two"))
    assert caught.value.status == 403
    assert "because it is being terminated" in caught.value.body
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"finalizers": None}})
    finish(core, namespace)

    def gone() -> None:
        assert namespace not in {item.metadata.name for item in core.list_namespace().items}

    eventually(gone)


def service(name: str, **spec: object) -> dict:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "admin", "port": 81}]
    labels = {"kept": "yes"}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"selector": {"app": "web"}, "ports": ports, **spec}}


def test_endpoints_follow_the_pods(core: client.CoreV1Api, api_client: client.ApiClient, namespace: str) -> None:
    core.create_namespaced_service(namespace, service("web"))
    leaving = pod("leaving", labels={"app": "web"}, nodeName="worker")
    run(core, core.create_namespaced_pod(namespace, leaving))
    core.delete_namespaced_pod("leaving", namespace)
    body = pod("one", labels={"app": "web"}, nodeName="worker")
    body["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 5000}]
    made = core.create_namespaced_pod(namespace, body)

    def subsets() -> list:
        return core.read_namespaced_endpoints("web", namespace).subsets or []

    def empty() -> None:
        assert subsets() == []

    def not_ready() -> None:
        (subset,) = subsets()
        assert [address.ip for address in subset.not_ready_addresses] == ["127.254.1.7"]
        assert subset.addresses is None

    def ready() -> None:
        (subset,) = subsets()
        assert [address.target_ref.name for address in subset.addresses] == ["one"]
        assert {port.name: port.port for port in subset.ports} == {"http": 5000, "admin": 81}

    run(core, made, ready=False, address="127.254.1.7")
    eventually(not_ready)
    run(core, made, address="127.254.1.7")
    eventually(ready)
    slices = client.DiscoveryV1Api(api_client).list_namespaced_endpoint_slice
    (found,) = slices(namespace, label_selector="kubernetes.io/service-name=web").items
    states = {item.target_ref.name: item.conditions for item in found.endpoints}
    assert (states["one"].ready, states["leaving"].ready, states["leaving"].terminating) == (True, False, True)
    finish(core, namespace)
    assert {port.name: port.port for port in found.ports} == {"http": 5000, "admin": 81}
    core.patch_namespaced_pod("one", namespace, {"metadata": {"labels": {"app": "other"}}})
    eventually(empty)
    core.delete_namespaced_service("web", namespace)

    def gone() -> None:
        assert not core.list_namespaced_endpoints(namespace).items
        assert not slices(namespace).items

    eventually(gone)


def test_the_api_server_has_a_service(api_server: Running, core: client.CoreV1Api) -> None:
    (subset,) = core.read_namespaced_endpoints("kubernetes", "default").subsets
    assert f"https://{subset.addresses[0].ip}:{subset.ports[0].port}" == api_server.url


def test_trouble_of_a_node_becomes_taints(core: client.CoreV1Api) -> None:
    core.create_node(node("troubled", ready="False"))

    def taints() -> set[tuple[str, str]]:
        return {(item.key, item.effect) for item in core.read_node("troubled").spec.taints or []}

    def become(key: str, *effects: str) -> None:
        def look() -> None:
            assert taints() == {(f"node.kubernetes.io/{key}", effect) for effect in effects}

        eventually(look)

    become("not-ready", "NoSchedule", "NoExecute")
    unknown = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    core.patch_node_status("troubled", unknown)
    become("unreachable", "NoSchedule", "NoExecute")
    core.patch_node_status("troubled", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    core.patch_node("troubled", {"spec": {"unschedulable": True}})
    become("unschedulable", "NoSchedule")
    core.patch_node("troubled", {"spec": {"unschedulable": None}})
    become("")
    core.delete_node("troubled")


def test_what_is_gone_before_its_turn_is_passed_over() -> None:
    cluster = Cluster("127.254.200.0/24")
    cluster.create(NAMESPACES, None, {"metadata": {"name": "default"}})
    cluster.create(SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})
    bodies = {
        NODES: node("gone"),
        DEPLOYMENTS: deployment("gone"),
        STATEFUL_SETS: deployment("gone"),
        DAEMON_SETS: deployment("gone"),
        PODS: pod("gone"),
        SERVICES: service("gone"),
        CONFIG_MAPS: config_map("gone", ownerReferences=[{"uid": "x", "kind": "ConfigMap", "name": "x"}]),
    }
    for resource, body in bodies.items():
        cluster.remove(resource, cluster.create(resource, "default", body))

    async def run_all() -> None:
        loops = manager.control_loops(cluster, "")
        tasks = [asyncio.create_task(loop.run()) for loop in loops]
        done, _ = await asyncio.wait(tasks, timeout=0.1)
        assert not done
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run_all())
    assert [key for key in cluster.store.used_keys if cluster.store.bucket(key)] == [
        NAMESPACES.key,
        SERVICE_ACCOUNTS.key,
        CONFIG_MAPS.key,
    ]
