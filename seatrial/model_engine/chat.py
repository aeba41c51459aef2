"""Chat with one LLM endpoint, and what proves that a model of its own has answered.

A model cannot be trusted to repeat a word, so no nonce comes back. What proves an answer is: text that is not blank;
the `model` that it names is the one that was asked for, while one that nobody has is refused, so that somebody looks
at it; `finish_reason` and the counted tokens, which whoever generates knows. Where the worker's log can be read and
tells of requests, it is said whether ours is among them. A stream is proven to be one by the reads from its
connection: text that came in one read was held back somewhere until it was whole.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from seatrial.http import Answer, Streamed
from seatrial.model_engine.client import Contract
from seatrial.model_engine.completion import Asked, CameAtOnce, Completion, Flow, completion, flow
from seatrial.model_engine.health import endpoint as endpoint_health
from seatrial.model_engine.health.vllm import served
from seatrial.model_engine.lifecycle import Lifecycle
from seatrial.steps import step
from seatrial.verdict import NotJudged, Refused, Unhealthy

STREAMS = 3
"""So many are asked for before it is believed that streams come at once."""
Said = TypeVar("Said", Answer, Streamed)


@dataclass
class Chat:
    """Talks to the endpoint of a lifecycle that serves. `answered` and `streamed` are steps: done once, remembered."""

    lifecycle: Lifecycle
    witness: str = field(default="", init=False)
    """What the worker's own log says of the completion; empty where it says nothing."""

    @step
    def answered(self) -> Completion:
        """What it answers to one request."""
        before = self._served()
        answer = self._explained(self.lifecycle.site.engine.chat)
        found = completion(answer, self._asked())
        after = self._served()
        if before is not None and after is not None:
            seen = "tells of the request" if after > before else "tells of other requests, and not of ours"
            self.witness = f"the worker's log {seen}"
        return found

    @step
    def streamed(self) -> Flow:
        """What it streams to one request.

        What came at once is asked for again: a short answer may be over before a busy machine reads at all, while
        whatever holds streams back holds back each.
        """
        for _ in range(STREAMS - 1):
            with suppress(CameAtOnce):
                return self._flow()
        return self._flow()

    def refused(self, nobody: str) -> Answer:
        """The answer to a completion asked of an endpoint that does not exist; AssertionError if that is no refusal."""
        answer = self.lifecycle.site.engine.chat(nobody)
        refused = answer.status in range(400, 500) and answer.status not in (405, 408, 429)
        assert refused, (
            f"{answer.asked} answered {answer.status} to the model {nobody}, which nobody made: {answer.said}"
        )
        return answer

    def __str__(self) -> str:
        return self.lifecycle.name

    def _flow(self) -> Flow:
        return flow(self._explained(self.lifecycle.site.engine.chat_stream), self._asked())

    def _asked(self) -> Asked:
        """The gateway names the endpoint; of the documented contract nobody knows whether it puts that in."""
        name, newest = self.lifecycle.name, self.lifecycle.sight.newest
        models = {name}
        if self.lifecycle.site.engine.contract is not Contract.RELEASED:
            models |= {str(newest.get("model_name") or self.lifecycle.site.trial.settings.llm_model)}
        return Asked(name, frozenset(models))

    def _explained(self, ask: Callable[[str], Said]) -> Said:
        """What comes back, or why its workers give nothing, where they tell."""
        try:
            found = ask(self.lifecycle.name)
        except Unhealthy:
            self._explain()
            raise
        answer = found.answer if isinstance(found, Streamed) else found
        if answer.status >= 500:
            self._explain()
        return found

    def _explain(self) -> None:
        site, kind = self.lifecycle.site, self.lifecycle.kind
        if site.kube is None:
            return
        try:
            cause = kind.trouble(site.kube, site.namespace, self.lifecycle.name)
            vendors = site.trial.settings.gpu_vendors
            cause = cause or endpoint_health.trouble(site.kube, site.namespace, self.lifecycle.name, vendors)
        except NotJudged:
            return
        if cause:
            raise Unhealthy(cause)

    def _served(self) -> int | None:
        """How many completions its workers' logs tell of; None where they do not tell of requests."""
        site = self.lifecycle.site
        if site.kube is None:
            return None
        try:
            return served(site.kube, site.namespace, self.lifecycle.name)
        except Refused:
            return None
