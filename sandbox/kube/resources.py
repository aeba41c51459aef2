"""The resource types this API serves, and those a real server has beside them (answered 501 by name)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sandbox.kube.objects import Object, get

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
STATUS_AND_SCALE = ("status", "scale")


@dataclass(frozen=True)
class Resource:
    """One version of one resource type. `generation`: whether changes of the spec are counted in metadata."""

    group: str
    version: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    generation: bool = False
    categories: tuple[str, ...] = ()
    singular: str = ""
    schema: Object | None = field(default=None, compare=False)  # of a custom resource
    columns: tuple[Object, ...] = field(default=(), compare=False)  # its additionalPrinterColumns

    @property
    def api_version(self) -> str:
        """apiVersion as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> tuple[str, str]:
        """The bucket in the store: all versions of a type share one."""
        return self.group, self.plural

    @property
    def qualified(self) -> str:
        """The name as error messages write it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_status(self) -> bool:
        """Whether status is written through its own subresource only."""
        return "status" in self.subresources

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition made it."""
        return self.schema is not None


NAMESPACES = Resource("", "v1", "Namespace", "namespaces", ("ns",), False, ("status",))
NODES = Resource("", "v1", "Node", "nodes", ("no",), False, ("status",))
PODS = Resource("", "v1", "Pod", "pods", ("po",), True, ("status", "log", "portforward"), True, ("all",))
SERVICES = Resource("", "v1", "Service", "services", ("svc",), True, ("status",), categories=("all",))
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", ("ep",))
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", ("cm",))
SECRETS = Resource("", "v1", "Secret", "secrets")
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", ("sa",), True, ("token",))
EVENTS = Resource("", "v1", "Event", "events", ("ev",))
QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", ("quota",), True, ("status",))
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", ("deploy",), True, STATUS_AND_SCALE, True, ("all",))
REPLICA_SETS = Resource("apps", "v1", "ReplicaSet", "replicasets", ("rs",), True, STATUS_AND_SCALE, True, ("all",))
STATEFUL_SETS = Resource("apps", "v1", "StatefulSet", "statefulsets", ("sts",), True, STATUS_AND_SCALE, True, ("all",))
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets", ("ds",), True, ("status",), True, ("all",))
JOBS = Resource("batch", "v1", "Job", "jobs", (), True, ("status",), True, ("all",))
CRON_JOBS = Resource("batch", "v1", "CronJob", "cronjobs", ("cj",), True, ("status",), True, ("all",))
AUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    ("hpa",),
    True,
    ("status",),
    False,
    ("all",),
)
DISRUPTION_BUDGETS = Resource(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", ("pdb",), True, ("status",), True
)
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", ("netpol",), generation=True)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", generation=True)
PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", ("pc",), False)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS = (
    Resource("rbac.authorization.k8s.io", "v1", kind, f"{kind.lower()}s", namespaced=not kind.startswith("Cluster"))
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
)
DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    ("crd", "crds"),
    False,
    ("status",),
    True,
    ("api-extensions",),
)
API_SERVICES = Resource(
    "apiregistration.k8s.io", "v1", "APIService", "apiservices", (), False, ("status",), categories=("api-extensions",)
)
MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS = (
    Resource(
        "admissionregistration.k8s.io",
        "v1",
        kind,
        f"{kind.lower()}s",
        namespaced=False,
        generation=True,
        categories=("api-extensions",),
    )
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
)
BUILT_IN = (
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    ENDPOINTS,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    EVENTS,
    QUOTAS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    ENDPOINT_SLICES,
    PRIORITY_CLASSES,
    LEASES,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    DEFINITIONS,
    API_SERVICES,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
)

# A delete of these answers with the object, of others with a Status.
RETURNED_WHEN_DELETED = (PODS, QUOTAS, SERVICES, SERVICE_ACCOUNTS)

# Reviews are created and never stored.
REVIEWS = tuple(
    Resource(f"{group}.k8s.io", "v1", kind, f"{kind.lower()}s", namespaced=False)
    for group, kind in (
        ("authorization", "SelfSubjectAccessReview"),
        ("authorization", "SelfSubjectRulesReview"),
        ("authorization", "SubjectAccessReview"),
        ("authentication", "SelfSubjectReview"),
    )
)
ACCESS_REVIEWS = REVIEWS[0]

