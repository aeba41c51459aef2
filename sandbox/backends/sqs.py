"""SQS on its real wire (AWS JSON 1.0), in memory: what boto3 and Celery's transport send, with SQS's own errors."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import select
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.backends.ports import free_port

ACCOUNT, REGION = "123456789012", "us-west-2"

Answer = dict[str, Any]


class AwsError(Exception):
    """An error as the wire carries it: HTTP status, ``__type``, message, and the old protocol's code in a header."""

    def __init__(self, status: int, kind: str, message: str, query_error: str = "") -> None:
        super().__init__(message)
        self.status, self.kind, self.query_error = status, kind, query_error


def _no_queue() -> AwsError:
    return AwsError(
        400,
        "com.amazonaws.sqs#QueueDoesNotExist",
        "The specified queue does not exist.",
        "AWS.SimpleQueueService.NonExistentQueue;Sender",
    )


@dataclass
class Message:
    """One message; it can be received from `visible_at` (epoch seconds) on."""

    body: str
    attributes: dict[str, Any]
    visible_at: float
    sent: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receipt: str = ""
    receives: int = 0

    @property
    def md5(self) -> str:
        return hashlib.md5(self.body.encode(), usedforsecurity=False).hexdigest()

    def received(self, visible_at: float) -> Answer:
        """Hand it out: invisible to others until `visible_at`."""
        self.visible_at, self.receives, self.receipt = visible_at, self.receives + 1, uuid.uuid4().hex
        system = {"ApproximateReceiveCount": str(self.receives), "SentTimestamp": str(int(self.sent * 1000))}
        answer = {
            "MessageId": self.id,
            "ReceiptHandle": self.receipt,
            "Body": self.body,
            "MD5OfBody": self.md5,
            "Attributes": system,
        }
        return answer | ({"MessageAttributes": self.attributes} if self.attributes else {})


@dataclass
class Queue:
    """A queue; `arrived` wakes the long polls that wait on it."""

    attributes: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, entry: Answer) -> Answer:
        delay = int(entry.get("DelaySeconds") or 0)
        message = Message(entry["MessageBody"], entry.get("MessageAttributes") or {}, time.time() + delay)
        self.messages.append(message)
        self.arrived.set()
        return {"MessageId": message.id, "MD5OfMessageBody": message.md5}


