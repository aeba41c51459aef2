"""Which broker each part of a release goes by: what helm declares, what parts were told, what the builder reached."""

from __future__ import annotations

import re
from collections.abc import Mapping

from seatrial.kube import Kube
from seatrial.model_engine import places
from seatrial.model_engine.configuration import REDIS, SERVICE_BUS, SQS, Configuration, look
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import builder, words
from seatrial.verdict import Blocked, Cause, NotJudged, Reason, Unhealthy

TRANSPORTS = {"sqs": SQS, "redis": REDIS, "rediss": REDIS, "azureservicebus": SERVICE_BUS}
"""Schemes of the addresses that Celery names its broker by."""
BROKER_NAMES = re.compile(r"(sqs|servicebus|redis)-\S*message-broker")
"""What the autoscaler's variable BROKER_NAME begins with."""
ELASTICACHE = "elasticache"
"""A word for Redis that the product's own pages have, and its forwarders do not know."""
TEMPLATE = "deployment-runnable-image-async-cpu.yaml"
_RUNS, _URL = "celery_forwarder", "--sqs-url"
_TYPE = re.compile(r"--broker-type[\"']?[\s=-]+[\"']?(\w+)")
_CONNECTED = re.compile(r"(?:transport:\s+|Connected to )(\w+)://")
HELM, FORWARDER, AUTOSCALER, BUILDER, GATEWAY = (
    "helm's celeryBrokerType",
    "the endpoints' forwarders",
    "the autoscaler",
    "the builder's log",
    "the gateway's configuration",
)


def require(kube: Kube, release: Release, configuration: Configuration) -> str:
    """The one broker that all go by, with who says so, as a line. `Unhealthy` where they do not agree, `Blocked` while
    the builder has not reached any."""
    configuration.require()
    if cause := builder.trouble(kube, release):
        raise Blocked(cause)
    said = sources(kube, release, configuration)
    if wrong := disagreement(said):
        raise Unhealthy(_cause(kube, release, wrong, said))
    silent = "" if BUILDER in said else "; which one the builder has reached, its log says no more"
    return f"{said[GATEWAY]}, by {', '.join(said)}{silent}"


def disagreement(said: Mapping[str, str]) -> str:
    """What is wrong, as a sentence; empty where all go by one broker."""
    if said.get(FORWARDER) == ELASTICACHE:
        return (
            f"helm declares the broker {ELASTICACHE}, which the forwarders of async endpoints do not know: they end "
            "with a ValueError"
        )
    meant = {who: REDIS if what == ELASTICACHE else what for who, what in said.items()}
    if len(set(meant.values())) == 1:
        return ""
    by_broker: dict[str, list[str]] = {}
    for who, what in meant.items():
        by_broker.setdefault(what, []).append(who)
    told = "; ".join(f"{what} by {', '.join(who)}" for what, who in by_broker.items())
    return f"the parts of the release go by different brokers: {told}"


def sources(kube: Kube, release: Release, configuration: Configuration) -> dict[str, str]:
    """The broker by each that says one; `NotJudged` where the forwarders' template is not there."""
    found = {
        HELM: str(look(release.helm.values, "celeryBrokerType") or ""),
        GATEWAY: configuration.broker,
        FORWARDER: _forwarder(kube, release),
        AUTOSCALER: _autoscaler(release),
        BUILDER: _builder(kube, release),
    }
    return {who: what for who, what in found.items() if what}


def forwarder_type(template: str) -> str:
    """The broker of the template's forwarder, which goes by its queue's URL where no type is on its command line.

    Empty if the template runs none.
    """
    if _RUNS not in template:
        return ""
    found = _TYPE.search(template)
    return found[1] if found else SQS if _URL in template else REDIS


def transport(log: str) -> str:
    """The broker that a worker's log says it has connected to, the last time it says so; empty if it does not."""
    found = _CONNECTED.findall(log)
    return TRANSPORTS.get(found[-1], found[-1]) if found else ""


def _forwarder(kube: Kube, release: Release) -> str:
    found = places.template_text(kube, release, TEMPLATE)
    if found is None:
        raise NotJudged(
            Reason.TOOL, f"nothing tells the broker of {FORWARDER}: no ConfigMap that the builder mounts has {TEMPLATE}"
        )
    text, where = found
    if not (broker := forwarder_type(text)):
        raise NotJudged(Reason.TOOL, f"nothing tells the broker of {FORWARDER}: {where} runs no {_RUNS}")
    return broker


def _autoscaler(release: Release) -> str:
    if "autoscaler" not in release.components:
        return ""
    name = places.plain_env(places.of_component(release, "autoscaler")).get("BROKER_NAME", "")
    found = BROKER_NAMES.match(name)
    return found[1] if found else ""


def _builder(kube: Kube, release: Release) -> str:
    """By its whole log: the worker says it at its start alone."""
    logs = [one.text for one in words.said(kube, release, "builder", tail=None) if not one.previous]
    return next(filter(None, map(transport, logs)), "")


def _cause(kube: Kube, release: Release, wrong: str, said: Mapping[str, str]) -> Cause:
    return Cause(
        f"broker.disagree/{release.namespace}",
        wrong,
        evidence=tuple(f"{who}: {what}" for who, what in said.items()),
        do="set celeryBrokerType to what gateway and builder use (sqs, redis or servicebus), then helm upgrade",
        look=f"{kube.kubectl} -n {release.namespace} get configmaps -o yaml | grep -A1 broker-type",
    )
