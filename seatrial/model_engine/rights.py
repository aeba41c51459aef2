"""The rights that checks of Model Engine need, one row a right, by the fixture or check that asks for them."""

from __future__ import annotations

from seatrial.adoption import SELECTING
from seatrial.model_engine.configuration import look
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.objects import KINDS
from seatrial.permissions import Place, Right, Table
from seatrial.probe import POD
from seatrial.resources import (
    CLUSTER_POLICIES,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DEVICE_CONFIGS,
    ENDPOINT_SLICES,
    EVENTS,
    HPAS,
    JOBS,
    LEASES,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
)
from seatrial.settings import Settings
from seatrial.target import Target
from seatrial.trial import Trial

_STORIES = "causes are told without the pods' events"
_WORDS = "causes are told without the containers' last words"
_UNSEEN = "a builder whose log was rotated away cannot be judged by what it has built"
_UNJUDGED = "a time-out of a probe cannot be judged"
_BENEATH = "why a node with GPUs offers none of them is not known"
_SERVING = "an endpoint's pods are not looked at: that it serves is proven by the echo alone"


def _health(place: Place, without: str = "") -> tuple[Right, ...]:
    """To tell why pods do not run."""
    return (
        Right("list", PODS, place, without=without),
        Right("list", EVENTS, place, without=without or _STORIES),
        Right("get", PODS, place, "log", without=without or _WORDS),
    )


def _probe(place: Place) -> tuple[Right, ...]:
    """To ask from a pod of ours, and to remove it."""
    return (
        Right("create delete get", PODS, place),
        Right("get", PODS, place, "log"),
        Right("list", EVENTS, place, without=_STORIES),
    )


RIGHTS: Table = {
    "target": (
        Right("get", NAMESPACES, Place.RELEASE, without="a namespace that does not exist is found out later"),
        Right("get", NAMESPACES, Place.ENDPOINTS, without="a namespace that does not exist is found out later"),
    ),
    "release": (
        Right("get list", DEPLOYMENTS),
        Right("list", SERVICES),
        Right("get", CONFIG_MAPS),
        Right("list", SECRETS, without="helm's revision is not known: an upgrade is seen by the pods' templates alone"),
        Right("list", STATEFUL_SETS, without="the autoscaler is not seen"),
        *_health(Place.RELEASE),
    ),
    "forward": (
        Right("get", SERVICES),
        Right("list", ENDPOINT_SLICES),
        Right("get", PODS, sub="portforward"),
        Right("create", PODS, sub="portforward", without="API servers from 1.35 on forward no port"),
    ),
    "lease": (
        Right("create delete get list patch", LEASES, without="runs do not know of each other, nor which still lives"),
    ),
    "site": _health(Place.ENDPOINTS, _SERVING),
    "infra": (
        Right("list", STATEFUL_SETS),
        Right("get list", PODS),
        Right("get", PODS, sub="log"),
        Right("get", STATEFUL_SETS, without="the autoscaler is not judged"),
    ),
    "infra/gateway_hpa_can_scale": (Right("list", HPAS),),
    "infra/no_migration_job_is_left": (Right("list", JOBS),),
    "infra/no_pod_in_error_state": (Right("list", JOBS, without="pods of finished Jobs are not told apart"),),
    "infra/configuration_is_equal_in_both_namespaces": (Right("get", CONFIG_MAPS, Place.ENDPOINTS),),
    "infra/builder_is_connected": (Right("list", DEPLOYMENTS, Place.ENDPOINTS, without=_UNSEEN),),
    "infra/cacher_redis_lets_it_in": (
        *(Right("create get delete", PODS), Right("get", PODS, sub="log")),
        Right("list", NETWORK_POLICIES, without=_UNJUDGED),
    ),
    "ground": (
        Right("get list", DEPLOYMENTS),
        Right("list", SERVICES),
        Right("get", CONFIG_MAPS),
        Right("list", SECRETS, without="helm's values are not known: what they say must be given as settings"),
        Right("get", SERVICE_ACCOUNTS, without="before an install nobody knows which service accounts are there"),
    ),
    "probes": (
        *_probe(Place.RELEASE),
        Right("create delete", SECRETS, without="addresses with passwords that you give cannot be asked from a pod"),
        Right("list", NETWORK_POLICIES, without=_UNJUDGED),
    ),
    "overlays": tuple(Right("list", one, place) for place in (Place.RELEASE, Place.ENDPOINTS) for one in SELECTING),
    "expect.gpu": (Right("list", NODES, Place.CLUSTER),),
    "gpu_nodes": (
        Right("list", NODES, Place.CLUSTER),
        Right("list", PODS, Place.CLUSTER, without="who holds the GPUs, and why a node offers none, is not known"),
        Right("list", DAEMON_SETS, Place.CLUSTER, without=_BENEATH),
        Right("get", PODS, Place.CLUSTER, "log", without=_BENEATH),
    ),
    "gpu_driver": _probe(Place.ENDPOINTS),
    "vllm_image_on_gpu_nodes": _probe(Place.ENDPOINTS),
    "preflight/gpu_operator_is_reconciled": (
        Right("list", DAEMON_SETS, Place.CLUSTER),
        Right("list", CLUSTER_POLICIES, Place.CLUSTER),
        Right("list", DEVICE_CONFIGS, Place.CLUSTER),
        Right("list", DEPLOYMENTS, Place.CLUSTER, without="what a GPU operator needs beside it is not judged"),
    ),
    "tier_b_applies": (
        Right("list", NODES, Place.CLUSTER),
        Right("list", PODS, Place.CLUSTER, without="that GPUs are in use, and by whom, is not known"),
    ),
    "llms": (
        *_probe(Place.ENDPOINTS),
        Right("list", DAEMON_SETS, Place.CLUSTER, without=_BENEATH),
        Right("get", PODS, Place.CLUSTER, "log", without=_BENEATH),
    ),
    "vllm_image": _probe(Place.ENDPOINTS),
    "forwarder_image": _probe(Place.ENDPOINTS),
    "preflight/service_account_has_its_role": (
        Right("list", PODS),
        Right("get", SERVICE_ACCOUNTS),
        Right("get", SERVICE_ACCOUNTS, Place.ENDPOINTS),
    ),
    "preflight/service_bus_secret_exists": (
        Right("list", PODS),
        Right("get", SECRETS, without="on Azure a Secret that logs the release in to Service Bus is not looked at"),
    ),
    "preflight/named_secrets_exist": (Right("get", SECRETS), Right("get", SECRETS, Place.ENDPOINTS)),
    "preflight/images_are_from_expected_registries": (Right("list", PODS, Place.ENDPOINTS),),
    "queues": (Right("create delete get", PODS, without="nobody looks into the broker's queues"),),
    "published": (Right("create delete get", PODS), Right("list", NETWORK_POLICIES, without=_UNJUDGED)),
    **{
        f"tier_a/nothing_of_{kind}_endpoint_is_left": tuple(
            Right("list" if one is PODS else "get list", one, Place.ENDPOINTS) for one in KINDS
        )
        for kind in ("sync", "streaming")
    },
    "tier_b/nothing_of_llm_endpoint_is_left": tuple(
        Right("list" if one is PODS else "get list", one, Place.ENDPOINTS) for one in KINDS
    ),
    "tier_a/nothing_of_async_endpoint_is_left": (
        *(Right("list" if one is PODS else "get list", one, Place.ENDPOINTS) for one in KINDS),
        Right("create delete get", PODS),  # of ours: they look for its queue
    ),
}
"""Read by `seatrial.permissions`: before each run, for ``preflight/permissions``, and for docs/rbac.yaml."""