class Sqs:
    """``await Sqs(host).start()``, then `url` as the endpoint.

    `deny` holds what credentials may not do, as (access key id, action), ``*`` for any: answered as IAM does.
    """

    def __init__(self, host: str) -> None:
        self.host, self.url, self._port = host, "", 0
        self.regions: dict[str, dict[str, Queue]] = {}
        self._here = REGION  # of the request that is at hand; no action waits before it has found its queue
        self.deny: set[tuple[str, str]] = set()
        self._runner: web.AppRunner | None = None
        self._actions: dict[str, Callable[[Answer], Answer]] = {
            "ListQueues": self._list_queues,
            "CreateQueue": self._create_queue,
            "GetQueueUrl": lambda ask: {"QueueUrl": self._queue_url(self._named(ask)[0])},
            "GetQueueAttributes": self._get_attributes,
            "DeleteQueue": self._delete_queue,
            "ListQueueTags": lambda ask: {"Tags": self._named(ask)[1].tags},
            "SendMessage": lambda ask: self._named(ask)[1].put(ask),
            "DeleteMessage": self._delete_message,
            "DeleteMessageBatch": self._delete_message_batch,
            "ChangeMessageVisibility": self._change_visibility,
        }

    @property
    def queues(self) -> dict[str, Queue]:
        """Those of the region that the request at hand was signed for."""
        return self.regions.setdefault(self._here, {})

    async def start(self) -> None:
        """Listen on a free port."""
        self._port = free_port(self.host)
        self.url = f"http://{self.host}:{self._port}"
        await self.resume()

    async def stop(self) -> None:
        """Close; the queues are gone."""
        await self.pause()

    async def resume(self) -> None:
        """Listen at the same address, with the queues that there were."""
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/{path:.*}", self._post)
        # A handler whose client has gone is cancelled: a dead consumer's long poll must not take a message.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self._port).start()

    async def pause(self) -> None:
        """Close until `resume`; long polls are cut off."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        headers = {"x-amzn-RequestId": str(uuid.uuid4())}
        try:
            self._allow(request, action)
            ask = json.loads(body or b"{}")
            if action == "ReceiveMessage":
                answer = await self._receive(ask, request)
            elif action in self._actions:
                answer = self._actions[action](ask)
            else:
                raise AwsError(501, "com.amazonaws.sqs#UnsupportedOperation", f"{action} is not served by the sandbox")
            status = 200
        except AwsError as error:
            status, answer = error.status, {"__type": error.kind, "message": str(error)}
            if error.query_error:
                headers["x-amzn-query-error"] = error.query_error
        return web.Response(
            status=status, body=json.dumps(answer), headers=headers, content_type="application/x-amz-json-1.0"
        )

    def _allow(self, request: web.Request, action: str) -> None:
        signed = request.headers.get("Authorization")
        if not signed:
            raise AwsError(
                403,
                "com.amazon.coral.service#MissingAuthenticationTokenException",
                "Request is missing Authentication Token",
            )
        key, _, rest = signed.split("Credential=")[1].partition("/")  # then day, region, service
        self._here = [*rest.split("/"), REGION][1]
        if {(whose, what) for whose in (key, "*") for what in (action, "*")} & self.deny:
            verb = f"sqs:{action.lower()}"
            raise AwsError(
                403,
                "com.amazon.coral.service#AccessDeniedException",
                f"User: arn:aws:iam::{ACCOUNT}:user/{key} is not authorized to perform: {verb} on resource: "
                f"arn:aws:sqs:{REGION}:{ACCOUNT}: because no identity-based policy allows the {verb} action",
            )

    def _queue_url(self, name: str) -> str:
        return f"{self.url}/{ACCOUNT}/{name}"

    def _named(self, ask: Answer) -> tuple[str, Queue]:
        name = ask.get("QueueUrl", "").rstrip("/").rsplit("/", 1)[-1] or ask["QueueName"]
        if name not in self.queues:
            raise _no_queue()
        return name, self.queues[name]

    def _by_receipt(self, ask: Answer) -> tuple[Queue, Message]:
        queue = self._named(ask)[1]
        for message in queue.messages:
            if message.receipt == ask["ReceiptHandle"]:
                return queue, message
        raise AwsError(400, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "The input receipt handle is invalid.")

    def _list_queues(self, ask: Answer) -> Answer:
        names = sorted(name for name in self.queues if name.startswith(ask.get("QueueNamePrefix") or ""))
        return {"QueueUrls": [self._queue_url(name) for name in names]} if names else {}

    def _create_queue(self, ask: Answer) -> Answer:
        name = ask["QueueName"]
        attributes = {"VisibilityTimeout": "30"} | (ask.get("Attributes") or {})
        self.queues.setdefault(name, Queue(attributes, ask.get("tags") or {}))
        return {"QueueUrl": self._queue_url(name)}

    def _delete_queue(self, ask: Answer) -> Answer:
        del self.queues[self._named(ask)[0]]
        return {}

    def _get_attributes(self, ask: Answer) -> Answer:
        name, queue = self._named(ask)
        now = time.time()
        visible = sum(message.visible_at <= now for message in queue.messages)
        known = queue.attributes | {
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(len(queue.messages) - visible),
            "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
        }
        wanted = ask.get("AttributeNames") or []
        return {"Attributes": {key: value for key, value in known.items() if key in wanted or "All" in wanted}}

    def _delete_message(self, ask: Answer) -> Answer:
        queue, message = self._by_receipt(ask)
        queue.messages.remove(message)
        return {}

    def _delete_message_batch(self, ask: Answer) -> Answer:
        for entry in ask["Entries"]:
            self._delete_message({"QueueUrl": ask["QueueUrl"], "ReceiptHandle": entry["ReceiptHandle"]})
        return {"Successful": [{"Id": entry["Id"]} for entry in ask["Entries"]], "Failed": []}

    def _change_visibility(self, ask: Answer) -> Answer:
        queue, message = self._by_receipt(ask)
        message.visible_at = time.time() + int(ask["VisibilityTimeout"])
        queue.arrived.set()
        return {}

    async def _receive(self, ask: Answer, request: web.Request) -> Answer:
        """Messages, waiting for the first up to WaitTimeSeconds; a client that has gone gets none."""
        queue = self._named(ask)[1]
        until = time.time() + int(ask.get("WaitTimeSeconds") or 0)
        timeout = int(ask["VisibilityTimeout"] if "VisibilityTimeout" in ask else queue.attributes["VisibilityTimeout"])
        while not gone(request):
            now = time.time()
            ready = (message for message in queue.messages if message.visible_at <= now)
            messages = list(itertools.islice(ready, int(ask.get("MaxNumberOfMessages") or 1)))
            if messages:
                return {"Messages": [message.received(now + timeout) for message in messages]}
            if now >= until:
                return {}
            queue.arrived.clear()
            due = [message.visible_at - now for message in queue.messages]
            try:
                await asyncio.wait_for(queue.arrived.wait(), min([until - now, *due]))
            except TimeoutError:
                continue
        return {}


def gone(request: web.Request) -> bool:
    """Whether the client has hung up, even when the event loop has not been told yet."""
    if request.transport is None:
        return True
    poll = select.poll()
    poll.register(request.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
