"""A builder that has run for long: what it said when it was ready has scrolled out of the end of its log.

Somebody sends it tasks that it does not know; each is a long error in its log and nothing more.
"""

import base64
import json
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from sandbox.client import Client
from sandbox.faults.acts.restart import selects
from sandbox.faults.acts.scale import BUILDER
from sandbox.faults.acts.until import until
from sandbox.faults.conditions.backlog import QUEUE, client
from sandbox.handle import Sandbox

MANY, STEP = 1200, 200
NOTHING = b'[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'


async def break_(sandbox: Sandbox) -> None:
    sqs = client(sandbox)
    url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]  # by whoever is first
    for _ in range(MANY):
        sqs.send_message(QueueUrl=url, MessageBody=task())
    pods = f"/api/v1/namespaces/{sandbox.namespace}/pods"
    async with Client.from_kubeconfig(sandbox.kubeconfig) as kube:
        selector = await selects(kube, sandbox, BUILDER)

        async def said() -> int:
            [pod] = await kube.list(pods, labelSelector=selector)
            log = await kube.request("GET", f"{pods}/{pod['metadata']['name']}/log")
            return log.count("unregistered task")

        for some in range(STEP, MANY + 1, STEP):  # it takes ten in a second
            await until(partial(_at_least, some, said), f"the builder has said what it thinks of {some}")


async def heal(sandbox: Sandbox) -> None:
    """It stays in the log."""


async def _at_least(number: int, said: Callable[[], Awaitable[int]]) -> bool:
    return await said() >= number


def task() -> str:
    """As Celery puts one into a queue of SQS."""
    id_ = str(uuid.uuid4())
    told = {"lang": "py", "task": "somebodys.report", "id": id_, "root_id": id_, "argsrepr": "()", "kwargsrepr": "{}"}
    message = {
        "body": base64.b64encode(
            b'[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
        ).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": told,
        "properties": {
            "correlation_id": id_,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return base64.b64encode(json.dumps(message).encode()).decode()
