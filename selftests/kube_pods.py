"""What a kubelet does to pods, for the self-tests of the Kubernetes API, which have none."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from kubernetes import client


def pods_of(core: client.CoreV1Api, namespace: str, image: str | None = None) -> list[client.V1Pod]:
    found = core.list_namespaced_pod(namespace).items
    alive = [item for item in found if not item.metadata.deletion_timestamp]
    return [item for item in alive if image is None or item.spec.containers[0].image == image]


def run(core: client.CoreV1Api, item: client.V1Pod, *, ready: bool = True, address: str = "127.254.1.1") -> None:
    """What a kubelet would report of a pod that runs."""
    ready_text = "True" if ready else "False"
    status = {
        "phase": "Running",
        "podIP": address,
        "conditions": [{"type": "Ready", "status": ready_text}, {"type": "PodScheduled", "status": "True"}],
    }
    core.patch_namespaced_pod_status(item.metadata.name, item.metadata.namespace, {"status": status})


def finish(core: client.CoreV1Api, namespace: str) -> int:
    """What a kubelet does in the end: removes the pods that are being deleted."""
    found = core.list_namespaced_pod(namespace).items
    gone = [item for item in found if item.metadata.deletion_timestamp]
    for item in gone:
        core.delete_namespaced_pod(item.metadata.name, namespace, grace_period_seconds=0)
    return len(gone)


def end(core: client.CoreV1Api, item: client.V1Pod, phase: str = "Succeeded") -> None:
    """What a kubelet would report of a pod that has ended."""
    core.patch_namespaced_pod_status(item.metadata.name, item.metadata.namespace, {"status": {"phase": phase}})


@contextlib.contextmanager
def upper_case(address: str) -> Iterator[int]:
    """The port of a server on a pod's address that sends back what it gets, in upper case, and then closes."""
    with socket.create_server((address, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if data := connection.recv(1 << 20):
                        connection.sendall(data.upper())

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
