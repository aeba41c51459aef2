"""The Kubernetes API answers as a real kube-apiserver 1.36 did: the same requests in the same order."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from kube_api_server import TOKEN, Answer, Running

pytest_plugins = ["kube_fixtures"]

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data/kube/answers_1.36.json").read_text())
NAMESPACE = "recorded"

# What differs from server to server, and from run to run.
VOLATILE = {
    "clusterIP",
    "clusterIPs",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "managedFields",
    "renewTime",
    "resourceVersion",
    "selfLink",
    "startTime",
    "time",
    "uid",
}
SERVER_SIDE_APPLY = "nothing here applies on the server's side"
PROXY = "nothing here goes through the API server's proxy: logs and port-forward reach pods"
NOT_SERVED = {
    "apply create": SERVER_SIDE_APPLY,
    "apply no manager": SERVER_SIDE_APPLY,
    "apply update": SERVER_SIDE_APPLY,
    "apply conflict": SERVER_SIDE_APPLY,
    "apply force": SERVER_SIDE_APPLY,
    "eviction missing": "nothing here evicts pods",
    "svc proxy no endpoints": PROXY,
    "svc proxy missing": PROXY,
}

# Same status; the body is not compared, because ...
BODY_DIFFERS = {
    "create bad json": "the parser's own words about the position are Python's, not Go's",
    "patch invalid label": "the real server lists the same cause four times",
    "patch type error": "the text quotes the whole patched object, with its managed fields",
    "pod immutable": "the text ends with a diff of Go structures",
}
# Same status and body but for these fields, because the recording was made without ...
CONTROLLERS = ("status", "metadata.annotations")  # ... a controller manager
ADMISSION = ("spec.serviceAccount", "spec.serviceAccountName")  # ... the ServiceAccount admission plug-in
LEFT_OUT = {
    "sm patch": CONTROLLERS,
    "sm delete elt": CONTROLLERS,
    "status patch": CONTROLLERS,
    "delete deploy fg": CONTROLLERS,
    "create pod": ADMISSION,
    "pod image change": ADMISSION,
    "delete pod": ADMISSION,
}


def normal(value: Any) -> Any:
    """Without what is volatile, and with the namespace's name taken out."""
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<uid>", value)
        value = re.sub(r"current: \d+", "current: <version>", value)
        value = re.sub(r"^\d+s$", "<age>", value)
        return re.sub(rf"\b{NAMESPACE}\b", "{ns}", value)
    return value


def without(body: Any, name: str) -> Any:
    """The body without the fields in which this answer may differ."""
    for path in LEFT_OUT.get(name, ()):
        *parents, last = path.split(".")
        inside = body
        for parent in parents:
            inside = inside[parent]
        inside.pop(last, None)
    return body


@pytest.fixture(scope="module")
def answers(api_server: Running) -> dict[str, Answer]:
    """Every recorded request sent once, in order: later ones build on earlier ones."""
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    sent = {}
    for step in RECORDED:
        request = json.loads(json.dumps(step["request"]).replace("{ns}", NAMESPACE))
        sent[step["name"]] = api_server.request(
            step["method"],
            step["path"].replace("{ns}", NAMESPACE),
            request,
            content_type=step["content_type"] or "application/json",
            accept=step["accept"] or "application/json",
            token={"tok": TOKEN}.get(step["token"], step["token"]),
        )
    return sent


@pytest.mark.parametrize("step", RECORDED, ids=lambda step: step["name"].replace(" ", "-"))
def test_answer_is_the_recorded_one(step: dict[str, Any], answers: dict[str, Answer]) -> None:
    name, answer = step["name"], answers[step["name"]]
    if name in NOT_SERVED:
        assert answer.status == 501, answer
        assert answer.body["reason"] == "NotImplemented"
        return
    assert answer.status == step["status"], answer.body
    assert answer.content_type == step["response_type"]
    if name not in BODY_DIFFERS:
        assert without(normal(answer.body), name) == without(normal(step["response"]), name)


def test_the_lists_of_differences_name_recorded_answers() -> None:
    names = {step["name"] for step in RECORDED}
    assert {*NOT_SERVED, *BODY_DIFFERS, *LEFT_OUT} <= names
