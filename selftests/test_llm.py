"""An LLM endpoint's life against a gateway that says what a test wants, and what must hold before one is made."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_server import Api
from kube_objects import node, pod
from recordings import load
from scripted import Scripted, Spoken
from test_chat import END, HEAD, WHOLE, apart, event, framed
from test_lifecycle import Gateway

from seatrial.gpu import busy
from seatrial.gpu.declared import Expectation
from seatrial.gpu.health import Sight
from seatrial.gpu.vendors import TABLE
from seatrial.http import Http
from seatrial.journal import open_entries
from seatrial.kube import Kube
from seatrial.model_engine import kinds
from seatrial.model_engine.chat import Chat
from seatrial.model_engine.client import Contract, ModelEngine
from seatrial.model_engine.completion import requested
from seatrial.model_engine.configuration import Configuration
from seatrial.model_engine.fleet import Fleet
from seatrial.model_engine.gpu import Workers
from seatrial.model_engine.gpu_nodes import GpuNodes, Pulls
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.health import endpoint, vllm
from seatrial.model_engine.kinds import LLM
from seatrial.model_engine.ledger import instructions
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.model_engine.llm import Gate
from seatrial.model_engine.llm_gpus import Gpus, meant
from seatrial.model_engine.removal import remove
from seatrial.model_engine.site import Site
from seatrial.record import Record, events
from seatrial.resources import EVENTS, NAMESPACES, NODES, PODS
from seatrial.run import Run
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, Blocked, Cause, NotApplicable, NotJudged, Reason, Unhealthy

RUN = "t5k2m9x7qd"
NAME = f"seatrial-llm-{RUN}"
TYPE = "nvidia-ampere-a10"
ROUTE = "/v1/llm/model-endpoints"
LIMIT = "model_engine/released/llm_endpoint"
AT_ONCE = {"terminationGracePeriodSeconds": 0}
"""There is no kubelet that would end a pod."""
VALUES = {"model": "m", "tag": "1", "gpu_type": TYPE, "checkpoint": "s3://b/m"}


class Llms(Gateway):
    """A gateway with the LLM routes; what no test replaced answers as a healthy released one does."""

    def __init__(self, **endpoint: Any) -> None:
        super().__init__(name=NAME, **endpoint)
        self.sent: list[Any] = []

    def healthy(self, spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        match spoken.method, urlsplit(spoken.path).path:
            case "POST", path if path == ROUTE:
                self.sent.append(json.loads(spoken.body))
                return 200, {"endpoint_creation_task_id": "t"}
            case "GET", path if path == f"{ROUTE}/{NAME}":
                if self.deleted:
                    return 404, {"detail": f"Model Endpoint {NAME}  was not found."}
                return 200, {"status": self.endpoint["status"], "model_name": "m", "spec": self.endpoint}
            case "GET", path if path == ROUTE:
                return 200, {"model_endpoints": [] if self.deleted else [self.endpoint]}
            case "DELETE", path if path == f"{ROUTE}/{NAME}":
                self.deleted = True
                return 200, {"deleted": True}
            case "POST", "/v2/chat/completions":
                return self.chat(json.loads(spoken.body)["model"])
        return super().healthy(spoken, query)

    def chat(self, model: str) -> tuple[int, Any]:
        if model != NAME:
            return 404, {"detail": "The specified endpoint could not be found."}
        return 200, load("chat_sync")["response"]["body"] | {"model": NAME}


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A site with a gateway, and without a cluster."""
    opened: list[Any] = []

    def start(gateway: Gateway, kube: Kube | None = None, **given: Any) -> Site:
        environment = {"AUTH_TOKEN": "seatrial-tests", "VLLM_TAG": "1", "GPU_TYPE": TYPE}
        chosen = {"timeout_factor": 0.01, "gateway_memory": 0.2, **given}
        told = [f"{key}={value}" for key, value in chosen.items() if value is not None]
        settings = Settings.load({"set": told}, environment, tmp_path)
        run = Run(RUN, tmp_path / "run")
        trial = Trial(run, settings, Record(run))
        server = Scripted(gateway)
        http = Http(server.url, record=trial.record, token=settings.token, timeout=5, source="test", seen_from="here")
        opened.extend((http, trial.record, server))
        return Site(trial, ModelEngine(http, settings), kube, patience=1)

    yield start
    for one in opened:
        one.__exit__(None, None, None) if isinstance(one, Scripted) else one.close()


