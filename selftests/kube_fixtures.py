"""Fixtures for the self-tests of the Kubernetes API: the server, the official client, a namespace for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from kube_api_server import Running, official_client, running
from kubernetes import client

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for a module's tests."""
    with running(tmp_path_factory.mktemp("kube")) as server:
        yield server


@pytest.fixture(scope="module")
def api_client(api_server: Running) -> Iterator[client.ApiClient]:
    with official_client(api_server) as made:
        yield made


@pytest.fixture(scope="module")
def core(api_client: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


@pytest.fixture(scope="module")
def apps(api_client: client.ApiClient) -> client.AppsV1Api:
    return client.AppsV1Api(api_client)


@pytest.fixture
def namespace(core: client.CoreV1Api) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    core.create_namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