OF_GPUS = frozenset(
    {
        *("gpu_nodes", "gpu_driver", "vllm_image_on_gpu_nodes", "preflight/gpu_operator_is_reconciled"),
        *("tier_b_applies", "llms"),
    }
)
"""Not needed where the user says that there are none."""
BY_SETTING = frozenset({"overlays", "expect.gpu"})
"""Needed only by who sets something: labels for our pods, a number of GPUs."""


def needs(trial: Trial, target: Target) -> frozenset[str]:
    """What the selected checks need; a port-forward only where nothing else leads to the gateway."""
    forwarded = "gateway" in trial.needs and trial.settings.gateway_url is None and not target.in_cluster
    gpus = "preflight/target_is_as_declared" in trial.needs and trial.settings.expect.gpu
    labels = "probes" in trial.needs and look(trial.settings.overlays, f"{POD}.metadata.labels")
    also = {"overlays": labels, "forward": forwarded, "lease": trial.writes, "expect.gpu": gpus and gpus.at_least}
    found = trial.needs | {name for name, needed in also.items() if needed}
    return found - OF_GPUS if trial.settings.expect.no_gpus else found


def namespaces(settings: Settings, target: Target, release: Release | None) -> dict[Place, str]:
    """Where release and endpoints are, as far as it is known: an unknown release is looked for in the whole cluster."""
    found = {name: str(value) for name, (value, _) in (release.found if release else {}).items()}
    home = settings.namespace or found.get("namespace") or target.namespace
    return {
        Place.RELEASE: home,
        Place.ENDPOINTS: settings.endpoint_namespace or found.get("endpoint_namespace") or home,
        Place.CLUSTER: "",
    }
