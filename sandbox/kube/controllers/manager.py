"""What a cluster has from its first moment, and the control loops that run in it."""

from __future__ import annotations

from sandbox.kube import bootstrap_roles
from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers.autoscaler import AutoscalerController
from sandbox.kube.controllers.daemonset import DaemonSetController
from sandbox.kube.controllers.deployment import DeploymentController
from sandbox.kube.controllers.endpoints import EndpointsController, subset
from sandbox.kube.controllers.garbage import GarbageCollector
from sandbox.kube.controllers.job import JobController
from sandbox.kube.controllers.loop import ControlLoop
from sandbox.kube.controllers.namespace import NamespaceController
from sandbox.kube.controllers.node import NodeController
from sandbox.kube.controllers.replicaset import ReplicaSetController
from sandbox.kube.controllers.statefulset import StatefulSetController
from sandbox.kube.resources import ENDPOINTS, NAMESPACES, SERVICES
from sandbox.kube.scheduler import Scheduler


def bootstrap(cluster: Cluster, host: str, port: int) -> None:
    """The initial namespaces, roles and bindings; the Service ``default/kubernetes`` that leads to the API server."""
    for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
        cluster.create(NAMESPACES, None, {"metadata": {"name": name}})
    for resource, obj in bootstrap_roles.objects():
        cluster.create(resource, None, obj)
    ports = [{"name": "https", "port": 443, "targetPort": port}]
    cluster.create(SERVICES, "default", {"metadata": {"name": "kubernetes"}, "spec": {"ports": ports}})
    subsets = [subset([{"ip": host}], [], [{"name": "https", "port": port, "protocol": "TCP"}])]
    cluster.create(ENDPOINTS, "default", {"metadata": {"name": "kubernetes"}, "subsets": subsets})


def control_loops(cluster: Cluster, ca_pem: str) -> list[ControlLoop]:
    """Every control loop, ready to run. `ca_pem` goes into each namespace's ``kube-root-ca.crt``."""
    return [
        NamespaceController(cluster, ca_pem),
        NodeController(cluster),
        Scheduler(cluster),
        DeploymentController(cluster),
        ReplicaSetController(cluster),
        StatefulSetController(cluster),
        DaemonSetController(cluster),
        JobController(cluster),
        AutoscalerController(cluster),
        EndpointsController(cluster),
        GarbageCollector(cluster),
    ]
