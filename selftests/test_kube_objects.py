"""Objects through the official client: discovery, life from create to delete, selectors, paging, patches, reviews."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kube_api_server import Running
from kube_objects import config_map, deployment, pod
from kubernetes import client, dynamic

from sandbox.kube.tables import age, duration

pytest_plugins = ["kube_fixtures"]

MERGE, JSON, STRATEGIC = (f"application/{kind}-patch+json" for kind in ("merge", "json", "strategic-merge"))


def refused(status: int, call: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The Status of a call that must be refused with that code."""
    with pytest.raises(client.ApiException) as caught:
        call(*args, **kwargs)
    body: dict[str, Any] = json.loads(caught.value.body)
    assert (caught.value.status, body["kind"], body["code"]) == (status, "Status", status)
    return body


def test_discovery_lists_versions_and_resources(api_client: client.ApiClient, api_server: Running) -> None:
    assert client.VersionApi(api_client).get_code().git_version == "v1.36.0"
    assert client.CoreApi(api_client).get_api_versions().versions == ["v1"]
    assert "apps" in [group.name for group in client.ApisApi(api_client).get_api_versions().groups]
    listed = api_server.request("GET", "/api/v1").body
    assert listed["groupVersion"] == "v1"
    assert {"pods", "pods/log", "services"} <= {item["name"] for item in listed["resources"]}


def test_aggregated_discovery(api_server: Running) -> None:
    wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answer = api_server.request("GET", "/apis", accept=wanted)
    assert answer.body["kind"] == "APIGroupDiscoveryList"
    assert answer.content_type == wanted


def test_the_dynamic_client_discovers(api_client: client.ApiClient, namespace: str) -> None:
    config_maps = dynamic.DynamicClient(api_client).resources.get(api_version="v1", kind="ConfigMap")
    assert config_maps.get(namespace=namespace).kind == "ConfigMapList"


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health(api_server: Running, path: str) -> None:
    assert api_server.request("GET", path, token=None).body == "ok"


def test_what_the_server_sets(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    found = core.read_namespaced_config_map("one", namespace)
    assert found.data == {"key": "value"}
    metadata = found.metadata
    assert metadata.namespace == namespace
    assert metadata.uid
    assert metadata.resource_version
    assert metadata.creation_timestamp


def test_a_new_namespace_is_active_and_has_its_first_objects(core: client.CoreV1Api, namespace: str) -> None:
    assert core.read_namespace(namespace).status.phase == "Active"
    assert "BEGIN CERTIFICATE" in core.read_namespaced_config_map("kube-root-ca.crt", namespace).data["ca.crt"]
    assert core.read_namespaced_service_account("default", namespace).metadata.uid


def test_generated_names(core: client.CoreV1Api, namespace: str) -> None:
    body = config_map("")
    body["metadata"] = {"generateName": "some-"}
    name = core.create_namespaced_config_map(namespace, body).metadata.name
    assert name.startswith("some-")
    assert len(name) == len("some-") + 5


def test_a_list_names_its_kind_and_version(api_server: Running, namespace: str) -> None:
    body = api_server.request("GET", f"/api/v1/namespaces/{namespace}/configmaps").body
    assert body["kind"] == "ConfigMapList"
    assert body["metadata"]["resourceVersion"].isdigit()


def test_a_stale_update_is_a_conflict(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    stale = core.read_namespaced_config_map("one", namespace)
    newer = core.patch_namespaced_config_map("one", namespace, {"data": {"other": "1"}})
    assert int(newer.metadata.resource_version) > int(stale.metadata.resource_version)
    assert refused(409, core.replace_namespaced_config_map, "one", namespace, stale)["reason"] == "Conflict"
    newer.data = {"key": "replaced"}
    assert core.replace_namespaced_config_map("one", namespace, newer).data == {"key": "replaced"}


def test_deleting(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    wrong = client.V1DeleteOptions(preconditions={"uid": "another"})
    refused(409, core.delete_namespaced_config_map, "one", namespace, body=wrong)
    core.delete_namespaced_config_map("one", namespace)
    assert refused(404, core.read_namespaced_config_map, "one", namespace)["reason"] == "NotFound"


def test_deleting_a_selection(core: client.CoreV1Api, namespace: str) -> None:
    for name, label in (("one", "x"), ("two", "x"), ("three", "y")):
        core.create_namespaced_config_map(namespace, config_map(name, labels={"run": label}))
    core.delete_collection_namespaced_config_map(namespace, label_selector="run=x")
    left = core.list_namespaced_config_map(namespace, label_selector="run").items
    assert [item.metadata.name for item in left] == ["three"]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=x", ["one"]),
        ("app==x,tier=a", ["one"]),
        ("app in (x,y)", ["one", "two"]),
        ("app in (x, y),!tier", ["two"]),
        ("app,app!=x", ["two"]),
        ("app notin (x),app", ["two"]),
        ("app=", []),
    ],
)
def test_label_selectors(core: client.CoreV1Api, namespace: str, selector: str, names: list[str]) -> None:
    core.create_namespaced_config_map(namespace, config_map("one", labels={"app": "x", "tier": "a"}))
    core.create_namespaced_config_map(namespace, config_map("two", labels={"app": "y"}))
    found = core.list_namespaced_config_map(namespace, label_selector=selector).items
    assert [item.metadata.name for item in found] == names


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a=b%", "found '%', expected: identifier"),
        ("=b", "found '=', expected: identifier"),
        ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "a=b c"),
        ("a in (b", "found '', expected: ',' or ')'"),
    ],
)
def test_selectors_that_cannot_be_read(core: client.CoreV1Api, namespace: str, selector: str, message: str) -> None:
    refusal = refused(400, core.list_namespaced_config_map, namespace, label_selector=selector)
    assert refusal["message"] == f"unable to parse requirement: {message}"


