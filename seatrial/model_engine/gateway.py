"""The way from here to the gateway, and why it does not answer when it does not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from seatrial.forward import Forward
from seatrial.http import Answer, Http
from seatrial.http_errors import Answered
from seatrial.kube import Kube
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import gateway as gateway_health
from seatrial.record import Record
from seatrial.resolves import check_resolves
from seatrial.settings import Settings
from seatrial.target import Target
from seatrial.verdict import NotJudged, Unhealthy


@contextlib.contextmanager
def reach(
    settings: Settings, target: Target, record: Record, kube: Kube | None, release: Release | None
) -> Iterator[Http]:
    """A client of the gateway: at ``gateway_url``, else at its cluster name in the cluster, else by a port-forward.

    `BadSettings` if nothing says where the gateway is, or its name does not resolve from here.
    """
    seen_from = "this pod" if target.in_cluster else "this machine"
    if settings.gateway_url is not None:
        check_resolves(settings)
        with _http(
            settings, record, settings.gateway_url, settings.source("gateway_url"), seen_from, kube, release
        ) as http:
            yield http
    elif kube is None or release is None:
        settings.need(settings.gateway_url, "gateway_url")
    elif target.in_cluster:
        url = f"http://{release.service}.{release.namespace}.svc:{release.port}"
        source = f"Service {release.namespace}/{release.service}"
        with _http(settings, record, url, source, seen_from, kube, release) as http:
            yield http
    else:
        with forwarded(settings, record, kube, release) as http:
            yield http


@contextlib.contextmanager
def forwarded(settings: Settings, record: Record, kube: Kube, release: Release) -> Iterator[Http]:
    """A client of the gateway that `kube`'s cluster has, through a port-forward of ours."""
    with Forward(kube, release.service, release.namespace, release.port) as forward:
        source = f"a port-forward to {forward}"
        with _http(settings, record, forward.url, source, "this machine", kube, release, forward) as http:
            yield http


def _http(
    settings: Settings,
    record: Record,
    url: str,
    source: str,
    seen_from: str,
    kube: Kube | None,
    release: Release | None,
    forward: Forward | None = None,
) -> Http:
    def explain() -> None:
        """Raise what the cluster, or the port-forward, knows of a connection that broke."""
        if kube is not None and release is not None:
            with contextlib.suppress(NotJudged):
                if cause := gateway_health.trouble(kube, release):
                    raise Unhealthy(cause)
        if forward is not None:
            forward.explain()

    within = threading.local()  # requests go out side by side

    def suspect(answer: Answer | None) -> None:
        """Raise what the gateway's log, or Redis, knows of a request that failed inside it or was never answered."""
        if kube is None or release is None or getattr(within, "suspecting", False):
            return
        within.suspecting = True  # what is asked here must not be asked about
        try:
            with contextlib.suppress(NotJudged):
                if answer is None:
                    _hangs(http, kube, release)
                elif cause := gateway_health.failed(kube, release, _request_id(answer)):
                    raise Answered(cause)
        finally:
            within.suspecting = False

    http = Http(
        url,
        record=record,
        token=settings.token if settings.token.source else None,
        timeout=settings.request_timeout * settings.timeout_factor,
        source=source,
        seen_from=seen_from,
        ca_bundle=settings.ca_bundle,
        explain=explain,
        suspect=suspect,
        read_only=settings.read_only,
    )
    return http


def _hangs(http: Http, kube: Kube, release: Release) -> None:
    """Raise the likeliest cause of a request that is not answered, if /healthz is."""
    try:
        answers = http.call("GET", "/healthz", auth=False).status == 200
    except AssertionError:
        return
    if answers:
        raise Unhealthy(gateway_health.hangs(kube, release))


def _request_id(answer: Answer) -> str:
    """By which the gateway's log knows the request; empty where the answer does not say."""
    return str(answer.data.get("request_id") or "") if isinstance(answer.data, dict) else ""
