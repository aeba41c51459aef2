"""The one Kubernetes client: plain dicts over HTTP. Every call is an event of the record."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from seatrial.closing import Closing
from seatrial.kube_auth import Credentials
from seatrial.kube_errors import ApiError, Broken, Busy, Conflict, Expired, Forbidden, NotFound, failure, unreachable
from seatrial.record import Record
from seatrial.resources import ACCESS_REVIEWS, Asked, AskedPath, Resource
from seatrial.verdict import BadSettings
from seatrial.wait import pause

__all__ = ["ApiError", "Conflict", "Forbidden", "Kube", "NotFound", "Object"]

Object = dict[str, Any]

PAGE = 500
"""Objects in one answer to a list."""
PATIENCE = 30.0
"""Seconds for which a request that changes nothing is asked again, as the API server says when."""
ONCE_MORE = 0.2
"""Seconds after which a request that changes nothing is asked once more, when its connection broke."""
_NO_LOG = ("is waiting to start", "previous terminated container")
"""What the kubelet says, with 400, where a container has not written the log that is asked for."""
_PARTIAL = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io, application/json"}
PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class Kube(Closing):
    """Talks to one API server.

    Every method raises `Refused` when we are not let in (`Forbidden`: we lack a right), `Unreachable` when the API
    server does not answer or cannot now (the one wait loop rides that out), `NotFound`, `Conflict`, and `ApiError` for
    any other refusal. Only what changes nothing is repeated here: after a broken connection once, and when the API
    server is busy and says for how long.
    """

    def __init__(
        self, credentials: Credentials, *, record: Record, timeout: float = 10, read_only: bool = False
    ) -> None:
        """`timeout`: seconds for a whole answer. With `read_only` nothing is created, changed or deleted."""
        self._credentials, self._record, self._timeout, self._read_only = credentials, record, timeout, read_only
        self._clients = [credentials.client(timeout)]
        self._ahead = timedelta()

    @classmethod
    def connect(
        cls,
        kubeconfig: Path | str | None,
        context: str | None,
        *,
        record: Record,
        source: str = "",
        ca_bundle: Path | None = None,
        timeout: float = 10,
        read_only: bool = False,
    ) -> Kube:
        """Reads the credentials (`BadSettings` where that fails); asks the API server nothing yet.

        `source` says where the user gave kubeconfig and context, for messages. Without a kubeconfig it is the service
        account of the pod that we run in.
        """
        credentials = Credentials(kubeconfig, context, ca_bundle=ca_bundle, source=source)
        return cls(credentials, record=record, timeout=timeout, read_only=read_only)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()

    @property
    def url(self) -> str:
        """The API server's address."""
        return self._credentials.url

    @property
    def kubectl(self) -> str:
        """The beginning of a kubectl command to copy: ``kubectl --context prod``."""
        return self._credentials.kubectl

    def now(self) -> datetime:
        """The time by the API server's clock, as its last answer told it; by our own before the first."""
        return datetime.now(UTC) + self._ahead

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object."""
        return self._json("GET", Asked("get", resource, namespace, name))

    def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        empty_ok: bool = False,
        metadata_only: bool = False,
    ) -> list[Object]:
        """All objects that match, of one namespace or of all.

        `labels` and `fields` are selectors as kubectl takes them. An empty list is an AssertionError, since whoever
        asks expects something there, unless `empty_ok`. With `metadata_only` nothing else of them is sent.
        """
        asked = Asked("list", resource, namespace)
        found: list[Object] = []
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        begun_anew = False
        while True:
            try:
                params = {key: value for key, value in query.items() if value}
                page = self._json("GET", asked, params=params, headers=_PARTIAL if metadata_only else None)
            except Expired:
                if begun_anew or not found:
                    raise
                found, query["continue"], begun_anew = [], "", True
                continue
            found += page.get("items") or []
            query["continue"] = (page.get("metadata") or {}).get("continue") or ""
            if not query["continue"]:
                break
        if not found and not empty_ok:
            selected = " and ".join(filter(None, (labels and f"labels {labels}", fields and f"fields {fields}")))
            where = f"in namespace {namespace}" if namespace else "in any namespace"
            raise AssertionError(f"no {resource}{f' with {selected}' if selected else ''} {where}")
        return found

    def create(self, resource: Resource, body: Object, namespace: str = "") -> Object:
        """The object as the API server stored it; `Conflict` if it exists. Journal it before."""
        return self._json("POST", Asked("create", resource, namespace), body=body)

    def patch(
        self, resource: Resource, name: str, namespace: str, patch: Any, *, kind: str = "merge", subresource: str = ""
    ) -> Object:
        """The object as it is then; `kind` is a key of `PATCHES`."""
        asked = Asked("patch", resource, namespace, name, subresource)
        return self._json("PATCH", asked, body=patch, content_type=PATCHES[kind])

    def delete(self, resource: Resource, read: Object, *, propagation: str = "Background") -> None:
        """Delete the very object that was `read`: `Conflict` if another one has taken its name meanwhile."""
        metadata = read["metadata"]
        asked = Asked("delete", resource, metadata.get("namespace", ""), metadata["name"])
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": metadata["uid"]},
            "propagationPolicy": propagation,
        }
        self._json("DELETE", asked, body=options)

    def logs(
        self, pod: str, namespace: str, *, container: str = "", previous: bool = False, tail: int | None = None
    ) -> str:
        """A container's log: its last `tail` lines, or all; `NotFound` if it has not written one (yet)."""
        asked = Asked("get", Resource("v1", "pods"), namespace, pod, "log")
        params = {"container": container, "previous": "true" if previous else "", "tailLines": str(tail or "")}
        try:
            return self._call("GET", asked, params={key: value for key, value in params.items() if value}).text
        except ApiError as error:
            if any(words in error.message for words in _NO_LOG):
                raise NotFound(asked, 400, error.reason, error.message) from None
            raise

    def serves(self, resource: Resource) -> bool:
        """Whether this API server knows such a kind, in this version."""
        try:
            known = self._json("GET", AskedPath(resource.discovery))
        except NotFound:
            return False
        return any(one["name"] == resource.plural for one in known["resources"])

    def may(self, asked: Asked) -> bool:
        """Whether our rights allow `asked`; asking changes nothing, so a run that only reads may."""
        attributes = {
            "namespace": asked.namespace,
            "verb": asked.verb,
            "group": asked.resource.group,
            "resource": asked.resource.plural,
            "subresource": asked.subresource,
            "name": asked.name,
        }
        spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
        review = {"apiVersion": ACCESS_REVIEWS.version, "kind": "SelfSubjectAccessReview", "spec": spec}
        answer = self._json("POST", Asked("create", ACCESS_REVIEWS), reads=True, body=review)
        return bool(answer["status"].get("allowed"))

    def version(self) -> str:
        """The API server's version, e.g. ``v1.36.0``."""
        return str(self._json("GET", AskedPath("/version"))["gitVersion"])

    def stream(self, asked: Asked, params: dict[str, str], protocol: str) -> httpx.Response:
        """A WebSocket in place of an answer, e.g. for a port-forward: see `seatrial.channels`. Close it."""
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Protocol": protocol,
        }
        response = self._call("GET", asked, params=params, headers=headers)
        if response.status_code != 101:
            raise ApiError(asked, response.status_code, "NoUpgrade", "it does not switch to a WebSocket")
        return response

    def _json(self, method: str, asked: Asked | AskedPath, **request: Any) -> Object:
        return json.loads(self._call(method, asked, **request).content)  # type: ignore[no-any-return]

    def _call(self, method: str, asked: Asked | AskedPath, *, reads: bool = False, **request: Any) -> httpx.Response:
        """The answer. `reads`: it changes nothing, whatever its method is, so that it may be asked again."""
        reads = reads or method == "GET"
        if self._read_only and not reads:
            raise BadSettings(
                f"a run that only reads does not {asked}", source="read_only", do="leave --read-only away"
            )
        patience, again = PATIENCE, True
        while True:
            try:
                return self._once(method, asked, **request)
            except Broken:
                if not reads or not again:
                    raise
                again, seconds = False, ONCE_MORE
            except Busy as error:
                patience -= error.after
                if not reads or patience < 0:
                    raise
                seconds = error.after
            pause(seconds)

    def _once(self, method: str, asked: Asked | AskedPath, **request: Any) -> httpx.Response:
        status, began = 0, time.monotonic()
        try:
            response = self._send(method, asked.path, **request)
            if response.status_code == 401:  # nothing was done: the token may have been replaced since we read it
                self._renew()
                response = self._send(method, asked.path, **request)
            status = response.status_code
            self._hear_the_clock(response)
        except httpx.HTTPError as error:
            raise unreachable(self._credentials.server, error, self._timeout) from error
        finally:
            ms = round((time.monotonic() - began) * 1000)
            self._record.event(
                "kube", verb=asked.verb, object=asked.object, namespace=asked.namespace, status=status, ms=ms
            )
        error_or_none = None if status == 101 else failure(self._credentials.server, asked, response)
        if error_or_none is not None:
            raise error_or_none
        return response

    def _hear_the_clock(self, response: httpx.Response) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._ahead = parsedate_to_datetime(response.headers["Date"]) - datetime.now(UTC)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        content = None if body is None else json.dumps(body)
        headers = {**(headers or {}), **({} if body is None else {"Content-Type": content_type})}
        client = self._clients[-1]
        request = client.build_request(
            method,
            path,
            params=params,
            content=content,
            headers=headers | self._credentials.authorization(),
            extensions={"sni_hostname": self._credentials.sni} if self._credentials.sni else None,
        )
        deadline = time.monotonic() + self._timeout
        response = client.send(request, stream=True)
        if response.status_code == 101:
            return response
        return self._whole(response, deadline)

    @staticmethod
    def _whole(response: httpx.Response, deadline: float) -> httpx.Response:
        """`response` with its content; httpx's own timeouts are for one read each, and a drip never meets them."""
        content = bytearray()
        with contextlib.closing(response):
            for part in response.iter_raw():
                content += part
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer drips", request=response.request)
        return httpx.Response(
            response.status_code, headers=response.headers, content=bytes(content), request=response.request
        )

    def _renew(self) -> None:
        self._credentials.load()
        self._clients.append(self._credentials.client(self._timeout))  # others may still speak through the old one
