"""Model Engine's API as both contracts speak it: answers are read tolerantly, requests are written by one switch."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from seatrial.http import Answer, Http
from seatrial.payloads import payload
from seatrial.settings import Settings
from seatrial.verdict import BadSettings, Cause, NotJudged, Unhealthy

Object = dict[str, Any]

ORDERS = ("newest", "oldest", "alphabetical")
"""Each process of the released gateway answers a lookup from memory for a while, an empty one, too. The order is part
of that memory's key: one that was not asked for yet is answered from the database."""


class Contract(enum.StrEnum):
    """Which requests the gateway takes."""

    DOCUMENTED = "documented"
    RELEASED = "released"


@dataclass(frozen=True)
class Task:
    """The answer to a task: HTTP 200 says little, `status` says SUCCESS or FAILURE."""

    status: str
    result: Any
    text: str


class ModelEngine:
    """The gateway's client. Nothing is repeated, nothing is waited for."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self.http, self.settings = http, settings
        self._learnt: Contract | None = None

    @property
    def contract(self) -> Contract | None:
        """As the settings or the gateway's OpenAPI document have it; None until the first create's answer tells."""
        if self.settings.contract != "auto":
            return Contract(self.settings.contract)
        return self._learnt or self._described

    @property
    def contract_source(self) -> str:
        """How the contract was found."""
        if self.settings.contract != "auto":
            return self.settings.source("contract")
        if self._learnt:
            return "the answer to the first create"
        return (
            "the gateway's OpenAPI document"
            if self._described
            else "unknown until the first create: no OpenAPI document"
        )

    @cached_property
    def _described(self) -> Contract | None:
        try:
            document = self.http.call("GET", "/openapi.json").json()
        except (Unhealthy, NotJudged):
            return None  # whatever answers there is no description: an ingress may route only what it knows
        paths = document.get("paths") if isinstance(document, dict) else None
        if not isinstance(paths, dict):
            return None
        return Contract.RELEASED if "/v2/model-bundles" in paths else Contract.DOCUMENTED

    def healthz(self) -> Answer:
        """The gateway's own word on itself: 200, whatever is behind it."""
        answer = self.http.call("GET", "/healthz", auth=False)
        if answer.status != 200:
            raise Unhealthy(
                Cause(
                    "gateway/healthz",
                    f"{answer.asked} answered {answer.status}, not 200",
                    evidence=(answer.said,),
                    do="see what answers there: the gateway's /healthz is a constant 200, without credentials, too",
                )
            )
        return answer

    def endpoints(self, *, auth: bool | str = True, **params: str) -> list[Object]:
        """All endpoints of ours, or those that `params` (``name``, ``order_by``) select."""
        answer = self.http.call("GET", "/v1/model-endpoints", params=params, auth=auth)
        assert answer.status != 429, f"{answer.asked} answered 429: {answer.said}"
        if answer.status != 200:
            raise _lists_badly(f"answers {answer.status}", answer)
        body = answer.json()
        listed = body.get("model_endpoints") if isinstance(body, dict) else None
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise _lists_badly("answers no list of model_endpoints", answer)
        return listed

    def endpoint(self, name: str, order: str = "") -> Object | None:
        """The endpoint called `name`, as the list has it."""
        params = {"name": name} | ({"order_by": order} if order else {})
        return next((one for one in self.endpoints(**params) if one.get("name") == name), None)

    def endpoint_by_id(self, endpoint_id: str) -> Object | None:
        """The same by its id; None where there is none. The documented contract has no such route."""
        answer = self.http.call("GET", f"/v1/model-endpoints/{endpoint_id}").expect(200, 404)
        return _object(answer) if answer.status == 200 else None

    def bundle_name(self) -> str:
        """Made from what the bundle holds, since no API deletes bundles: the next run finds this one again."""
        raw = json.dumps(self._bundle("echo"), sort_keys=True)
        return f"seatrial-echo-{hashlib.sha256(raw.encode()).hexdigest()[:8]}"

    def bundle(self, name: str) -> str | None:
        """The id of the newest bundle called `name`."""
        answer = self.http.call("GET", "/v2/model-bundles/latest", params={"model_name": name}).expect(200, 404)
        return str(field_of(_object(answer), "id")) if answer.status == 200 else None

    def knows_bundle(self, bundle_id: str) -> bool:
        """Whether this gateway has that bundle: two gateways on different databases do not."""
        return self.http.call("GET", f"/v2/model-bundles/{bundle_id}").expect(200, 404).status == 200

    def create_bundle(self, name: str) -> str:
        """Its id."""
        answer = self.http.call("POST", "/v2/model-bundles", json=self._bundle(name)).expect(200)
        return str(field_of(_object(answer), "model_bundle_id"))

    def create_endpoint(self, name: str, kind: str, run: str, bundle: str = "") -> Object | None:
        """The answer to the create; None if the gateway turns out to want the bundle first (nothing was made then)."""
        values = {"name": name, "kind": kind, "run": run, "bundle": bundle, **self._image()}
        contract = Contract.RELEASED if bundle else Contract.DOCUMENTED
        body = payload(f"model_engine/{contract}/echo_endpoint", self.settings.overlays, **values)
        answer = self.http.call("POST", "/v1/model-endpoints", json=body)
        if not bundle and answer.status == 422 and "model_bundle_id" in answer.text:
            if self.settings.contract != "auto":
                raise BadSettings(
                    f"the contract is set to {self.settings.contract}, and the gateway wants a bundle's id",
                    source=self.settings.source("contract"),
                    do="leave it away: the gateway tells",
                )
            self._learnt = Contract.RELEASED
            return None
        answer.expect(200)
        self._learnt = self._learnt or contract
        return _object(answer)

    def delete_endpoint(self, endpoint_id: str) -> Answer:
        """The answer as it is: 200 ``{"deleted": true}``, 404 if it is gone already."""
        return self.http.call("DELETE", f"/v1/model-endpoints/{endpoint_id}")

    def sync_task(self, endpoint_id: str, args: Any) -> Answer:
        """The answer as it is; `task` reads it."""
        params = {"model_endpoint_id": endpoint_id}
        timeout = self.settings.task_timeout * self.settings.timeout_factor
        return self.http.call("POST", "/v1/sync-tasks", params=params, json={"args": args}, timeout=timeout)

    def takes_any_token(self) -> bool:
        """Whether a token that nobody ever issued is accepted: the gateway is open to whoever reaches it."""
        answer = self.http.call("GET", "/v1/model-endpoints", auth="seatrial-made-up")
        return answer.status == 200

    def _bundle(self, name: str) -> Any:
        return payload("model_engine/released/echo_bundle", self.settings.overlays, name=name, **self._image())

    def _image(self) -> dict[str, str]:
        need = self.settings.need
        return {
            "repository": need(self.settings.model_engine_image_repository, "model_engine_image_repository"),
            "tag": need(self.settings.model_engine_image_tag, "model_engine_image_tag"),
        }


