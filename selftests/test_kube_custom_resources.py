"""CustomResourceDefinitions: serving, schema, status, columns, removal."""

from __future__ import annotations

from typing import Any

import pytest
from kube_api_server import Running
from kubernetes import client

pytest_plugins = ["kube_fixtures"]

MODE = {"type": "string", "enum": ["a", "b"], "default": "a"}
SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "mode": MODE,
        "word": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2},
        "on": {"type": "boolean"},
        "port": {"x-kubernetes-int-or-string": True},
        "parts": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"type": "object", "properties": {"mode": MODE}},
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"spec": SPEC, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
}
COLUMNS = [
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Second", "type": "string", "jsonPath": ".spec.parts[1].mode"},
    {"name": "Label", "type": "string", "jsonPath": r".metadata.labels.demo\.io/label", "priority": 1},
]


def definition(group: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == "v1",
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": COLUMNS,
                    "schema": {"openAPIV3Schema": SCHEMA},
                }
                for version in ("v1beta1", "v1")
            ],
        },
    }


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"demo.io/label": "x"}}, "spec": {"size": 3, **spec}}


@pytest.fixture(scope="module")
def widgets(api_server: Running) -> str:
    """The path of the widgets in the namespace default."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert api_server.request("GET", "/apis/demo.io/v1/widgets").status == 404
    answer = api_server.request("POST", path, definition("demo.io"))
    assert answer.status == 201
    conditions = {item["type"]: item["status"] for item in answer.body["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    return "/apis/demo.io/v1/namespaces/default/widgets"


def test_served_versions_are_discovered(api_server: Running, widgets: str) -> None:
    group = api_server.request("GET", "/apis/demo.io").body
    assert [item["version"] for item in group["versions"]] == ["v1", "v1beta1"]
    listed = api_server.request("GET", "/apis/demo.io/v1").body["resources"]
    assert [item["name"] for item in listed] == ["widgets", "widgets/status"]
    assert listed[0]["shortNames"] == ["wd"]


def test_defaults_and_pruning(api_server: Running, widgets: str) -> None:
    sent = widget("pruned", unknown=1, free={"kept": 1}, labels={"any": "x"}, parts=[{"other": 1}])
    spec = api_server.request("POST", widgets, sent).body["spec"]
    assert spec == {"size": 3, "mode": "a", "free": {"kept": 1}, "labels": {"any": "x"}, "parts": [{"mode": "a"}]}


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": 10}, "spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9"),
        ({"size": "x"}, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": True}, 'spec.size: Invalid value: "boolean": spec.size in body must be of type integer: "boolean"'),
        ({"size": None}, "spec.size: Required value"),
        ({"mode": "c"}, 'spec.mode: Unsupported value: "c": supported values: "a", "b"'),
        ({"word": "NO"}, "spec.word: Invalid value: \"NO\": spec.word in body should match '^[a-z]+$'"),
        ({"word": "a"}, 'spec.word: Invalid value: "a": spec.word in body should be at least 2 chars long'),
        ({"word": "abcdef"}, 'spec.word: Invalid value: "abcdef": spec.word in body should be at most 5 chars long'),
        ({"port": []}, "spec.port: Invalid value: must be integer or string"),
        ({"parts": []}, "spec.parts: Invalid value: 0: spec.parts in body should have at least 1 items"),
        ({"parts": [{}, {}, {}]}, "spec.parts: Too many: 3: must have at most 2 items"),
    ],
)
def test_invalid_objects(api_server: Running, widgets: str, spec: dict[str, Any], cause: str) -> None:
    sent = widget("invalid", **spec)
    sent["spec"] = {key: value for key, value in sent["spec"].items() if value is not None}
    answer = api_server.request("POST", widgets, sent)
    assert answer.status == 422
    assert answer.body["message"] == f'Widget.demo.io "invalid" is invalid: {cause}'


def test_valid_values_of_every_type(api_server: Running, widgets: str) -> None:
    sent = widget("valid", on=True, port="http", word="abc", mode="b", free=None, parts=[{"mode": "a"}, {"mode": "b"}])
    assert api_server.request("POST", widgets, sent).status == 201


def test_status_is_apart_and_versions_are_the_same_object(api_client: client.ApiClient, widgets: str) -> None:
    custom = client.CustomObjectsApi(api_client)
    address = ("demo.io", "v1", "default", "widgets")
    body = {"apiVersion": "demo.io/v1", "kind": "Widget", **widget("one")}
    custom.create_namespaced_custom_object(*address, {**body, "status": {"phase": "Made up"}})
    assert "status" not in custom.get_namespaced_custom_object(*address, "one")
    custom.patch_namespaced_custom_object_status(*address, "one", {"status": {"phase": "Ready"}, "spec": {"size": 9}})
    found = custom.get_namespaced_custom_object("demo.io", "v1beta1", "default", "widgets", "one")
    assert (found["status"], found["spec"]["size"]) == ({"phase": "Ready"}, 3)
    assert found["apiVersion"] == "demo.io/v1beta1"
    listed = custom.list_namespaced_custom_object(*address, field_selector="metadata.name=one")
    assert [item["kind"] for item in listed["items"]] == ["Widget"]


def test_columns(api_server: Running, widgets: str) -> None:
    api_server.request("POST", widgets, widget("bare"))
    api_server.request("POST", widgets, widget("shown", parts=[{}, {"mode": "b"}]))
    status = {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}
    merge = "application/merge-patch+json"
    api_server.request("PATCH", f"{widgets}/shown/status", {"status": status}, content_type=merge)
    as_table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = api_server.request("GET", f"{widgets}/shown", accept=as_table).body
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name",
        "Size",
        "Ready",
        "Second",
        "Label",
        "Age",
    ]
    assert table["rows"][0]["cells"][:-1] == ["shown", 3, "True", "b", "x"]
    bare = api_server.request("GET", f"{widgets}/bare", accept=as_table).body
    assert bare["rows"][0]["cells"][:-1] == ["bare", 3, None, None, "x"]


def test_custom_objects_take_no_strategic_patch(api_server: Running, widgets: str) -> None:
    strategic = "application/strategic-merge-patch+json"
    api_server.request("POST", widgets, widget("patched"))
    assert api_server.request("PATCH", f"{widgets}/patched", {}, content_type=strategic).status == 415


def test_removing_the_definition_removes_its_objects(api_server: Running) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for _ in range(2):
        assert api_server.request("POST", path, definition("gone.io")).status == 201
        objects = "/apis/gone.io/v1/namespaces/default/widgets"
        assert api_server.request("GET", objects).body["items"] == []
        assert api_server.request("POST", objects, widget("one")).status == 201
        assert api_server.request("DELETE", f"{path}/widgets.gone.io").status == 200
        assert api_server.request("GET", objects).body == "404 page not found\n"