def lifecycle(site: Site) -> Lifecycle:
    """An LLM endpoint that nothing has to be seen for."""
    return Lifecycle(site, LLM, NAME, values=lambda contract: VALUES)


def test_a_life(begin) -> None:
    gateway = Llms()
    one = lifecycle(begin(gateway))
    assert one.create().task == "t"
    assert one.ready()["id"] == "end_1"
    assert one.delete() == {"deleted": True}
    one.unlisted()
    one.clean_up()
    assert list(open_entries(events(one.site.trial.run.directory))) == []
    assert "POST /v2/model-bundles" not in gateway.asked
    (body,) = gateway.sent
    assert (body["nodes_per_worker"], body["checkpoint_path"], body["gpu_type"]) == (1, "s3://b/m", TYPE)
    assert (body["endpoint_type"], body["metadata"]["seatrial_run"]) == ("streaming", RUN)


def test_the_documented_contract_tells_of_it_by_its_name_alone(begin) -> None:
    gateway = Llms()
    gateway.replaced[f"GET {ROUTE}/{NAME}"] = lambda *_: (404, {}) if gateway.deleted else (200, {"status": "READY"})
    one = lifecycle(begin(gateway, contract="documented"))
    assert one.ready()["status"] == "READY"
    assert one.served_by == "to be proven by the echo: neither the gateway nor a cluster says"
    assert one.delete() == {"deleted": True}
    one.unlisted()
    assert "GET /v1/model-endpoints/end_1" not in gateway.asked
    assert not {"nodes_per_worker", "checkpoint_path"} & set(gateway.sent[0])


def test_the_contract_is_learnt_from_the_refusal(begin) -> None:
    gateway = Llms()
    asked: list[Contract] = []
    refusal = load("llm_create_seed")["response"]

    def create(spoken: Spoken, query: dict[str, str]) -> tuple[int, Any]:
        if "nodes_per_worker" in json.loads(spoken.body):
            return 200, {"endpoint_creation_task_id": "t"}
        return refusal["status"], refusal["body"]

    def values(contract: Contract) -> dict[str, str]:
        asked.append(contract)
        return VALUES

    gateway.replaced |= {"GET /openapi.json": lambda *_: (404, {}), f"POST {ROUTE}": create}
    site = begin(gateway)
    assert Lifecycle(site, LLM, NAME, values=values).create().task == "t"
    assert asked == [Contract.DOCUMENTED, Contract.RELEASED]
    assert site.engine.contract_source == "the answer to the first create"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("llm_create_bad_checkpoint_bucket", "checkpoint-unread"),
        ("llm_create_empty_checkpoint_prefix", "weights-missing"),
        ("llm_create_local_checkpoint", "checkpoint-kind"),
        ("llm_create_bad_image_tag", "image-missing"),
        ("create_bad_gpu_type", "gpu-type"),
        ("llm_create_plus_nodes", ""),
    ],
)
def test_a_create_is_refused_as_recorded(begin, name: str, key: str) -> None:
    gateway, said = Llms(), load(name)["response"]
    gateway.replaced[f"POST {ROUTE}"] = lambda *_: (said["status"], said["body"])
    one = lifecycle(begin(gateway))
    with pytest.raises(Unhealthy) as failed:
        one.create()
    assert failed.value.cause.key == (f"llm.{key}/{NAME}" if key else f"model_engine.create/{ROUTE} 500")
    assert bool(key) is not ("or a checkpoint_path that was not sent" in failed.value.cause.do), "nobody's log is read"
    with pytest.raises(Blocked) as blocked:
        one.ready()
    assert blocked.value.cause == failed.value.cause


