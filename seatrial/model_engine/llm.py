"""What must hold before GPUs are paid for, seen by the functions that the checks of it assert; what is asked then."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.model_engine import images
from seatrial.model_engine.client import Contract, ModelEngine
from seatrial.model_engine.gpu_nodes import GpuNodes
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.images import Pull
from seatrial.model_engine.kinds import ECHOES, LLM
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.model_engine.llm_gpus import Gpus
from seatrial.model_engine.site import Site
from seatrial.model_engine.tasks import echoed
from seatrial.payloads import payload
from seatrial.settings import how_to_give
from seatrial.steps import needed, step
from seatrial.verdict import BadSettings

_CHATS = ("instruct", "chat", "-it")
"""What the names of models have in them that were taught to chat."""


@dataclass
class Gate:
    """Passed or not, once. `echo`: whether a sync echo endpoint must serve first. Without a cluster nothing is seen.

    What fails and has a check of its own is raised as `Blocked`; that no node has a GPU though they are declared, and
    that the product makes no endpoints on such GPUs, stands in the check of the create.
    """

    site: Site
    ground: Ground
    echo: bool = False
    _first: Lifecycle | None = field(default=None, init=False)
    _there: bool = field(default=False, init=False)

    def values(self, contract: Contract) -> Mapping[str, str]:
        """What the payload of a contract wants, once everything that the endpoint will stand on was seen healthy.

        `BadSettings` for what nobody gave, a `NotJudged` where others use the GPUs for longer than ``gpu_wait``.
        """
        settings, checkpoint = self.site.trial.settings, ""
        gpu_type, nodes = self.chosen()
        if contract is Contract.RELEASED and "checkpoint_path" not in self._overlay(contract):
            checkpoint = self._checkpoint()
        found = {"model": settings.llm_model, "checkpoint": checkpoint, "tag": self._tag(), "gpu_type": gpu_type}
        self._say_of_base(contract)
        if nodes is not None:
            gpus, body = Gpus(nodes, _path(contract)), self._body(contract, found)
            gpus.want(body)  # what cannot be read is said before anything is pulled
            self.passed()
            gpus.await_free(body)
        return found

    @step
    def chosen(self) -> tuple[str, GpuNodes | None]:
        """The GPU type to ask for, and the nodes, which are sound."""
        if self.site.kube is None:
            settings = self.site.trial.settings
            return settings.need(settings.gpu_type, "gpu_type"), None
        nodes = GpuNodes.of(self.ground)
        gpus = Gpus(nodes)
        gpus.meant()
        self._there = gpus.sound()
        return gpus.chosen(), nodes

    @step
    def passed(self) -> None:
        """The image is pulled where the worker will be, and the echo echoes; both begin before one is waited for."""
        _, nodes = self.chosen()
        pull = nodes.pulls() if nodes is not None and self._there else Pull(self.ground, "vllm")
        try:
            if self.echo:
                self._first = Lifecycle(self.site, ECHOES[0], self.site.trial.run.name("echo-gate"))
                self._first.request()
            needed(pull.pulled)
        finally:
            pull.remove()
        if self._first is not None:
            self._must_echo(self._first)

    def clean_up(self) -> None:
        """Remove the echo endpoint."""
        if self._first is not None:
            self._first.clean_up()

    def __str__(self) -> str:
        return f"{LLM} endpoint"

    def _must_echo(self, endpoint: Lifecycle) -> None:
        nonce = f"seatrial-{secrets.token_hex(8)}"
        found = str(needed(endpoint.ready)["id"])
        needed(_must_return, self.site.engine, found, nonce)
        endpoint.dismiss()

    def _overlay(self, contract: Contract) -> Mapping[str, Any]:
        return self.site.trial.settings.overlays.get(_path(contract)) or {}

    def _body(self, contract: Contract, values: Mapping[str, str]) -> Mapping[str, Any]:
        """The payload as it will be sent, but for names."""
        filled = {"name": "", "kind": "", "run": "", "expires": "", **values}
        found: Mapping[str, Any] = payload(_path(contract), self.site.trial.settings.overlays, **filled)
        return found

    def _tag(self) -> str:
        settings = self.site.trial.settings
        if self.site.kube is None:
            return settings.need(settings.vllm_tag, "vllm_tag")
        return images.vllm(self.ground).rpartition(":")[2]

    def _checkpoint(self) -> str:
        """Nobody can find out where a model's weights are, and the released product has a place of its own for none."""
        if (found := self.site.trial.settings.checkpoint_path) is None:
            raise BadSettings(
                "checkpoint_path is not given, and the released gateway makes no LLM endpoint without it",
                source=f"the contract: {self.site.engine.contract_source}",
                do=f"{how_to_give('checkpoint_path')}: where the model's weights are (s3://, gs://, azure://)",
            )
        return found

    def _say_of_base(self, contract: Contract) -> None:
        """A base model has no chat template: vLLM then answers every chat completion with 400.

        Where the documented contract keeps a model's weights nobody tells, so that its name says little.
        """
        settings, overlay = self.site.trial.settings, self._overlay(contract)
        named = " ".join(filter(None, (settings.llm_model, settings.checkpoint_path, str(overlay))))
        if "chat_template_override" in overlay or any(one in named.lower() for one in _CHATS):
            return
        line = (
            f"{settings.llm_model} is a base model by its name: without a chat template vLLM answers 400 to every chat"
        )
        if contract is Contract.DOCUMENTED:
            self.site.trial.note(f"{line}; llm_model names another")
            return
        self.site.trial.warn(
            f"{line}; let checkpoint_path lead to an instruct model, or overlay chat_template_override"
        )


def _path(contract: Contract) -> str:
    return f"model_engine/{contract}/{LLM.payload}"


def _must_return(engine: ModelEngine, endpoint: str, nonce: str) -> None:
    answer = echoed(engine.sync_task(endpoint, {"nonce": nonce}))
    assert answer == {"nonce": nonce}, f"the echo came back as {answer!r}"
