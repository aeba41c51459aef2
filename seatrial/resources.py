"""The kinds of Kubernetes objects that the suite looks at, as rows of data."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Resource:
    """One row: `version` as in apiVersion (``v1``, ``apps/v1``), `plural` as in the API's paths."""

    version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.version.rpartition("/")[0]

    @property
    def discovery(self) -> str:
        """The path that lists what the group serves."""
        return f"/{'apis' if self.group else 'api'}/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of one object, or of a collection; without a namespace that of all namespaces."""
        if bool(namespace) > self.namespaced or (name and bool(namespace) < self.namespaced):
            raise ValueError(f"{self}: namespace {namespace!r} does not go with name {name!r}")
        within = f"/namespaces/{quote(namespace, safe=':')}" if namespace else ""
        within += f"/{self.plural}"
        return "/".join(filter(None, (self.discovery + within, quote(name, safe=":"), subresource)))

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


ACCESS_REVIEWS = Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False)
CONFIG_MAPS = Resource("v1", "configmaps")
EVENTS = Resource("v1", "events")
LEASES = Resource("coordination.k8s.io/v1", "leases")
NAMESPACES = Resource("v1", "namespaces", namespaced=False)
NODES = Resource("v1", "nodes", namespaced=False)
PODS = Resource("v1", "pods")
SECRETS = Resource("v1", "secrets")
SERVICE_ACCOUNTS = Resource("v1", "serviceaccounts")
SERVICES = Resource("v1", "services")
DEPLOYMENTS = Resource("apps/v1", "deployments")
REPLICA_SETS = Resource("apps/v1", "replicasets")
DAEMON_SETS = Resource("apps/v1", "daemonsets")
STATEFUL_SETS = Resource("apps/v1", "statefulsets")
JOBS = Resource("batch/v1", "jobs")
ENDPOINT_SLICES = Resource("discovery.k8s.io/v1", "endpointslices")
HPAS = Resource("autoscaling/v2", "horizontalpodautoscalers")
NETWORK_POLICIES = Resource("networking.k8s.io/v1", "networkpolicies")
PDBS = Resource("policy/v1", "poddisruptionbudgets")
SCALED_OBJECTS = Resource("keda.sh/v1alpha1", "scaledobjects")
VPAS = Resource("autoscaling.k8s.io/v1", "verticalpodautoscalers")
CLUSTER_POLICIES = Resource("nvidia.com/v1", "clusterpolicies", namespaced=False)
DEVICE_CONFIGS = Resource("amd.com/v1alpha1", "deviceconfigs")
NODE_POOLS = Resource("karpenter.sh/v1", "nodepools", namespaced=False)
DESTINATION_RULES = Resource("networking.istio.io/v1beta1", "destinationrules")
VIRTUAL_SERVICES = Resource("networking.istio.io/v1beta1", "virtualservices")

ADDED = frozenset(
    {
        *(SCALED_OBJECTS, VPAS, NODE_POOLS, DESTINATION_RULES, VIRTUAL_SERVICES),
        *(CLUSTER_POLICIES, DEVICE_CONFIGS),
    }
)
"""Kinds that come with something which need not be installed."""


@dataclass(frozen=True)
class Asked:
    """What one request asks of the API server: `verb` and the rest as RBAC knows them."""

    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def path(self) -> str:
        """The request's path."""
        return self.resource.path(self.namespace, self.name, self.subresource)

    @property
    def object(self) -> str:
        """As the record and kubectl have it: ``pods/log models/gateway-x``; a collection is named by its namespace."""
        kind = "/".join(filter(None, (str(self.resource), self.subresource)))
        return " ".join(filter(None, (kind, "/".join(filter(None, (self.namespace, self.name))))))

    @property
    def rule(self) -> str:
        """The RBAC rule that allows it, as YAML on one line."""
        resource = "/".join(filter(None, (self.resource.plural, self.subresource)))
        return f'{{apiGroups: ["{self.resource.group}"], resources: ["{resource}"], verbs: ["{self.verb}"]}}'

    def __str__(self) -> str:
        if self.name or not self.resource.namespaced:
            return f"{self.verb} {self.object}"
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {self.resource} {where}"


@dataclass(frozen=True)
class AskedPath:
    """A request outside the resources: the version, or what a group serves."""

    path: str
    verb: str = "get"
    namespace: str = ""

    @property
    def object(self) -> str:
        """The path itself."""
        return self.path

    @property
    def rule(self) -> str:
        """The RBAC rule that allows it, as YAML on one line."""
        return f'{{nonResourceURLs: ["{self.path}"], verbs: ["get"]}}'

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"