def test_what_a_run_has_left_of_it_is_removed_by_its_name(begin) -> None:
    gateway = Llms()
    one = lifecycle(begin(gateway))
    one.ready()
    (entry,) = open_entries(events(one.site.trial.run.directory))
    assert (
        f'curl -X DELETE -H "Authorization: Bearer $AUTH_TOKEN" http://localhost:8080{ROUTE}/{NAME}'
        in entry.how["type"]
    )
    remove(one.site, entry)
    assert f"DELETE {ROUTE}/{NAME}" in gateway.asked
    assert "DELETE /v1/model-endpoints/end_1" not in gateway.asked
    assert instructions(one.sight) == entry.how["type"]


def test_names_tell_the_kind() -> None:
    assert kinds.of_name(NAME) is LLM
    assert kinds.of_name(f"seatrial-echo-sync-{RUN}").route == "/v1/model-endpoints"


@pytest.mark.parametrize("module", ["tier_a", "tier_b"])
def test_an_endpoint_that_exists_is_no_other_than_it_is(begin, module: str) -> None:
    gateway = Llms()
    fleet = Fleet.existing(begin(gateway, endpoint=NAME), NAME)
    assert fleet.of("llm").existing
    with pytest.raises(NotApplicable, match=rf"{NAME} is no streaming endpoint, it is LLM \(--endpoint\)"):
        fleet.of("streaming")
    fleet.clean_up()
    assert not any(asked.startswith(("POST", "DELETE")) for asked in gateway.asked)


def test_an_echo_endpoint_that_exists_is_not_chatted_with(begin) -> None:
    fleet = Fleet.existing(begin(Gateway(name="mine", endpoint_type="streaming"), contract="released"), "mine")
    with pytest.raises(NotApplicable, match=r"mine is no llm endpoint, it is streaming \(--endpoint\)"):
        fleet.of("llm")


# -- chat -------------------------------------------------------------------------------------------------------------


def test_a_chat_is_of_this_endpoint_and_nobodys_is_refused(begin) -> None:
    chat = Chat(lifecycle(begin(Llms())))
    assert chat.answered().content == "Hello there."
    assert chat.answered() is chat.answered()
    assert chat.refused("nobody").status == 404
    assert chat.witness == "", "nobody can look into the worker's log"


@pytest.mark.parametrize(("held_back", "good"), [(1, True), (2, True), (3, False)])
def test_a_stream_that_came_at_once_is_asked_for_again(begin, held_back: int, good: bool) -> None:
    """A busy machine may read late; what holds streams back does so each time."""
    whole = [framed(event(one | {"model": NAME})) for one in WHOLE]
    asked: list[Spoken] = []

    def say(spoken: Spoken) -> Iterator[bytes]:
        asked.append(spoken)
        return iter([HEAD + b"".join(whole) + END]) if len(asked) <= held_back else apart(HEAD, *whole, END)

    chat = Chat(lifecycle(begin(say, contract="released")))
    if good:
        assert chat.streamed().reads >= 2
    else:
        with pytest.raises(Unhealthy, match="does not stream: its answer came in 5 chunks at once"):
            chat.streamed()
    assert len(asked) == min(held_back + 1, 3)


def test_a_gateway_that_answers_for_nobody_is_told(begin) -> None:
    gateway = Llms()
    gateway.replaced["POST /v2/chat/completions"] = lambda *_: gateway.chat(NAME)
    with pytest.raises(AssertionError, match="answered 200 to the model nobody, which nobody made"):
        Chat(lifecycle(begin(gateway))).refused("nobody")


def test_the_documented_contract_may_name_the_model(begin) -> None:
    gateway = Llms()
    body = load("chat_sync")["response"]["body"]
    gateway.replaced["POST /v2/chat/completions"] = lambda *_: (200, body | {"model": "llama-3.1-8b"})
    assert Chat(lifecycle(begin(gateway, contract="documented"))).answered().tokens == 3
    with pytest.raises(Unhealthy, match=r"names the model 'llama-3\.1-8b'"):
        Chat(lifecycle(begin(gateway, contract="released"))).answered()