# What kube-apiserver 1.36 serves in the groups above and nobody needed yet: resources by (group, version) ...
NOT_SERVED: dict[tuple[str, str], tuple[str, ...]] = {
    ("admissionregistration.k8s.io", "v1"): ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
    ("", "v1"): (
        "bindings",
        "componentstatuses",
        "limitranges",
        "persistentvolumeclaims",
        "persistentvolumes",
        "podtemplates",
        "replicationcontrollers",
    ),
    ("apps", "v1"): ("controllerrevisions",),
    ("authentication.k8s.io", "v1"): ("tokenreviews",),
    ("authorization.k8s.io", "v1"): ("localsubjectaccessreviews",),
    ("autoscaling", "v1"): ("horizontalpodautoscalers",),
    ("networking.k8s.io", "v1"): ("ingressclasses", "ingresses", "ipaddresses", "servicecidrs"),
}
# ... and subresources by plural.
NOT_SERVED_SUBRESOURCES: dict[str, tuple[str, ...]] = {
    "namespaces": ("finalize",),
    "nodes": ("proxy",),
    "pods": ("attach", "binding", "ephemeralcontainers", "eviction", "exec", "proxy", "resize"),
    "services": ("proxy",),
}


class Resources:
    """The registry: what is served now. CustomResourceDefinitions add to it and take away."""

    def __init__(self) -> None:
        self._served = {(item.group, item.version, item.plural): item for item in BUILT_IN}

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._served.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource type of an API path."""
        return self._served.get((group, version, plural))

    def by_key(self, key: tuple[str, str]) -> Resource:
        """Any version of the resource type of that bucket."""
        return next(item for item in self if item.key == key)

    def groups(self) -> dict[str, list[str]]:
        """Versions by group (the core group, named "", too), the preferred one first."""
        versions: dict[str, list[str]] = {}
        for item in (*self, *REVIEWS):
            known = versions.setdefault(item.group, [])
            if item.version not in known:
                known.append(item.version)
        return {group: sorted(found, key=_priority) for group, found in versions.items()}

    def define(self, definition: Object) -> None:
        """Serve the versions of a CustomResourceDefinition."""
        self.withdraw(definition)
        spec, names = definition["spec"], definition["spec"]["names"]
        for version in spec["versions"]:
            if version.get("served"):
                resource = Resource(
                    group=spec["group"],
                    version=version["name"],
                    kind=names["kind"],
                    plural=names["plural"],
                    short_names=tuple(names.get("shortNames") or ()),
                    namespaced=spec["scope"] == "Namespaced",
                    subresources=tuple(version.get("subresources") or ()),
                    generation=True,
                    categories=tuple(names.get("categories") or ()),
                    singular=names.get("singular") or names["kind"].lower(),
                    schema=get(version, "schema.openAPIV3Schema", {"type": "object"}),
                    columns=tuple(version.get("additionalPrinterColumns") or ()),
                )
                self._served[resource.group, resource.version, resource.plural] = resource

    def withdraw(self, definition: Object) -> None:
        """Stop serving a CustomResourceDefinition's resource type."""
        group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
        for key in [key for key in self._served if (key[0], key[2]) == (group, plural)]:
            del self._served[key]


def _priority(version: str) -> tuple[int, int]:
    # Stable versions first, then beta, then alpha; the highest number first.
    stability = ("alpha" in version) * 2 + ("beta" in version)
    number = re.search(r"\d+", version)
    return stability, -int(number[0]) if number else 0


def singular(resource: Resource) -> str:
    """The singular name that discovery reports."""
    return resource.singular or resource.kind.lower()


def of_group_version(resources: Iterable[Resource], group: str, version: str) -> list[Resource]:
    """The resource types of one group and version, by name."""
    found = [item for item in resources if (item.group, item.version) == (group, version)]
    return sorted(found, key=lambda item: item.plural)
