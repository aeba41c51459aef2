"""Admission webhooks: other programs that change or refuse what is written.

They are known by objects of the kinds MutatingWebhookConfiguration and ValidatingWebhookConfiguration, and called for
requests to create, update and delete one object, and for the pods that controllers make.
"""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.kube import defaults, patch
from sandbox.kube.errors import StatusError
from sandbox.kube.objects import Object, clone, get
from sandbox.kube.resources import MUTATING_WEBHOOKS, NAMESPACES, VALIDATING_WEBHOOKS, Resource
from sandbox.kube.selectors import matches_selector
from sandbox.kube.store import Store
from sandbox.kube.users import User

OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


@dataclass(frozen=True)
class Call:
    """What is to be admitted: the operation, what it is about, and who does it."""

    operation: str
    resource: Resource
    namespace: str
    name: str
    user: User
    subresource: str = ""
    dry_run: bool = False


class Unreviewed(Exception):
    """A controller wants to create an object that webhooks must see first: `Webhooks.review` it, then try again."""

    def __init__(self, call: Call, obj: Object, complete: Callable[[Object], Object]) -> None:
        super().__init__(call.resource.qualified)
        self.call, self.object, self.complete = call, obj, complete


class Webhooks:
    """Calls them, in the order of their configurations' names."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reviewed: dict[str, Object | StatusError] = {}

    async def admit(
        self, call: Call, obj: Object | None, old: Object | None, complete: Callable[[Object], Object] = clone
    ) -> Object | None:
        """The object as webhooks want it; StatusError when one refuses, or fails and must not.

        `complete` makes of it what would be stored, which is what validating webhooks see.
        """
        mutating = list(self._matching(MUTATING_WEBHOOKS, call, obj, old))
        if mutating and obj is not None:
            obj = clone(obj)
            defaults.apply(call.resource.kind, obj)
        for webhook in mutating:
            answer = await self._ask(webhook, call, obj, old)
            if answer.get("patch"):
                obj = patch.json_patch(obj, json.loads(base64.b64decode(answer["patch"])))
        validating = list(self._matching(VALIDATING_WEBHOOKS, call, obj, old))
        if validating:
            whole = None if obj is None else complete(obj)
            for webhook in validating:
                await self._ask(webhook, call, whole, old)
        return obj

    # For controllers, which do not wait

    def reviewed(self, call: Call, obj: Object, complete: Callable[[Object], Object]) -> Object:
        """The object as webhooks want it, if they have been asked; else Unreviewed."""
        if not any(any(self._matching(kind, call, obj, None)) for kind in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS)):
            return obj
        outcome = self._reviewed.pop(_key(call, obj), None)
        if outcome is None:
            raise Unreviewed(call, obj, complete)
        if isinstance(outcome, StatusError):
            raise outcome
        return outcome

    async def review(self, asked: Unreviewed) -> None:
        """Ask the webhooks; the outcome is kept until the controller comes back for it."""
        try:
            outcome: Object | StatusError = await self.admit(asked.call, asked.object, None, asked.complete) or {}
        except StatusError as error:
            outcome = error
        self._reviewed[_key(asked.call, asked.object)] = outcome

    # One webhook

    def _matching(self, kind: Resource, call: Call, obj: Object | None, old: Object | None) -> Iterator[Object]:
        if call.resource in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS):
            return
        for _, configuration in sorted(self._store.bucket(kind.key).items()):
            for webhook in configuration.get("webhooks") or []:
                if self._concerned(webhook, call, obj or old or {}):
                    yield webhook

    def _concerned(self, webhook: Object, call: Call, obj: Object) -> bool:
        if not any(_covers(rule, call) for rule in webhook.get("rules") or []):
            return False
        inside = call.name if call.resource is NAMESPACES else call.namespace
        namespace = self._store.get(NAMESPACES.key, "", inside) if inside else None
        labels = (namespace or obj)["metadata"].get("labels")
        if inside and not matches_selector(webhook.get("namespaceSelector") or {}, labels):
            return False
        return matches_selector(webhook.get("objectSelector") or {}, obj["metadata"].get("labels"))

    async def _ask(self, webhook: Object, call: Call, obj: Object | None, old: Object | None) -> Object:
        """The webhook's response; StatusError when it refuses."""
        review = _review(call, obj, old)
        try:
            response: Object = await _post(webhook, review)
        except _Failed as error:
            if webhook.get("failurePolicy", "Fail") == "Ignore":
                return {}
            why = f'failed calling webhook "{webhook["name"]}": {error}'
            details = {"causes": [{"message": why}]}
            raise StatusError(500, "InternalError", f"Internal error occurred: {why}", details) from error
        if not response.get("allowed"):
            raise _denied(webhook["name"], response.get("status") or {})
        return response


