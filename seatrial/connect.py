"""From settings to the cluster: the target, its client, and whether it has the namespace that was given."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from seatrial.kube import Kube, NotFound
from seatrial.kube_auth import Credentials
from seatrial.record import Record
from seatrial.resources import NAMESPACES
from seatrial.settings import Settings
from seatrial.target import Target, resolve
from seatrial.trial import Trial
from seatrial.values import FROM_VALUES
from seatrial.verdict import BadSettings, NotJudged


def target(trial: Trial) -> Target:
    """The target of a run; `BadSettings` where settings and environment lead to none, or to an unnamed one."""
    return resolve(trial.settings, os.environ, needs_cluster=not trial.settings.no_cluster, writes=trial.writes)


def kube(settings: Settings, target: Target, record: Record) -> Kube:
    """The client of the target's API server; asks it nothing yet. `BadSettings` if its credentials cannot be read."""
    return Kube(
        _credentials(target.kubeconfig, target.context or None, settings.ca_bundle, target.by),
        record=record,
        timeout=10 * max(1.0, settings.timeout_factor),
        read_only=settings.read_only,
    )


@cache
def _credentials(kubeconfig: str | None, context: str | None, ca_bundle: Path | None, source: str) -> Credentials:
    """Read once for all clients of a process, which read them anew when the API server takes them no longer."""
    return Credentials(kubeconfig, context, ca_bundle=ca_bundle, source=source)


def check_namespace(client: Kube, settings: Settings) -> None:
    """`BadSettings` if a namespace that was given does not exist; where we may not look, the checks will tell."""
    for setting, what in (("namespace", "the release is in"), ("endpoint_namespace", "the endpoints' pods are in")):
        name = getattr(settings, setting)
        if name is None or settings.source(setting).endswith(
            FROM_VALUES
        ):  # what an install will need, not what is meant
            continue
        try:
            client.get(NAMESPACES, name)
        except NotFound:
            raise BadSettings(
                f"there is no namespace {name!r} in {client.url}",
                source=settings.source(setting),
                do=f"give the namespace that {what}",
            ) from None
        except NotJudged:
            return