def test_field_selectors(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("here", nodeName="node-of-a-test"))
    core.create_namespaced_pod(namespace, pod("there", nodeName="another"))
    found = core.list_pod_for_all_namespaces(field_selector="spec.nodeName=node-of-a-test").items
    assert [item.metadata.name for item in found] == ["here"]
    found = core.list_namespaced_pod(namespace, field_selector="status.phase=Pending,metadata.name!=here").items
    assert [item.metadata.name for item in found] == ["there"]
    refused(400, core.list_namespaced_pod, namespace, field_selector="spec.nonsense=1")


def test_paging(core: client.CoreV1Api, namespace: str) -> None:
    for number in range(7):
        core.create_namespaced_config_map(namespace, config_map(f"page-{number}", labels={"paged": "yes"}))
    seen, token, pages = [], None, 0
    while token or not pages:
        page = core.list_namespaced_config_map(namespace, label_selector="paged", limit=3, _continue=token)
        seen += [item.metadata.name for item in page.items]
        token, pages = page.metadata._continue, pages + 1
    assert (seen, pages) == ([f"page-{number}" for number in range(7)], 3)
    old = base64.urlsafe_b64encode(json.dumps({"rv": 1, "start": ["", ""]}).encode()).decode()
    assert refused(410, core.list_namespaced_config_map, namespace, limit=3, _continue=old)["reason"] == "Expired"


