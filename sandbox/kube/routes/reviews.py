"""Reviews: what may I do, who am I. Every known user may do everything."""

from __future__ import annotations

from aiohttp import web

from sandbox.kube import decoding
from sandbox.kube.errors import Cause, invalid_request, method_not_allowed
from sandbox.kube.negotiation import json_response
from sandbox.kube.objects import Object, get
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.resources import ACCESS_REVIEWS

GROUPS = ["system:masters", "system:authenticated"]


async def handle(request: web.Request, info: RequestInfo, user: str) -> web.Response:
    """Answer POST of a SelfSubjectAccessReview or a SelfSubjectReview."""
    if info.verb != "create":
        raise method_not_allowed()
    review = decoding.decode_object(await request.read(), request.content_type, info.resource)
    status = _access(review) if info.resource is ACCESS_REVIEWS else _identity(user)
    return json_response({**review, "status": status}, 201)


def _access(review: Object) -> Object:
    if not get(review, "spec.resourceAttributes") and not get(review, "spec.nonResourceAttributes"):
        rule = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = Cause("spec.resourceAttributes", "FieldValueInvalid", f"Invalid value: null: {rule}")
        raise invalid_request(ACCESS_REVIEWS.group, cause)
    return {"allowed": True}


def _identity(user: str) -> Object:
    return {"userInfo": {"username": user, "groups": GROUPS}}