@pytest.mark.parametrize("path", ["/v2/chat/completions", "/v1/llm/completions-sync", "/v1/llm/completions-stream"])
def test_the_record_tells_which_completions_were_asked_for(tmp_path: Path, path: str) -> None:
    record = Record(Run(RUN, tmp_path))
    for one in ("/v1/sync-tasks", path):
        record.event("http", method="POST", path=one, status=200, ms=1)
    record.close()
    assert requested(tmp_path) == {path}


# -- what must hold before --------------------------------------------------------------------------------------------


def gate(site: Site) -> Gate:
    """A gate with no release behind it."""
    return Gate(site, Ground(site.trial, site.kube, None, Configuration(), "models", "models"))


def notes(site: Site) -> list[str]:
    """What a reader of the verdict is told."""
    told = [one for one in events(site.trial.run.directory) if one["kind"] in ("note", "warning")]
    return [f"{one['kind']}: {one['line']}" for one in told]


def test_what_nobody_can_find_out_must_be_given(begin) -> None:
    site = begin(Llms())
    with pytest.raises(BadSettings, match="checkpoint_path is not given"):
        gate(site).values(Contract.RELEASED)
    assert gate(site).values(Contract.DOCUMENTED) == {
        "model": "llama-3.1-8b",
        "checkpoint": "",
        "tag": "1",
        "gpu_type": TYPE,
    }


def test_a_checkpoint_may_stand_in_the_overlay(begin) -> None:
    overlay = f"{{{LIMIT}: {{checkpoint_path: 's3://b/instruct'}}}}"
    site = begin(Llms(), overlays=overlay)
    assert gate(site).values(Contract.RELEASED)["checkpoint"] == ""
    assert notes(site) == []


@pytest.mark.parametrize(
    ("contract", "given", "kind"),
    [
        (Contract.RELEASED, {"checkpoint_path": "s3://b/llama-3.1-8b"}, "warning"),
        (Contract.RELEASED, {"checkpoint_path": "s3://b/Llama-3.1-8B-Instruct"}, ""),
        (Contract.RELEASED, {"checkpoint_path": "s3://b/m", "llm_model": "llama-2-7b-chat"}, ""),
        (
            Contract.RELEASED,
            {"checkpoint_path": "s3://b/m", "overlays": f"{{{LIMIT}: {{chat_template_override: x}}}}"},
            "",
        ),
        (Contract.DOCUMENTED, {}, "note"),
    ],
)
def test_a_base_model_is_said_before(begin, contract: Contract, given: dict[str, str], kind: str) -> None:
    site = begin(Llms(), **given)
    gate(site).values(contract)
    assert [one.partition(":")[0] for one in notes(site)] == ([kind] if kind else [])


def test_nothing_is_made_while_something_does_not_hold(begin) -> None:
    gateway = Llms()
    site = begin(gateway)
    fleet = Fleet.requested(site, [LLM], gate(site).values)
    with pytest.raises(BadSettings, match="checkpoint_path is not given"):
        fleet.of("llm").create()
    fleet.clean_up()
    assert not any(asked.startswith(("POST", "DELETE")) for asked in gateway.asked)
    assert list(open_entries(events(site.trial.run.directory))) == []


# -- free GPUs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """Two nodes with two GPUs each; nothing runs on them."""
    folder: Path = tmp_path_factory.mktemp("gpus")
    record = Record(Run(RUN, folder / "run"))
    with Api(folder) as server, Kube.connect(server.config, "sandbox", record=record) as client:
        client.create(NAMESPACES, {"metadata": {"name": "models"}})
        for name in ("gpu-1", "gpu-2"):
            labels = {"k8s.amazonaws.com/accelerator": TYPE, "nvidia.com/gpu.present": "true"}
            made = node(name, labels=labels, cpu="32", memory="64Gi", nvidia_com__gpu="2")
            made["status"]["allocatable"] = made["status"]["capacity"]
            client.create(NODES, made)
            client.patch(NODES, name, "", {"status": made["status"]}, subresource="status")
        yield client
    record.close()


@pytest.fixture
def kube(api: Kube) -> Iterator[Kube]:
    """The same, without what a test has left on them."""
    yield api
    for one in api.list(PODS, "models", empty_ok=True):
        api.delete(PODS, one)