def test_merge_and_json_patches(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one", {"a": "1", "b": "2"}))
    path = f"/api/v1/namespaces/{namespace}/configmaps/one"
    answer = api_server.request("PATCH", path, {"data": {"a": None, "c": "3"}}, content_type=MERGE)
    assert answer.body["data"] == {"b": "2", "c": "3"}
    operations = [
        {"op": "test", "path": "/data/b", "value": "2"},
        {"op": "move", "from": "/data/b", "path": "/data/moved"},
        {"op": "copy", "from": "/data/c", "path": "/data/copied"},
        {"op": "remove", "path": "/data/c"},
        {"op": "add", "path": "/metadata/finalizers", "value": ["test/a", "test/c"]},
        {"op": "add", "path": "/metadata/finalizers/1", "value": "test/b"},
        {"op": "add", "path": "/metadata/finalizers/-", "value": "test/d"},
        {"op": "replace", "path": "/metadata/finalizers/0", "value": "test/x"},
    ]
    patched = api_server.request("PATCH", path, operations, content_type=JSON).body
    assert patched["data"] == {"moved": "2", "copied": "3"}
    assert patched["metadata"]["finalizers"] == ["test/x", "test/b", "test/c", "test/d"]
    for failing in (operations[0], {"op": "nonsense", "path": "/data"}, {"op": "remove", "path": "/data/x/y"}):
        assert api_server.request("PATCH", path, [failing], content_type=JSON).status == 422


def test_strategic_patches_merge_lists_by_key(api_server: Running, apps: client.AppsV1Api, namespace: str) -> None:
    body = deployment("one", replicas=0)
    containers = body["spec"]["template"]["spec"]["containers"]
    containers[0]["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    containers.append({"name": "side", "image": "side:1", "ports": [{"containerPort": 80}]})
    apps.create_namespaced_deployment(namespace, body)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/one"

    def patched(*changes: dict[str, Any], **spec: Any) -> dict[str, Any]:
        change = {"spec": {"template": {"spec": {**spec, "containers": list(changes)}}}}
        return api_server.request("PATCH", path, change, content_type=STRATEGIC).body["spec"]["template"]["spec"]

    env = [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}, {"name": "A", "$patch": "delete"}]
    main, side = patched({"name": "main", "env": env})["containers"]
    assert main["env"] == [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]
    assert side["image"] == "side:1"
    main, side = patched({"name": "side", "ports": [{"containerPort": 81}], "image": "side:2"})["containers"]
    assert [port["containerPort"] for port in side["ports"]] == [81, 80]
    assert (main["image"], side["image"]) == ("app:1", "side:2")
    ordered = patched({"name": "side"}, **{"$setElementOrder/containers": [{"name": "side"}, {"name": "main"}]})
    assert [container["name"] for container in ordered["containers"]] == ["side", "main"]
    only = patched({"$patch": "replace"}, {"name": "new", "image": "new:1"})["containers"]
    assert [container["name"] for container in only] == ["new"]


def test_strategic_patches_of_maps_and_plain_lists(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    kept = {"finalizers": ["test/one"], "annotations": {"a": "1", "b": "2"}}
    core.create_namespaced_config_map(namespace, config_map("one", **kept))
    path = f"/api/v1/namespaces/{namespace}/configmaps/one"

    def patched(metadata: dict[str, Any]) -> dict[str, Any]:
        return api_server.request("PATCH", path, {"metadata": metadata}, content_type=STRATEGIC).body["metadata"]

    assert patched({"finalizers": ["test/two"]})["finalizers"] == ["test/one", "test/two"]
    removed = {"$deleteFromPrimitiveList/finalizers": ["test/one"]}
    assert patched(removed)["finalizers"] == ["test/two"]
    assert patched({"annotations": {"$retainKeys": ["b"], "b": "3"}})["annotations"] == {"b": "3"}
    assert patched({"annotations": {"$patch": "replace", "c": "4"}})["annotations"] == {"c": "4"}


def test_generation_counts_changes_of_the_spec(apps: client.AppsV1Api, namespace: str) -> None:
    before = apps.create_namespaced_deployment(namespace, deployment("one", replicas=0)).metadata.generation
    apps.patch_namespaced_deployment("one", namespace, {"metadata": {"labels": {"x": "y"}}})
    assert apps.read_namespaced_deployment("one", namespace).metadata.generation == before
    apps.patch_namespaced_deployment("one", namespace, {"spec": {"replicas": 1}})
    assert apps.read_namespaced_deployment("one", namespace).metadata.generation == before + 1


def test_status_is_a_subresource(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, {**pod("one", nodeName="gone"), "status": {"phase": "Failed"}})
    core.patch_namespaced_pod_status("one", namespace, {"status": {"phase": "Running"}, "spec": {"nodeName": "x"}})
    core.patch_namespaced_pod("one", namespace, {"status": {"phase": "Failed"}})
    found = core.read_namespaced_pod_status("one", namespace)
    assert (found.status.phase, found.spec.node_name) == ("Running", "gone")


def test_scale_is_a_subresource(apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("one", replicas=0))
    apps.patch_namespaced_deployment_scale("one", namespace, {"spec": {"replicas": 4}})
    assert apps.read_namespaced_deployment("one", namespace).spec.replicas == 4
    scale = apps.read_namespaced_deployment_scale("one", namespace)
    assert scale.status.selector == "app=one"
    scale.spec.replicas = 0
    missing = refused(404, apps.read_namespaced_deployment_scale, "two", namespace)
    assert missing["message"] == 'deployments/scale.apps "two" not found'
    apps.replace_namespaced_deployment_scale("one", namespace, scale)
    assert apps.read_namespaced_deployment("one", namespace).spec.replicas == 0


def test_finalizers_hold_an_object(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one", finalizers=["test/hold"]))
    core.delete_namespaced_config_map("one", namespace)
    assert core.read_namespaced_config_map("one", namespace).metadata.deletion_timestamp
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"finalizers": None}})
    refused(404, core.read_namespaced_config_map, "one", namespace)


