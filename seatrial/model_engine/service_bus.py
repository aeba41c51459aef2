"""Azure Service Bus before a message is sent: what logs the release in, and which setting keeps idle connections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.model_engine import cloud_roles, places
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.services import RoundTrip
from seatrial.resources import PODS
from seatrial.verdict import Cause, NotApplicable, NotJudged, Reason, Unhealthy

PARTS = ("gateway", "builder")
"""The components that talk to Service Bus, beside the endpoints' forwarders."""
POOL_LIMIT = ("broker_pool_limit", "brokerPoolLimit", "CELERY_BROKER_POOL_LIMIT")
"""Keys of values, and variables of pods, that set the size of Celery's pool of connections."""
KEEP_ALIVE = "SERVICEBUS_KEEP_ALIVE_INTERVAL"
PARTS_AFTER = 240
"""Seconds without a sign of life after which Service Bus closes a connection."""
SDK = (7, 14, 3)
"""The first azure-servicebus whose connections survive an idle while."""


def require_azure(ground: Ground) -> None:
    """Return where the release is on Azure; see `Scope.require_cloud`."""
    ground.configuration.require()
    ground.trial.scope.require_cloud("azure", ground.configuration.cloud, ground.configuration.source)


def login(ground: Ground) -> str:
    """By what the release logs in, as a line: a Secret that is there, or the pods' identity. `Unhealthy` without."""
    require_azure(ground)
    if ground.kube is None:
        raise NotApplicable("Secrets and pods are seen in the cluster alone")
    named = list(_secrets(ground))
    for one in named:
        if cause := ground.absent(*one, ""):  # in the words of a pod that cannot start without it
            raise Unhealthy(cause)
    if named:
        return f"the Secret {named[0][0]}/{named[0][1]}"
    if ground.release is None:
        raise NotApplicable("no Secret is named, and not applicable before the install: the chart makes the pods")
    for part in PARTS:
        if part in ground.release.components:
            _require_identity(ground, part)
    return "the workload identity of its pods"


def _secrets(ground: Ground) -> Iterator[tuple[str, str, str]]:
    """Namespace, name and key ("" for any): the one that the user names, else those that pods log in with."""
    if told := ground.trial.settings.asb_secret_name:
        yield ground.namespace, told, ""
        return
    for part in PARTS:
        if ground.release is None or part in ground.release.components:
            for variable, (name, key) in places.secret_keys(ground.place(part)).items():
                if variable.startswith(("AZURE_", "SERVICEBUS_", "CELERY_BROKER")):
                    yield ground.namespace, name, key


def _require_identity(ground: Ground, part: str) -> None:
    """Running pods of `part` were given a token; those of a template that does not ask for one are named as such."""
    kube, release, place = ground.kube, ground.release, ground.place(part)
    assert kube is not None
    assert release is not None
    pods = kube.list(PODS, release.namespace, labels=release.labels(part), empty_ok=True)
    running = [one for one in pods if not one["metadata"].get("deletionTimestamp")]
    if not running:
        do = "see infra's checks of it"
        raise NotJudged(Reason.TOOL, f"the {part} has no pods in whose environment an identity could be seen", do=do)
    wanted = cloud_roles.ROLES["azure"].injected
    if all(set(wanted) & (cloud_roles.pods_variables([one]) or set()) for one in running):
        return
    asks = places.IDENTITY[0] in place.labels
    raise Unhealthy(
        Cause(
            f"servicebus.no-identity/{release.namespace}",
            f"the {part}'s pods have neither a Secret nor a workload identity to log in to Service Bus with",
            evidence=(
                f"none of {', '.join(wanted)} is in the environment of the {len(running)} pods",
                f"their template {'asks' if asks else 'does not ask'} for an identity ({places.IDENTITY[0]})",
            ),
            do="see whether the cluster's workload identity webhook runs, then restart the pods"
            if asks
            else f"label the pods with {places.IDENTITY[0]}: the chart does, where the values have azure",
            look=f"{kube.kubectl} -n {release.namespace} get pods -l {release.labels(part)} -o yaml",
        )
    )


def pool(ground: Ground, asked: RoundTrip) -> str:
    """Which advice holds for this release and that it is followed, as a line. `asked`: who tells the SDK's version.

    `NotApplicable` where nothing is set wrong, and what decides then, the SDK of the release's own image, was not seen.
    """
    require_azure(ground)
    settings, place = ground.trial.settings, ground.place("gateway")
    env = places.plain_env(place)
    documented = settings.contract == "documented" or bool(
        ground.release and ground.release.name("gateway").endswith("-gateway")
    )
    limit = pool_limit(ground.configuration.values, env)
    if documented and limit is None and not ground.configuration.values:
        raise NotJudged(
            Reason.SETTINGS,
            "nobody says what helm was given, and the documented product goes by broker_pool_limit there",
            do="give the values that helm got: --values=FILE",
        )
    sdk, wrong = "", pool_trouble(documented=documented, limit=limit, keep_alive=env.get(KEEP_ALIVE, ""))
    if not documented and not wrong:
        sdk = asked.sdk
        wrong = sdk_trouble(sdk)
    if wrong:
        told = f", azure-servicebus {sdk}" if sdk else ""
        raise Unhealthy(
            Cause(
                f"servicebus.pool/{ground.namespace}",
                wrong,
                evidence=(f"broker_pool_limit {limit}, {KEEP_ALIVE} {env.get(KEEP_ALIVE)}{told}",),
                do="set it in the helm values, then helm upgrade"
                if documented
                else "leave broker_pool_limit away and run an image from commit 9deb59f1 on, with its defaults",
            )
        )
    return _holds(documented, sdk)


def _holds(documented: bool, sdk: str) -> str:
    if documented:
        return "the documented product: broker_pool_limit=0 applies, so that no connection idles"
    return (
        f"the released product keeps its connections alive (azure-servicebus {sdk}); "
        "the old advice broker_pool_limit=0 does not apply"
    )


def pool_limit(values: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    """What the pods' environment, else the values at any depth, say of the pool's size; None for nothing."""
    for name in POOL_LIMIT:
        if name in env:
            return env[name]
    return next(_found(values), None)


def _found(values: Any) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            if key in POOL_LIMIT and value is not None:
                yield str(value)
            else:
                yield from _found(value)


def pool_trouble(*, documented: bool, limit: str | None, keep_alive: str) -> str:
    """What is wrong with the settings that see to idle connections; empty for nothing. Never both are demanded."""
    if documented:
        if limit == "0":
            return ""
        return (
            f"broker_pool_limit is {limit or 'not set'}: the documented product's idle connections are lost without 0"
        )
    if limit == "0":
        return (
            "broker_pool_limit is 0, old advice that the released product has taken back: tasks fail after idle times"
        )
    if keep_alive and not (keep_alive.isdigit() and 0 < int(keep_alive) < PARTS_AFTER):
        return f"{KEEP_ALIVE} is {keep_alive}: Service Bus parts with a connection after {PARTS_AFTER} s without a sign"
    return ""


def sdk_trouble(sdk: str) -> str:
    """What is wrong with the released product's azure-servicebus, by its version; empty for nothing."""
    version = tuple(int(one) for one in re.findall(r"\d+", sdk)[:3])
    if version < SDK:
        return f"the image has azure-servicebus {sdk}, whose idle connections are lost; it takes 7.14.3 or newer"
    return ""