class _Failed(Exception):
    """No answer that could be understood."""


def _key(call: Call, obj: Object) -> str:
    return json.dumps([call.resource.qualified, call.namespace, obj], sort_keys=True)


def _covers(rule: Object, call: Call) -> bool:
    plural = f"{call.resource.plural}/{call.subresource}" if call.subresource else call.resource.plural
    pairs = (
        ("operations", call.operation),
        ("apiGroups", call.resource.group),
        ("apiVersions", call.resource.version),
        ("resources", plural),
    )
    return all({"*", value} & set(rule.get(field) or ()) for field, value in pairs)


def _review(call: Call, obj: Object | None, old: Object | None) -> Object:
    resource = call.resource
    version = {"group": resource.group, "version": resource.version}
    request: Object = {
        "uid": str(uuid.uuid4()),
        "kind": {**version, "kind": resource.kind},
        "resource": {**version, "resource": resource.plural},
        "requestKind": {**version, "kind": resource.kind},
        "requestResource": {**version, "resource": resource.plural},
        "name": call.name,
        "namespace": call.namespace,
        "operation": call.operation,
        "userInfo": {"username": call.user.name, "groups": list(call.user.groups)},
        "object": obj and {"apiVersion": resource.api_version, "kind": resource.kind, **obj},
        "oldObject": old,
        "dryRun": call.dry_run,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": OPTIONS[call.operation]},
    }
    if call.subresource:
        request["subResource"] = request["requestSubResource"] = call.subresource
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


async def _post(webhook: Object, review: Object) -> Object:
    config, seconds = webhook["clientConfig"], webhook.get("timeoutSeconds", 10)
    url = f"{config['url']}?timeout={seconds}s"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
            session.post(url, json=review, ssl=_trust(config)) as answer,
        ):
            if answer.status >= 300:
                text = (await answer.text()).strip()
                raise _Failed(f"an error on the server ({json.dumps(text)}) has prevented the request from succeeding")
            response: Any = (await answer.json(content_type=None))["response"]
            return dict(response)
    except (TimeoutError, aiohttp.ClientError) as error:
        refused = f"dial tcp {url.split('/')[2]}: connect: connection refused"
        why = "context deadline exceeded" if isinstance(error, TimeoutError) else refused
        raise _Failed(f'failed to call webhook: Post "{url}": {why}') from error
    except (ValueError, TypeError, KeyError) as error:
        raise _Failed("received invalid webhook response: no response object") from error


def _trust(config: Object) -> ssl.SSLContext | bool:
    bundle = config.get("caBundle")
    return ssl.create_default_context(cadata=base64.b64decode(bundle).decode()) if bundle else True


def _denied(name: str, status: Object) -> StatusError:
    said = status.get("message") or status.get("reason")
    message = f'admission webhook "{name}" denied the request'
    message += f": {said}" if said else " without explanation"
    code = max(400, int(get(status, "code", 0)))
    return StatusError(code, status.get("reason") or "", message, status.get("details"))