def take(kube: Kube, name: str, on: str, count: int, cpu: str = "1", **labels: str) -> None:
    """A pod that holds GPUs of a node."""
    resources = {"requests": {"cpu": cpu, "nvidia.com/gpu": str(count)}, "limits": {"nvidia.com/gpu": str(count)}}
    kube.create(PODS, pod(name, labels=labels, nodeName=on, resources=resources, **AT_ONCE), "models")


def gpus(site: Site, **workers: Any) -> Gpus:
    """As the gate has them."""
    assert site.kube is not None
    ground = Ground(site.trial, site.kube, None, Configuration(), "models", "models")
    expectation = Expectation(TABLE["nvidia"])
    nodes = GpuNodes(ground, site.kube, Sight.of(site.kube), Workers("the test's template", **workers), [expectation])
    return Gpus(nodes, LIMIT)


def body(**more: Any) -> dict[str, Any]:
    """What is asked for."""
    return {"gpus": 1, "gpu_type": TYPE, "cpus": 20, "memory": "20Gi"} | more


def test_free_gpus_let_it_pass(begin, kube: Kube) -> None:
    take(kube, "a", "gpu-1", 2)
    take(kube, "b", "gpu-2", 1)
    found = gpus(begin(Llms(), kube, gpu_type=None))
    assert found.sound()
    assert found.chosen() == TYPE
    found.await_free(body())


def test_where_all_are_in_use_it_is_said_by_whom(begin, kube: Kube) -> None:
    take(kube, "a", "gpu-1", 2)
    take(kube, "b", "gpu-2", 2)
    site = begin(Llms(), kube)
    with pytest.raises(NotJudged) as caught:
        gpus(site).await_free(body())
    assert caught.value.reason is Reason.BUSY
    assert "no node has 1 nvidia.com/gpu free: 4 on 2 nodes, held by models/a (2), models/b (2)" in caught.value.line
    assert "--gpu-wait" in caught.value.do
    assert gpus(site).sound(), "that they are in use is nobody's fault"


def test_busy_gpus_are_waited_for_as_long_as_asked(begin, kube: Kube) -> None:
    take(kube, "a", "gpu-1", 2)
    take(kube, "b", "gpu-2", 2)
    with pytest.raises(NotJudged, match=r"for 30 s now \(gpu_wait\)"):
        gpus(begin(Llms(), kube, gpu_wait=30)).await_free(body())


def test_a_pool_that_may_grow_is_let_grow(begin, kube: Kube) -> None:
    take(kube, "a", "gpu-1", 2)
    take(kube, "b", "gpu-2", 2)
    site = begin(Llms(), kube, expect="{gpu: 'nvidia>=0'}")
    gpus(site).await_free(body())
    assert "the pool that expect.gpu declares (nvidia>=0) may add a node" in notes(site)[0]


def test_balloons_give_way_to_high_priority(begin, kube: Kube) -> None:
    take(kube, "model-engine-balloon-a10-1", "gpu-1", 2, product="common-warm-nodes")
    take(kube, "b", "gpu-2", 2)
    site = begin(Llms(), kube)
    with pytest.raises(NotJudged) as caught:
        gpus(site).await_free(body())
    assert "balloons among them: models/model-engine-balloon-a10-1 (2)" in caught.value.line
    assert f"overlays: {{{LIMIT}: {{high_priority: true}}}}" in caught.value.do
    gpus(site).await_free(body(high_priority=True))
    reserved = gpus(site)
    for reserves in (True, False):
        values = {"balloonConfig": {"reserveHighPriority": reserves}}
        reserved.nodes.ground.configuration = Configuration.of_values(values, "helm")
        with pytest.raises(NotJudged) if reserves else nullcontext():
            reserved.await_free(body())


