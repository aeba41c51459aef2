"""How a release's service accounts come by their roles in a cloud, as data, and whether they do."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from seatrial.kube import NotFound, Object
from seatrial.model_engine.ground import Ground
from seatrial.resources import PODS, SERVICE_ACCOUNTS
from seatrial.verdict import Cause, NotApplicable, Unhealthy


@dataclass(frozen=True)
class CloudRole:
    """`annotation` of a service account names the role in the `form`; `injected`: variables that the cluster gives pods
    which are to have it, any of them; `keys`: variables by which pods bring credentials of their own instead."""

    annotation: str
    form: re.Pattern[str]
    example: str
    injected: tuple[str, ...]
    keys: tuple[str, ...]


ROLES: Mapping[str, CloudRole] = {
    "aws": CloudRole(
        "eks.amazonaws.com/role-arn",
        re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/\S+"),
        "arn:aws:iam::<account>:role/<name>",
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ("AWS_ACCESS_KEY_ID",),
    ),
    "azure": CloudRole(
        "azure.workload.identity/client-id",
        re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        "the client id of the identity, a UUID",
        ("AZURE_FEDERATED_TOKEN_FILE",),
        ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"),
    ),
    "gcp": CloudRole(
        "iam.gke.io/gcp-service-account",
        re.compile(r"[^@\s]+@[^@\s]+\.iam\.gserviceaccount\.com"),
        "<name>@<project>.iam.gserviceaccount.com",
        (),
        ("GOOGLE_APPLICATION_CREDENTIALS",),
    ),
}
"""Bare metal has none."""


class How(enum.Enum):
    """What is known of a service account's role."""

    GIVEN = "its pods have what they come by it with"
    NAMED = "the annotation alone says so, spelled as it must be: no pod shows that it is given"
    NONE = "it names none, and its pods were given none"
    MALFORMED = "the annotation names none that there can be"
    NOT_INJECTED = "the annotation names one, and its pods were not given it"


def require(ground: Ground) -> list[str]:
    """A line for each service account of the release and of its endpoints: by what it has its role.

    A warning for one that has none, where others have one. `Unhealthy` where one does not come by the role that it
    names; `NotApplicable` where there is nothing to come by, or where of no account anything was seen but its
    annotation.
    """
    ground.configuration.require()
    cloud = ground.configuration.cloud
    ground.trial.scope.require_clouds(cloud, ground.configuration.source)
    if cloud not in ROLES or ground.kube is None:
        raise NotApplicable(f"{cloud} has no roles for service accounts" if ground.kube else "the cluster is not asked")
    if ground.release is None:
        raise NotApplicable("not applicable before the install: the chart makes the service accounts")
    found = [_judged(ground, ROLES[cloud], *one) for one in _accounts(ground)]
    seen = {how for how, _ in found}
    if seen <= {How.NONE}:
        raise NotApplicable(
            "no service account names a role, and no pod was given one: their nodes' role is what counts"
        )
    if How.GIVEN not in seen:
        raise NotApplicable("; ".join(line for _, line in found))
    for how, line in found:
        if how is How.NONE:  # forgotten, perhaps: nodes may have the rights, too
            ground.trial.warn(line)
    return [line for how, line in found if how is not How.NONE]


def judge(role: CloudRole, named: str | None, variables: Collection[str] | None) -> tuple[How, str]:
    """What is known of an account's role, and by what it has it where it was seen to be given.

    `named`: what the annotation says; `variables`: the names of those that its pods have, None where there is no pod.
    """
    seen = variables or ()
    if own := [name for name in role.keys if name in seen]:
        return How.GIVEN, f"credentials of its own ({own[0]})"
    if named is not None and not role.form.fullmatch(named):
        return How.MALFORMED, ""
    if given := [name for name in role.injected if name in seen]:
        return How.GIVEN, f"what the cluster gives its pods ({given[0]})"
    if named is None:
        return How.NONE, ""
    return (How.NOT_INJECTED if role.injected and variables is not None else How.NAMED), ""


def pods_variables(pods: list[Object]) -> set[str] | None:
    """The names of the variables that every one of some running pods has; None without one."""
    names = [
        {one["name"] for container in pod["spec"]["containers"] for one in container.get("env") or ()} for pod in pods
    ]
    return set.intersection(*names) if names else None


def _accounts(ground: Ground) -> Iterator[tuple[str, str, set[str] | None]]:
    """Namespace and name of each service account, with what its pods have."""
    kube, release = ground.kube, ground.release
    assert kube is not None
    assert release is not None
    running = kube.list(PODS, release.namespace, empty_ok=True)
    for account in sorted({release.service_account(component) for component in release.components}):
        labels = [
            release.components[one]["spec"]["selector"]["matchLabels"]
            for one in release.components
            if release.service_account(one) == account
        ]
        own = [pod for pod in running if any(_matches(pod, one) for one in labels)]
        yield release.namespace, account, pods_variables(own)
    place = ground.endpoint_place()
    if (place.namespace, place.service_account) != (release.namespace, release.service_account("gateway")):
        yield place.namespace, place.service_account, None


def _matches(pod: Object, labels: Mapping[str, str]) -> bool:
    own = pod["metadata"].get("labels") or {}
    return not pod["metadata"].get("deletionTimestamp") and all(own.get(key) == value for key, value in labels.items())


def _judged(
    ground: Ground, role: CloudRole, namespace: str, account: str, variables: set[str] | None
) -> tuple[How, str]:
    """What is known of its role, and the line that says so."""
    kube = ground.kube
    assert kube is not None
    try:
        named = (kube.get(SERVICE_ACCOUNTS, account, namespace)["metadata"].get("annotations") or {}).get(
            role.annotation
        )
    except NotFound:
        raise AssertionError(f"there is no service account {account} in namespace {namespace}") from None
    how, by = judge(role, named, variables)
    told, do = "", ""
    match how:
        case How.GIVEN:
            return how, f"{namespace}/{account} has its role by {by}"
        case How.NAMED:
            unseen = "no pod of it was seen" if variables is None else "nothing in its pods shows it"
            return how, f"{namespace}/{account} names the role {named}; that it is given is not proven: {unseen}"
        case How.NONE:
            given = "no pod of it was seen" if variables is None else "its pods were given none"
            return how, f"{namespace}/{account} names no role, and {given}: its pods have what their nodes may do"
        case How.MALFORMED:
            told = f"names no role: {role.annotation} is {named!r}, not {role.example}"
            do = "correct serviceAccount.annotations in the helm values, then helm upgrade"
        case How.NOT_INJECTED:
            told = f"names the role {named}, and its pods were not given it"
            do = "see whether the cluster's identity webhook runs and the pods carry its label; restart older pods"
    raise Unhealthy(
        Cause(
            f"identity.{how.name.lower().replace('_', '-')}/{namespace}/{account}",
            f"the service account {namespace}/{account} {told}",
            evidence=(f"variables that its pods lack: {', '.join(role.injected)}",) if how is How.NOT_INJECTED else (),
            do=do,
            look=f"{kube.kubectl} -n {namespace} get serviceaccount {account} -o yaml",
        )
    )