def test_a_scheduled_pod_is_left_to_its_kubelet(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("one", nodeName="some-node", terminationGracePeriodSeconds=7))
    core.create_namespaced_pod(namespace, pod("nowhere"))
    core.delete_namespaced_pod("nowhere", namespace)
    refused(404, core.read_namespaced_pod, "nowhere", namespace)
    core.delete_namespaced_pod("one", namespace)
    found = core.read_namespaced_pod("one", namespace)
    assert found.metadata.deletion_timestamp
    assert found.metadata.deletion_grace_period_seconds == 7
    core.delete_namespaced_pod("one", namespace)  # again: as before
    options = client.V1DeleteOptions(grace_period_seconds=0, preconditions={"uid": found.metadata.uid})
    core.delete_namespaced_pod("one", namespace, body=options)
    refused(404, core.read_namespaced_pod, "one", namespace)


def test_dry_runs_change_nothing(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("dry"), dry_run="All")
    refused(404, core.read_namespaced_config_map, "dry", namespace)
    core.create_namespaced_config_map(namespace, config_map("one"))
    core.patch_namespaced_config_map("one", namespace, {"data": {"dry": "1"}}, dry_run="All")
    core.delete_namespaced_config_map("one", namespace, dry_run="All")
    assert core.read_namespaced_config_map("one", namespace).data == {"key": "value"}


def test_secrets_take_plain_text(core: client.CoreV1Api, namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}, "stringData": {"a": "b"}}
    assert core.create_namespaced_secret(namespace, secret).data == {"a": "Yg=="}


def test_service_addresses_are_in_the_network_and_kept(core: client.CoreV1Api, namespace: str) -> None:
    spec = {"ports": [{"port": 80}]}
    first, second = (
        core.create_namespaced_service(namespace, {"metadata": {"name": name}, "spec": spec}).spec.cluster_ip
        for name in ("one", "two")
    )
    assert first != second
    assert first.startswith("127.254.200.")
    core.replace_namespaced_service("one", namespace, {"metadata": {"name": "one"}, "spec": spec})
    assert core.read_namespaced_service("one", namespace).spec.cluster_ip == first
    outside = {"type": "ExternalName", "externalName": "example.com"}
    made = core.create_namespaced_service(namespace, {"metadata": {"name": "outside"}, "spec": outside})
    assert made.spec.cluster_ip is None


def test_events_are_found_by_what_they_are_about(core: client.CoreV1Api, namespace: str) -> None:
    about = {"kind": "Pod", "name": "some-pod", "namespace": namespace}
    event = {
        "metadata": {"name": "one"},
        "involvedObject": about,
        "reason": "Failed",
        "type": "Warning",
        "message": "x",
    }
    core.create_namespaced_event(namespace, event)
    selector = "involvedObject.name=some-pod,type=Warning,source="
    assert [item.message for item in core.list_namespaced_event(namespace, field_selector=selector).items] == ["x"]
    assert not core.list_namespaced_event(namespace, field_selector="involvedObject.name=other").items


