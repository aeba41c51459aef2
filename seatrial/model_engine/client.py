"""Model Engine's API as both contracts speak it: answers are read tolerantly, requests are written by one switch."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seatrial.http import Answer, Http, Streamed
from seatrial.http_errors import Answered
from seatrial.payloads import payload
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, Cause, NotJudged, Unhealthy

if TYPE_CHECKING:
    from seatrial.model_engine.kinds import Kind

Object = dict[str, Any]

ROUTE, LLM_ROUTE = "/v1/model-endpoints", "/v1/llm/model-endpoints"
CHAT = "/v2/chat/completions"
_NO_SUCH = (404, 405, 501)
"""Statuses of an endpoint, or of a route, that is not there."""
RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"
ORDERS = ("newest", "oldest", "alphabetical")
"""Each process of the released gateway answers a lookup from memory for a while, an empty one, too. The order is part
of that memory's key: one that was not asked for yet is answered from the database."""
BY_NAME = "by name"
"""In place of an order: an LLM endpoint can be asked for by its name, which has a memory of its own."""


class Contract(enum.StrEnum):
    """Which requests the gateway takes."""

    DOCUMENTED = "documented"
    RELEASED = "released"


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
        answer = self.http.call("GET", ROUTE, params=params, auth=auth)
        assert answer.status != 429, f"{answer.asked} answered 429: {answer.said}"
        if answer.status != 200:
            raise _lists_badly(f"answers {answer.status}", answer)
        body = answer.json()
        listed = body.get("model_endpoints") if isinstance(body, dict) else None
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise _lists_badly("answers no list of model_endpoints", answer)
        return listed

    def endpoint(self, name: str, order: str = "") -> Object | None:
        """The endpoint called `name`, as the list has it, or with `BY_NAME` as the LLM routes do."""
        if order == BY_NAME:
            return self.llm_endpoint(name)
        params = {"name": name} | ({"order_by": order} if order else {})
        return next((one for one in self.endpoints(**params) if one.get("name") == name), None)

    def endpoint_by_id(self, endpoint_id: str) -> Object | None:
        """The same by its id; None where there is none. The documented contract has no such route."""
        answer = self.http.call("GET", f"{ROUTE}/{endpoint_id}").expect(200, 404)
        return _object(answer) if answer.status == 200 else None

    def llm_endpoint(self, name: str) -> Object | None:
        """An LLM endpoint by its name, with what the released contract has in ``spec``; None where there is none."""
        answer = self.http.call("GET", f"{LLM_ROUTE}/{name}")
        if answer.status in _NO_SUCH:
            return None
        found = _object(answer.expect(200))
        spec = found.get("spec")
        return (spec if isinstance(spec, dict) else {}) | {"name": name} | found

    def llm_endpoints(self) -> list[Object]:
        """All LLM endpoints that we may see; empty where the gateway has no such list."""
        answer = self.http.call("GET", LLM_ROUTE)
        if answer.status in _NO_SUCH:
            return []
        listed = _object(answer.expect(200)).get("model_endpoints")
        return [one for one in listed or () if isinstance(one, dict)]

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

    def create_endpoint(
        self, name: str, kind: Kind, trial: Trial, contract: Contract, values: Mapping[str, str]
    ) -> str | None:
        """The creation task's id; None if the gateway turns out to be of the released contract (nothing was made then).

        `values`: what the payload wants beside the endpoint's name, kind and marks.
        """
        marks = {"run": trial.run.id, "expires": datetime.fromtimestamp(trial.expires, UTC).strftime(RFC_3339)}
        filled = {"name": name, "kind": kind.type, **marks, **values}
        body = payload(f"model_engine/{contract}/{kind.payload}", self.settings.overlays, **filled)
        answer = self.http.call("POST", kind.route, json=body)
        status, words = kind.released_says
        if contract is Contract.DOCUMENTED and answer.status == status and words in answer.text:
            if self.settings.contract != "auto":
                raise BadSettings(
                    f"the contract is set to {self.settings.contract}, and the gateway wants what the released one has",
                    source=self.settings.source("contract"),
                    do="leave it away: the gateway tells",
                )
            self._learnt = Contract.RELEASED
            return None
        answer.expect(200)
        self._learnt = self._learnt or contract
        return str(field_of(_object(answer), "endpoint_creation_task_id"))

    def delete_endpoint(self, kind: Kind, handle: str) -> Answer:
        """The answer as it is: 200 ``{"deleted": true}``, 404 if it is gone already.

        `handle`: the endpoint's id, or its name where the kind's route takes that.
        """
        return self.http.call("DELETE", f"{kind.route}/{handle}")

    def sync_task(self, endpoint_id: str, args: Any) -> Answer:
        """The answer as it is; `seatrial.model_engine.tasks.task` reads it."""
        return self._post_task("/v1/sync-tasks", endpoint_id, {"args": args})

    def streaming_task(self, endpoint_id: str, args: Any) -> Answer:
        """The whole stream as one answer; `seatrial.model_engine.tasks.streamed` reads it."""
        return self._post_task("/v1/streaming-tasks", endpoint_id, {"args": args})

    def chat(self, model: str) -> Answer:
        """The answer as it is; `seatrial.model_engine.completion.completion` reads it."""
        return self.http.call("POST", CHAT, json=self._chat("chat", model), timeout=self._chat_timeout)

    def chat_stream(self, model: str) -> Streamed:
        """The whole stream; `seatrial.model_engine.completion.flow` reads it."""
        return self.http.stream("POST", CHAT, json=self._chat("chat_stream", model), timeout=self._chat_timeout)

    def async_task(self, endpoint_id: str, args: Any) -> str:
        """The task's id; what becomes of it, `async_result` tells."""
        answer = self._post_task("/v1/async-tasks", endpoint_id, {"args": args, "url": None}).expect(200)
        return str(field_of(_object(answer), "task_id"))

    def async_result(self, task_id: str) -> Answer:
        """What is known of an async task; a gateway may say PENDING of one that never was."""
        return self.http.call("GET", f"/v1/async-tasks/{task_id}")

    def takes_any_token(self) -> bool:
        """Whether a token that nobody ever issued is accepted: the gateway is open to whoever reaches it."""
        try:
            answer = self.http.call("GET", ROUTE, auth="seatrial-made-up")
        except Answered:  # it was let in, or not: that fails in a check of its own
            return False
        return answer.status == 200

    def _chat(self, name: str, model: str) -> Any:
        return payload(f"model_engine/{name}", self.settings.overlays, name=model)

    @property
    def _chat_timeout(self) -> float:
        return self.settings.chat_timeout * self.settings.timeout_factor

    def _post_task(self, path: str, endpoint_id: str, body: Object) -> Answer:
        timeout = self.settings.task_timeout * self.settings.timeout_factor
        return self.http.call("POST", path, params={"model_endpoint_id": endpoint_id}, json=body, timeout=timeout)

    def _bundle(self, name: str) -> Any:
        return payload("model_engine/released/echo_bundle", self.settings.overlays, name=name, **self.image())

    def image(self) -> dict[str, str]:
        """The echo server's image, as payloads want it."""
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
