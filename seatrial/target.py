"""Which cluster a run is about, and whether somebody named it. Asks no network.

A run that writes needs a named target: the current context of a kubeconfig that several clusters share is whatever was
used last.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.kubeconfig import Kubeconfig, there
from seatrial.mask import masked
from seatrial.settings import Settings, how_to_give
from seatrial.verdict import BadSettings

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token, certificate and namespace."""


@dataclass(frozen=True)
class Target:
    """The cluster, or that there is none.

    One of three: a kubeconfig (one file, or several as KUBECONFIG has them) with a context; `in_cluster`; neither
    (`has_cluster` is False), then only `gateway_url` is judged. `named` says whether a run may write there, `by` how it
    was chosen. `namespace` is the one that was given, else the context's, else the pod's: the last two are only where
    discovery looks first.
    """

    by: str
    named: bool
    kubeconfig: str | None = None
    context: str = ""
    in_cluster: bool = False
    server: str = ""
    namespace: str = ""
    namespace_source: str = ""

    @property
    def has_cluster(self) -> bool:
        """Whether there is an API server to ask."""
        return bool(self.server)

    def describe(self) -> str:
        """One line for the head of a run."""
        where = f"namespace {self.namespace} ({self.namespace_source})" if self.namespace else "namespace to be found"
        if not self.has_cluster:
            return masked(f"no cluster, {self.by}")
        if self.in_cluster:
            return f"the cluster this runs in ({self.server}), {where}"
        named = "" if self.named else "; not named: good for reading only"
        return masked(f"context {self.context} ({self.server}; {self.by}{named}), {where}")


def resolve(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    needs_cluster: bool,
    writes: bool,
    service_account: Path = SERVICE_ACCOUNT,
) -> Target:
    """The target that settings and environment lead to.

    Raises `BadSettings` for: no cluster although one is needed, a context that does not exist, and `writes` to a
    target that nobody named. `needs_cluster` False allows a run without any kubeconfig.
    """
    if settings.no_cluster:
        return _without_cluster(settings)
    target = _by_kubeconfig(settings, environ)
    if target is None and settings.context is not None:
        raise BadSettings(
            f"the context {settings.context!r} is named, and there is no kubeconfig",
            source=settings.source("context"),
            do=how_to_give("kubeconfig"),
        )
    target = target or _in_cluster(settings, environ, service_account)
    if target is None and (needs_cluster or writes):
        raise BadSettings(
            "there is no kubeconfig, and this is no pod of a cluster",
            do=f"{how_to_give('kubeconfig')}; or judge over HTTP alone: --no-cluster, with GATEWAY_URL",
        )
    if target is None:
        return Target(by=f"gateway {settings.gateway_url} ({settings.source('gateway_url')})", named=False)
    if writes and not target.named:
        raise BadSettings(
            f"this run writes, and nothing but the kubeconfig's current context says where: {target.context}",
            source=target.by,
            do=f"if that is the one: --context {shlex.quote(target.context)}; --read-only may use it as it is",
        )
    return target


def _without_cluster(settings: Settings) -> Target:
    if settings.context is not None and settings.source("context").startswith("--"):
        raise BadSettings(
            "a context is named, and no cluster is to be used",
            source=f"{settings.source('context')} and {settings.source('no_cluster')}",
            do="leave one of them away",
        )
    if settings.gateway_url is None:
        raise BadSettings(
            "without a cluster nothing can find the gateway, and gateway_url is not given",
            source=settings.source("no_cluster"),
            do=how_to_give("gateway_url"),
        )
    return Target(by=f"gateway {settings.gateway_url} ({settings.source('gateway_url')})", named=True)


def _by_kubeconfig(settings: Settings, environ: Mapping[str, str]) -> Target | None:
    """The target in the kubeconfig that was given, or in the user's own if there is one."""
    paths, source = settings.kubeconfig, settings.source("kubeconfig")
    if paths is None:
        own = Path(environ.get("HOME") or "/") / ".kube" / "config"
        if not there(own):
            return None
        paths, source = (own,), str(own)
    config = Kubeconfig.read(paths, source)
    alone = settings.named("kubeconfig") and len(config.contexts) == 1
    if settings.context is not None:
        name, by, named = settings.context, settings.source("context"), True
    elif alone:
        (name,) = config.contexts
        by, named = f"the only context of {source}", True
    elif config.current:
        name, by, named = config.current, f"the current context of {source}", False
    elif not config.contexts:
        raise BadSettings("this kubeconfig has no context", source=source, do="name one that has: KUBECONFIG=…")
    else:
        raise BadSettings(
            f"no context is chosen, and {source} has no current one",
            source=source,
            do=f"--context with one of: {', '.join(sorted(config.contexts))}",
        )
    context = config.context(name, by)
    namespace, namespace_source = _namespace(settings, context.namespace, f"of the context {name}")
    return Target(
        by=by,
        named=named,
        kubeconfig=os.pathsep.join(str(path) for path in paths if there(path)),
        context=name,
        server=context.server,
        namespace=namespace,
        namespace_source=namespace_source,
    )


def _in_cluster(settings: Settings, environ: Mapping[str, str], service_account: Path) -> Target | None:
    """The target of a pod, by what the kubelet gave it."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (service_account / "token").exists():
        return None
    own = service_account / "namespace"
    namespace, namespace_source = _namespace(
        settings, own.read_text(encoding="utf-8").strip() if own.exists() else "", "of this pod"
    )
    return Target(
        by="the cluster this runs in",
        named=True,
        in_cluster=True,
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace,
        namespace_source=namespace_source,
    )


def _namespace(settings: Settings, guess: str, where: str) -> tuple[str, str]:
    if settings.namespace is not None:
        return settings.namespace, settings.source("namespace")
    return (guess, where) if guess else ("", "")