def test_what_others_use_is_busy_and_what_no_node_has_is_a_setting(begin, kube: Kube) -> None:
    site = begin(Llms(), kube)
    with pytest.raises(BadSettings, match="has 32 of 32 cpu free, not 41") as caught:
        gpus(site).await_free(body(cpus=40))
    assert "ask for less" in caught.value.do
    take(kube, "a", "gpu-1", 1, cpu="20")
    take(kube, "b", "gpu-2", 1, cpu="20")
    with pytest.raises(NotJudged, match="has 12 of 32 cpu free, not 21") as taken:
        gpus(site).await_free(body())
    assert taken.value.reason is Reason.BUSY


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"gpus": "two"}, f"gpus of the payload {LIMIT} is 'two', not a whole number from 1 on"),
        ({"gpus": 0}, f"gpus of the payload {LIMIT} is 0, not a whole number from 1 on"),
        ({"memory": "40 GB"}, f"memory of the payload {LIMIT} is '40 GB', not a quantity like 40Gi"),
        ({"cpus": None}, f"cpus of the payload {LIMIT} is missing, not a quantity like 8 or 7500m"),
    ],
)
def test_hardware_that_cannot_be_read_is_a_setting(begin, kube: Kube, more: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSettings) as caught:
        gpus(begin(Llms(), kube)).want(body(**more))
    assert caught.value.line == said


def test_a_type_without_a_node_that_takes_pods_is_told(begin, kube: Kube) -> None:
    """Of two types, the nodes of one are cordoned: the image's pull on the other says nothing of it."""
    site = begin(Llms(), kube, vllm_repository="registry.local/vllm")
    nodes = gpus(site).nodes
    *_, cordoned = nodes.sight.nodes
    cordoned["metadata"]["labels"]["k8s.amazonaws.com/accelerator"] = "nvidia-hopper-h100"
    cordoned["spec"]["unschedulable"] = True
    pulls = nodes.pulls()
    pulls.remove()
    assert [one.place.node_selector["k8s.amazonaws.com/accelerator"] for one in pulls.each] == [TYPE]
    assert pulls.unseen == ["the vLLM image was pulled on no node of the type nvidia-hopper-h100: gpu-2 is cordoned"]
    with pytest.raises(AssertionError, match="it ran on no GPU node"):
        Pulls(site.trial, [], pulls.unseen).pulled()


def test_a_pending_worker_is_told_by_the_users_table_of_vendors(begin, kube: Kube) -> None:
    table = "{nvidia: {resource: example.com/gpu, resources: 'example\\.com/gpu'}}"
    site = begin(Llms(), kube, gpu_vendors=table)
    resources = {"limits": {"example.com/gpu": "1"}}
    worker = kube.create(PODS, pod("w", labels={"endpoint_name": NAME}, resources=resources, **AT_ONCE), "models")
    said = {"kind": "Pod", "namespace": "models", "name": "w", "uid": worker["metadata"]["uid"]}
    told = {"reason": "FailedScheduling", "message": "0/2 nodes are available", "type": "Warning"}
    kube.create(EVENTS, {"metadata": {"name": "w.1"}, "involvedObject": said, **told}, "models")
    for vendors, key in (
        (TABLE, "pod.unschedulable/models/w"),
        (site.trial.settings.gpu_vendors, "gpu.resource_absent"),
    ):
        cause = endpoint.trouble(kube, "models", NAME, vendors)
        assert cause
        assert cause.key.startswith(key)


def test_of_which_vendor(begin, kube: Kube) -> None:
    both = [Expectation(TABLE["nvidia"]), Expectation(TABLE["amd"])]
    with pytest.raises(BadSettings, match="there are GPUs of NVIDIA and AMD, and nothing says which are meant"):
        meant(both, None)
    assert meant(both, "amd-instinct-mi300x").vendor.key == "amd"
    assert meant(both[:1], None).vendor.key == "nvidia"
    site = begin(Llms(), kube)
    assert gpus(site).meant().vendor.key == "nvidia"
    with pytest.raises(
        Unhealthy, match=r"cannot make LLM endpoints on GPUs of NVIDIA: its workers ask for amd\.com/gpu"
    ):
        gpus(site, resource="amd.com/gpu").meant()


