"""The words of ``up``: what the sandbox *is*, never what a suite expects of it."""

from __future__ import annotations

from dataclasses import dataclass

CONTRACTS = ("documented", "released")
DEFAULT_CONTRACT = "released"
CLOUDS = ("aws", "gcp", "onprem")
DEFAULT_CLOUD = "aws"
REDIS_BROKER, PATCHED, EMPTY = "redis-broker", "patched", "empty"

WORDS = (*CONTRACTS, *CLOUDS, REDIS_BROKER, PATCHED, EMPTY)

# What the released product cannot do where, which `patched` mends.
CANNOT = {
    "gcp": "as released, the builder cannot build async endpoints on GCP",
    "onprem": "as released, cacher and builder do not start on-prem",
    REDIS_BROKER: "as released, async tasks on AWS stay PENDING with Redis for a broker",
}
NEVER_UP = {"onprem": ("builder", "cacher")}


@dataclass(frozen=True)
class Meaning:
    """What the words come to. `redis_broker`: Redis, not SQS, is what Celery's tasks wait in."""

    contract: str
    cloud: str
    redis_broker: bool
    patched: bool
    empty: bool

    @property
    def lacking(self) -> str:
        """The key of `CANNOT` that applies; empty when nothing is broken."""
        if self.patched or not self.redis_broker:
            return ""
        return REDIS_BROKER if self.cloud == "aws" else self.cloud

    @property
    def never_up(self) -> tuple[str, ...]:
        """The workloads that an install must not wait for."""
        return NEVER_UP.get(self.lacking, ())


def meaning(words: tuple[str, ...]) -> Meaning:
    """ValueError for words that cannot be meant together."""
    contract = _one_of(CONTRACTS, words, DEFAULT_CONTRACT)
    cloud = _one_of(CLOUDS, words, DEFAULT_CLOUD)
    redis = REDIS_BROKER in words
    if redis and cloud != "aws":
        raise ValueError(f"{cloud} has Redis for a broker anyway: leave {REDIS_BROKER} out")
    if PATCHED in words and cloud == "aws" and not redis:
        raise ValueError(f"{PATCHED} mends what is broken with {', '.join(CANNOT)}: name one of them, too")
    return Meaning(contract, cloud, redis or cloud != "aws", PATCHED in words, EMPTY in words)


def _one_of(choices: tuple[str, ...], words: tuple[str, ...], default: str) -> str:
    named = [word for word in choices if word in words]
    if len(named) > 1:
        rest, last = ", ".join(named[:-1]), named[-1]
        raise ValueError(f"a sandbox is either {rest} or {last}")
    return named[0] if named else default
