"""TokenRequest: a bearer token for a service account."""

from __future__ import annotations

from aiohttp import web

from sandbox.kube import decoding
from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import method_not_allowed
from sandbox.kube.negotiation import json_response
from sandbox.kube.objects import get, timestamp
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.users import Tokens

AUDIENCE = "https://kubernetes.default.svc.cluster.local"


async def handle(request: web.Request, cluster: Cluster, info: RequestInfo, tokens: Tokens) -> web.Response:
    """Answer create of ``serviceaccounts/token``. A real server grants no less than 600 seconds."""
    if info.verb != "create":
        raise method_not_allowed()
    account = cluster.find(info.resource, info.namespace, info.name)
    body = await request.read()
    asked = decoding.decode(body, request.content_type, "TokenRequest") if body else {}
    lifetime = int(get(asked, "spec.expirationSeconds", 3600))
    review = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": info.name,
            "namespace": info.namespace,
            "uid": account["metadata"]["uid"],
            "creationTimestamp": timestamp(),
        },
        "spec": {"audiences": get(asked, "spec.audiences") or [AUDIENCE], "expirationSeconds": lifetime},
        "status": {"token": tokens.issue(account, lifetime), "expirationTimestamp": timestamp(lifetime)},
    }
    return json_response(review, 201)
