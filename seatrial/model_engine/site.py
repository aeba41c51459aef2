"""Where endpoints are made: the gateway's client, and the cluster as far as there is one to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from seatrial import connect
from seatrial.kube import Kube
from seatrial.model_engine import gateway
from seatrial.model_engine.backlog import Backlog
from seatrial.model_engine.client import Contract, ModelEngine
from seatrial.model_engine.depths import Queues
from seatrial.model_engine.discovery import Release, discover
from seatrial.target import Target
from seatrial.trial import Trial


@dataclass
class Site:
    """`own_gateway` is the one of the kubeconfig's context, where ``gateway_url`` names one that may be another's."""

    trial: Trial
    engine: ModelEngine
    kube: Kube | None = None
    release: Release | None = None
    own_gateway: ModelEngine | None = None
    queues: Queues | None = None
    patience: float = 12.0
    """Seconds for which an endpoint whose create was never answered is looked for: within the end of the run's own."""

    @cached_property
    def backlog(self) -> Backlog | None:
        """The builder's queue while endpoints wait in it; None where there is no cluster to look from."""
        return Backlog(self.queues) if self.queues is not None else None

    @property
    def namespace(self) -> str:
        """The endpoints' namespace; raises what kept us from finding it."""
        settings = self.trial.settings
        if settings.endpoint_namespace is None and self.release is not None and self.release.refused is not None:
            raise self.release.refused
        return settings.need(settings.endpoint_namespace, "endpoint_namespace")

    @property
    def memory(self) -> float:
        """Seconds for which each process of the gateway may answer from memory; the documented contract knows none."""
        return 0.0 if self.engine.contract is Contract.DOCUMENTED else self.trial.settings.gateway_memory


def release(trial: Trial, target: Target, kube: Kube | None) -> Release | None:
    """The release under test, its findings in the settings; None without a cluster."""
    if kube is None:
        return None
    found = discover(kube, trial.settings, target.namespace)
    trial.settings = trial.settings.discovered(found.found)
    return found


@contextmanager
def own_gateway(
    trial: Trial, target: Target, kube: Kube | None, release: Release | None
) -> Iterator[ModelEngine | None]:
    """The gateway of the kubeconfig's context, where ``gateway_url`` names one that may be another's; else None."""
    if kube is None or release is None or trial.settings.gateway_url is None:
        yield None
        return
    own = replace(trial.settings, gateway_url=None)
    with gateway.reach(own, target, trial.record, kube, release) as http:
        yield ModelEngine(http, trial.settings)


@contextmanager
def opened(trial: Trial) -> Iterator[Site]:
    """The site with clients of its own, all at once: at the end of a run there are no fixtures."""
    target = connect.target(trial)
    with ExitStack() as stack:
        kube = stack.enter_context(connect.kube(trial.settings, target, trial.record)) if target.has_cluster else None
        found = release(trial, target, kube)
        http = stack.enter_context(gateway.reach(trial.settings, target, trial.record, kube, found))
        yield Site(trial, ModelEngine(http, trial.settings), kube, found)


def gateways_log(site: Site) -> str:
    """The command that shows it, where there is a cluster."""
    kube, release = site.kube, site.release
    if kube is None or release is None:
        return ""
    return f"{kube.kubectl} -n {release.namespace} logs deployment/{release.name('gateway')} --tail 200"