SCHEDULER = "0/3 nodes are available: 2 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity."


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (Cause("gpu.busy/nvidia.com/gpu", "no node has 1 free", ("node gpu-1",)), "no node has 1 free"),
        (
            Cause("pod.unschedulable/models/x", f"no node can take the pod of x: {SCHEDULER}"),
            "all nvidia.com/gpu that would do are in use, no right to see by whom",
        ),
        (Cause("pod.unschedulable/models/x", "no node can take the pod of x: 3 Insufficient cpu."), ""),
        (Cause("gpu.unschedulable/gpu-1", "the node gpu-1 is cordoned"), ""),
    ],
)
def test_a_worker_that_finds_no_gpu_free_is_nobodys_fault(cause: Cause, said: str) -> None:
    found = busy.told(cause)
    assert (found.line if found else "") == said


# -- workers ----------------------------------------------------------------------------------------------------------

TRACEBACK = "Traceback (most recent call last):"


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (['ERROR "cp s3://b/m/* model_files": no object found'], "weights-missing"),
        (['ERROR "cp s3://b/m/* model_files": AccessDenied: Access Denied status code: 403'], "weights-denied"),
        ([TRACEBACK, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", ""], "gpu-memory"),
        (["torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB."], "gpu-memory"),
        (
            ["ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"],
            "gpu-memory",
        ),
        (["RuntimeError: Failed to infer device type, please set the environment variable"], "no-gpu"),
        (
            ["INFO no object found is fine", "ValueError: Model architectures ['X'] are not supported for now."],
            "model-unknown",
        ),
        (["INFO: Started server process [1]", "KeyError: 'x'"], ""),
    ],
)
def test_last_words_of_workers(lines: list[str], key: str) -> None:
    found = vllm.told(NAME, lines, "pod models/x", "kubectl logs x")
    assert (found.key if found else "") == (f"llm.{key}/{NAME}" if key else "")
    assert found is None or (found.settle == 0.0 and found.evidence[0] == "pod models/x" and found.look)


KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
CRASHED = {"terminated": {"exitCode": 1, "reason": "Error"}}
BACKS_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("status", "key", "settle"),
    [
        ({"state": {"running": {}}}, "", 0),
        ({"ready": True, "lastState": KILLED}, "", 0),
        ({"state": KILLED}, f"llm.out-of-memory/{NAME}", None),
        ({"restartCount": 1, "state": KILLED, "lastState": KILLED}, f"llm.out-of-memory/{NAME}", 0.0),
        ({"restartCount": 1, "state": KILLED, "lastState": CRASHED}, f"llm.out-of-memory/{NAME}", None),
        ({"restartCount": 1, "state": BACKS_OFF, "lastState": KILLED}, f"llm.out-of-memory/{NAME}", None),
    ],
)
def test_workers_that_were_killed(kube: Kube, status: dict[str, Any], key: str, settle: float | None) -> None:
    kube.create(PODS, pod("worker", labels={"endpoint_name": NAME}, nodeName="gpu-1", **AT_ONCE), "models")
    container = {"name": "main", "image": "vllm:1", "ready": False, "restartCount": 0, **status}
    kube.patch(PODS, "worker", "models", {"status": {"containerStatuses": [container]}}, subresource="status")
    found = vllm.trouble(kube, "models", NAME)
    assert (found.key if found else "") == key
    assert found is None or (found.settle == settle and found.settle != math.inf)


def test_a_worker_that_ends_late_is_waited_for_and_then_told(begin, kube: Kube) -> None:
    worker = pod("worker", labels={"endpoint_name": NAME}, nodeName="gpu-1", **AT_ONCE)
    kube.create(PODS, worker, "models")
    one = lifecycle(begin(Llms(), kube, endpoint_namespace="models"))
    assert [each["metadata"]["name"] for each in one.sight.objects.workers()] == ["worker"]
    with pytest.raises(AssertionError, match="1 of its pods have not ended: worker"):
        one._ended()
    assert "hold their GPUs past their grace period of 600 s" in one._held(600).line
    kube.patch(PODS, "worker", "models", {"status": {"phase": "Succeeded"}}, subresource="status")
    one._ended()