def test_tables_and_metadata_alone(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod("one"))
    path = f"/api/v1/namespaces/{namespace}/pods"
    table = api_server.request("GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json").body
    names = [column["name"] for column in table["columnDefinitions"]]
    assert names[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert table["rows"][0]["cells"][:4] == ["one", "0/1", "Pending", "0"]
    as_table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    whole = api_server.request("GET", f"{path}?includeObject=Object", accept=as_table).body
    assert whole["rows"][0]["object"]["spec"]["containers"]
    partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    items = api_server.request("GET", path, accept=partial).body["items"]
    assert [list(item) for item in items] == [["metadata"]]


def test_service_account_tokens_are_accepted(api_server: Running, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    answer = api_server.request("POST", path, {"spec": {"audiences": [], "expirationSeconds": 600}})
    assert answer.status == 201
    token = answer.body["status"]["token"]
    who = api_server.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token)
    assert who.body["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_access_reviews(api_client: client.ApiClient, namespace: str) -> None:
    asked = {"spec": {"resourceAttributes": {"namespace": namespace, "verb": "get", "resource": "pods"}}}
    review = client.AuthorizationV1Api(api_client).create_self_subject_access_review(asked)
    assert review.status.allowed is True


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/persistentvolumes"),
        ("POST", "/api/v1/namespaces/{}/pods/one/exec"),
        ("GET", "/apis/autoscaling/v1/namespaces/{}/horizontalpodautoscalers"),
        ("POST", "/apis/authorization.k8s.io/v1/namespaces/{}/localsubjectaccessreviews"),
        ("GET", "/openapi/v2"),
    ],
)
def test_routes_that_nobody_needed_say_so(api_server: Running, namespace: str, method: str, path: str) -> None:
    answer = api_server.request(method, path.format(namespace))
    assert (answer.status, answer.body["reason"]) == (501, "NotImplemented")
    assert path.rpartition("/")[2] in answer.body["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v1/namespaces/{}/pods/one/log", 405),
        ("DELETE", "/apis/apps/v1/namespaces/{}/deployments/one/scale", 405),
        ("GET", "/api/v1/namespaces/{}/serviceaccounts/default/token", 405),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405),
        ("OPTIONS", "/api/v1/namespaces/{}/pods", 405),
        ("GET", "/api/v1/pods/one", 404),
        ("GET", "/openapi/v3/apis/none/v1", 404),
        ("GET", "/api/v2", 404),
    ],
)
def test_what_no_route_does(
    api_server: Running,
    core: client.CoreV1Api,
    apps: client.AppsV1Api,
    namespace: str,
    method: str,
    path: str,
    status: int,
) -> None:
    core.create_namespaced_pod(namespace, pod("one"))
    apps.create_namespaced_deployment(namespace, deployment("one", replicas=0))
    assert api_server.request(method, path.format(namespace)).status == status


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("services", {"metadata": {"name": "1st"}, "spec": {"ports": [{"port": 1}]}}, 422, "a DNS-1035 label must"),
        ("configmaps", config_map("one", labels={"a": "-"}), 422, "a valid label must be an empty string or"),
        ("configmaps", config_map("one", labels={"a": "x" * 64}), 422, "must be no more than 63 bytes"),
        ("configmaps", {"kind": "Pod", "metadata": {"name": "one"}}, 400, 'no kind "Pod" is registered'),
        ("pods", pod("one", serviceAccount="other"), 403, 'serviceaccount "other" not found'),
    ],
)
def test_objects_that_are_refused(
    api_server: Running, namespace: str, path: str, body: object, status: int, message: str
) -> None:
    answer = api_server.request("POST", f"/api/v1/namespaces/{namespace}/{path}", body)
    assert answer.status == status
    assert message in answer.body["message"]


