"""Watches: what exists, what changes, selectors, time-outs, bookmarks, versions that are gone."""

from __future__ import annotations

import json
import threading
import time

import pytest
from kube_api_server import Running
from kube_objects import config_map
from kubernetes import client, watch

from sandbox.kube.store import Store

pytest_plugins = ["kube_fixtures"]


def events(api_server: Running, namespace: str, query: str, accept: str = "application/json") -> list[dict]:
    """What a watch of the namespace's ConfigMaps sends until its time-out."""
    path = f"/api/v1/namespaces/{namespace}/configmaps?watch=true&{query}"
    return [json.loads(line) for line in str(api_server.request("GET", path, accept=accept).body).splitlines()]


def test_what_exists_and_what_comes(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("before", labels={"watched": "yes"}))
    create = threading.Timer(
        0.2, core.create_namespaced_config_map, (namespace, config_map("after", labels={"watched": "yes"}))
    )
    create.start()
    seen, watching = [], watch.Watch()
    stream = watching.stream(
        core.list_namespaced_config_map, namespace, label_selector="watched", timeout_seconds=5, _request_timeout=8
    )
    for event in stream:
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 2:
            watching.stop()
    create.join()
    assert seen == [("ADDED", "before"), ("ADDED", "after")]


def test_every_change_since_a_version(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map("one"))
    core.patch_namespaced_config_map("one", namespace, {"data": {"n": "1"}})
    core.delete_namespaced_config_map("one", namespace)
    found = events(api_server, namespace, f"resourceVersion={version}&timeoutSeconds=1&fieldSelector=metadata.name=one")
    assert [event["type"] for event in found] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in found]
    assert versions == sorted(set(versions))


def test_an_object_that_comes_to_match_is_added(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    version = core.create_namespaced_config_map(namespace, config_map("one")).metadata.resource_version
    for label in ("yes", "no"):
        core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"match": label}}})
    found = events(api_server, namespace, f"resourceVersion={version}&labelSelector=match%3Dyes&timeoutSeconds=1")
    assert [event["type"] for event in found] == ["ADDED", "DELETED"]


def test_the_server_ends_a_watch_in_time(core: client.CoreV1Api, namespace: str) -> None:
    began = time.monotonic()
    assert list(watch.Watch().stream(core.list_namespaced_secret, namespace, timeout_seconds=1)) == []
    assert 0.8 < time.monotonic() - began < 4


def test_a_version_that_is_gone_ends_the_watch_with_410(api_server: Running, namespace: str) -> None:
    (event,) = events(api_server, namespace, "resourceVersion=1&timeoutSeconds=1")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_bookmarks(api_server: Running, namespace: str) -> None:
    query = "allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    found = events(api_server, namespace, query)
    marks = [event["object"]["metadata"] for event in found if event["type"] == "BOOKMARK"]
    assert marks[0]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert len(marks) == 2, "one after what exists, one at the end"
    assert found[0]["type"] == "ADDED"


def test_a_watch_of_one_object(api_server: Running, core: client.CoreV1Api, namespace: str) -> None:
    for name in ("one", "two"):
        core.create_namespaced_config_map(namespace, config_map(name))
    found = events(api_server, namespace, "fieldSelector=metadata.name%3Done&timeoutSeconds=1")
    assert [event["object"]["metadata"]["name"] for event in found] == ["one"]


@pytest.mark.parametrize(("form", "kind"), [("Table", "Table"), ("PartialObjectMetadata", "PartialObjectMetadata")])
def test_watches_in_other_forms(api_server: Running, namespace: str, form: str, kind: str) -> None:
    for name in ("one", "two"):
        api_server.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map(name))
    accept = f"application/json;as={form};v=v1;g=meta.k8s.io"
    found = events(api_server, namespace, "timeoutSeconds=1", accept=accept)
    assert {event["object"]["kind"] for event in found} == {kind}
    if kind == "Table":
        described = [bool(event["object"]["columnDefinitions"]) for event in found]
        assert described == [True] + [False] * (len(found) - 1), "only the first describes its columns"


def test_old_events_are_dropped() -> None:
    store = Store(keep=4)
    for number in range(5):
        store.write(("", "configmaps"), "ADDED", config_map(f"number-{number}", namespace="x"), None)
    assert [event.version for event in store.since(0)] == [1003, 1004, 1005]
    assert store.compacted == 1002, "a watch from here on misses nothing"
