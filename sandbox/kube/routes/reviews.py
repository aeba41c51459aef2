"""Reviews: what may I do, what may somebody else do, who am I."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from aiohttp import web

from sandbox.kube import decoding
from sandbox.kube.authorization import Attributes, Authorizer
from sandbox.kube.errors import Cause, invalid_request, method_not_allowed
from sandbox.kube.negotiation import json_response
from sandbox.kube.objects import Object, get
from sandbox.kube.request_info import RequestInfo
from sandbox.kube.resources import ACCESS_REVIEWS
from sandbox.kube.users import User

ATTRIBUTES = tuple(field.name for field in fields(Attributes))
RESOURCE_RULE = ("verbs", "apiGroups", "resources", "resourceNames")


async def handle(request: web.Request, info: RequestInfo, authorizer: Authorizer) -> web.Response:
    """Answer POST of a review."""
    if info.verb != "create":
        raise method_not_allowed()
    review = decoding.decode_object(await request.read(), request.content_type, info.resource)
    status = ANSWERS[info.resource.kind](review, authorizer, info.user)
    return json_response({**review, "status": status}, 201)


def _own_access(review: Object, authorizer: Authorizer, user: User) -> Object:
    resource, path = get(review, "spec.resourceAttributes"), get(review, "spec.nonResourceAttributes")
    if not resource and not path:
        rule = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = Cause("spec.resourceAttributes", "FieldValueInvalid", f"Invalid value: null: {rule}")
        raise invalid_request(ACCESS_REVIEWS.group, cause)
    decision = authorizer.decide(user, Attributes(**_only(resource or path, ATTRIBUTES)))
    return {"allowed": decision.allowed, **({"reason": decision.reason} if decision.reason else {})}


def _access(review: Object, authorizer: Authorizer, user: User) -> Object:
    spec = review["spec"]
    return _own_access(review, authorizer, User(spec.get("user", ""), tuple(spec.get("groups") or ())))


def _rules(review: Object, authorizer: Authorizer, user: User) -> Object:
    missing: list[str] = []
    granted = authorizer.granted(user, get(review, "spec.namespace", ""), missing)
    rules = [rule for each in granted for rule in each.rules]
    status = {
        "resourceRules": [_only(rule, RESOURCE_RULE) for rule in rules if "resources" in rule],
        "nonResourceRules": [rule for rule in rules if "nonResourceURLs" in rule],
        "incomplete": bool(missing),
    }
    return {**status, **({"evaluationError": ", ".join(missing)} if missing else {})}


def _only(rule: Object, names: tuple[str, ...]) -> Object:
    return {name: rule[name] for name in names if name in rule}


def _identity(review: Object, authorizer: Authorizer, user: User) -> Object:
    return {"userInfo": {"username": user.name, "groups": list(user.groups)}}


ANSWERS: dict[str, Callable[[Object, Authorizer, User], Object]] = {
    "SelfSubjectAccessReview": _own_access,
    "SelfSubjectReview": _identity,
    "SelfSubjectRulesReview": _rules,
    "SubjectAccessReview": _access,
}