def test_defaults_of_probes_and_quality_of_service(core: client.CoreV1Api, namespace: str) -> None:
    body = pod("one", resources={"limits": {"cpu": "1", "memory": "1Gi"}})
    body["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"port": 80}}
    found = core.create_namespaced_pod(namespace, body)
    probe = found.spec.containers[0].readiness_probe
    assert (probe.period_seconds, probe.failure_threshold, probe.http_get.path) == (10, 3, "/")
    assert found.spec.containers[0].resources.requests == {"cpu": "1", "memory": "1Gi"}
    assert found.status.qos_class == "Guaranteed"
    burstable = pod("two", resources={"requests": {"cpu": "1"}})
    assert core.create_namespaced_pod(namespace, burstable).status.qos_class == "Burstable"


def test_kinds_that_are_only_stored(api_client: client.ApiClient, namespace: str) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    once = {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}
    job = {"metadata": {"name": "one"}, "spec": {"template": once}}
    made = client.BatchV1Api(api_client).create_namespaced_job(namespace, job)
    assert made.spec.template.spec.containers[0].image_pull_policy == "IfNotPresent"
    selector = {"matchLabels": {"a": "b"}}
    daemons = {"metadata": {"name": "one"}, "spec": {"selector": selector, "template": template}}
    assert client.AppsV1Api(api_client).create_namespaced_daemon_set(namespace, daemons).metadata.generation == 1
    budget = {"metadata": {"name": "one"}, "spec": {"maxUnavailable": 1, "selector": selector}}
    made = client.PolicyV1Api(api_client).create_namespaced_pod_disruption_budget(namespace, budget)
    assert made.status.disruptions_allowed == 0


def test_groups_that_are_not_installed_are_not_found(api_server: Running, namespace: str) -> None:
    for path in ("/apis/keda.sh/v1alpha1/scaledobjects", "/apis/metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1/nodes"):
        answer = api_server.request("GET", path)
        assert (answer.status, answer.body) == (404, "404 page not found\n")
    assert api_server.request("GET", f"/apis/apps/v1/namespaces/{namespace}/things").body["reason"] == "NotFound"
    assert api_server.request("GET", "/apis/apps/v9").status == 404


def test_parallel_patches_are_all_kept(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one", {}))
    path = f"/api/v1/namespaces/{namespace}/configmaps/one"

    def patch(number: int) -> int:
        return api_server.request("PATCH", path, {"data": {f"key-{number}": "1"}}, content_type=MERGE).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(patch, range(40))) == {200}
    assert len(core.read_namespaced_config_map("one", namespace).data) == 40


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (601, "10m"),
        (4 * 3600, "4h"),
        (4 * 3600 + 61, "4h1m"),
        (47 * 3600, "47h"),
        (50 * 3600, "2d2h"),
        (48 * 3600, "2d"),
        (9 * 86400 + 3600, "9d"),
    ],
)
def test_durations_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_an_age_that_is_not_known() -> None:
    assert age(None) == "<unknown>"


def test_a_lease_is_held_and_renewed(api_client: client.ApiClient, namespace: str) -> None:
    leases = client.CoordinationV1Api(api_client)
    first = {"holderIdentity": "a", "leaseDurationSeconds": 60, "renewTime": "2026-11-21T08:00:00.000000Z"}
    made = leases.create_namespaced_lease(namespace, {"metadata": {"name": "run"}, "spec": first})
    later = "2026-11-21T08:00:20.123456Z"
    leases.patch_namespaced_lease("run", namespace, {"spec": {"renewTime": later}})
    found = leases.read_namespaced_lease("run", namespace)
    assert (found.spec.holder_identity, found.spec.renew_time.second) == ("a", 20)
    assert [item.metadata.name for item in leases.list_namespaced_lease(namespace).items] == ["run"]
    made.spec.holder_identity = "b"
    refused(409, leases.replace_namespaced_lease, "run", namespace, made)
    another = client.V1DeleteOptions(preconditions={"uid": "another"})
    assert (
        "the UID in the precondition (another)"
        in refused(409, leases.delete_namespaced_lease, "run", namespace, body=another)["message"]
    )
    mine = client.V1DeleteOptions(preconditions={"uid": made.metadata.uid})
    leases.delete_namespaced_lease("run", namespace, body=mine)
    refused(404, leases.read_namespaced_lease, "run", namespace)