def field_of(body: Object, name: str) -> Any:
    """What `body` says under `name`; AssertionError if it does not: every contract has it there."""
    assert name in body, f"an answer of the gateway has no {name}: {str(body)[:200]}"
    return body[name]


def _object(answer: Answer) -> Object:
    body = answer.json()
    assert isinstance(body, dict), f"{answer.asked} answers no object: {answer.said}"
    return body


def _lists_badly(what: str, answer: Answer) -> Unhealthy:
    """A list that cannot be read ends waits, too, once that has held: every look needs it."""
    return Unhealthy(
        Cause(
            f"gateway/list/{what}",
            f"the gateway {what} to {answer.asked.partition('?')[0]}",
            evidence=(answer.said,),
            do="see what answers in the gateway's place"
            if answer.status == 200
            else "a 500 is most often the database: not reachable, or not migrated; the gateway's log names it",
        )
    )


def task(answer: Answer) -> Task:
    """What a task came to. AssertionError if the gateway itself refused it, or answers something that is no task."""
    answer.expect(200)
    body = _object(answer)
    status = body.get("status")
    assert status is not None, f"{answer.asked} answers no task: {answer.said}"
    return Task(str(status), _unwrapped(body.get("result")), answer.said)


def echoed(answer: Answer) -> Any:
    """What came back from a worker. AssertionError unless the task succeeded, whatever HTTP says."""
    done = task(answer)
    assert done.status == "SUCCESS", (
        f"{answer.asked} answered HTTP {answer.status}, and the task's status is {done.status}: {done.text}"
    )
    return done.result


def _unwrapped(result: Any) -> Any:
    """The worker's own answer: the released forwarder wraps it, as a string of JSON."""
    match result:
        case {"result": str(text)} if len(result) == 1:
            try:
                return json.loads(text)
            except json.JSONDecodeError:
                return text
        case {"result": inner} if len(result) == 1:
            return inner
        case _:
            return result


def terminal(endpoint: Object) -> Cause | None:
    """The cause if `endpoint` has a status that never changes by itself."""
    if endpoint.get("status") != "UPDATE_FAILED":
        return None
    reason = endpoint.get("status_reason") or (endpoint.get("spec") or {}).get("status_reason")
    return Cause(
        f"model_engine.build-failed/{endpoint.get('name')}",
        f"the builder could not make {endpoint.get('name')}: {reason or 'it gives no reason'}",
        evidence=(f"status UPDATE_FAILED, status_reason {reason!r}",),
        settle=0.0,
        do="the builder's log says more",
    )
