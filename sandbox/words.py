"""The words of ``up``: what the sandbox *is*, never what a suite expects of it."""

from __future__ import annotations

from dataclasses import dataclass

CONTRACTS = ("documented", "released")
DEFAULT_CONTRACT = "released"
CLOUDS = ("aws", "azure", "gcp", "onprem")
WITH_REDIS = ("gcp", "onprem")
DEFAULT_CLOUD = "aws"
VENDORS = ("nvidia", "amd")
REDIS_BROKER, PATCHED, EMPTY = "redis-broker", "patched", "empty"

WORDS = (*CONTRACTS, *CLOUDS, *VENDORS, REDIS_BROKER, PATCHED, EMPTY)

# What the released product cannot do where, which `patched` mends.
CANNOT = {
    "gcp": "as released, the builder cannot build async endpoints on GCP",
    "onprem": "as released, cacher and builder do not start on-prem",
    REDIS_BROKER: "as released, async tasks on AWS stay PENDING with Redis for a broker",
    "amd": "as released, the product knows NVIDIA's GPUs alone: an LLM endpoint finds no AMD node",
}
NEVER_UP = {"onprem": ("builder", "cacher")}


@dataclass(frozen=True)
class Meaning:
    """What the words come to. `redis_broker`: Redis, no queue service of a cloud, is what Celery's tasks wait in."""

    contract: str
    cloud: str
    redis_broker: bool
    patched: bool
    empty: bool
    vendor: str = ""  # of the GPUs; none without

    @property
    def lacking(self) -> str:
        """The key of `CANNOT` that applies; empty when nothing is broken."""
        if self.patched or not self.redis_broker:
            return ""
        return REDIS_BROKER if self.cloud == "aws" else self.cloud

    @property
    def cannot(self) -> tuple[str, ...]:
        """What is broken, for a reader."""
        vendor = self.vendor if self.vendor in CANNOT and not self.patched else ""
        return tuple(CANNOT[key] for key in (self.lacking, vendor) if key)

    @property
    def never_up(self) -> tuple[str, ...]:
        """The workloads that an install must not wait for."""
        return NEVER_UP.get(self.lacking, ())


def meaning(words: tuple[str, ...]) -> Meaning:
    """ValueError for words that cannot be meant together."""
    contract = _one_of(CONTRACTS, words, DEFAULT_CONTRACT)
    cloud = _one_of(CLOUDS, words, DEFAULT_CLOUD)
    vendor = _one_of(VENDORS, words, "")
    redis = REDIS_BROKER in words
    if redis and cloud in WITH_REDIS:
        raise ValueError(f"{cloud} has Redis for a broker anyway: leave {REDIS_BROKER} out")
    if redis and cloud == "azure":
        raise ValueError(f"azure with Redis for a broker is not part of the sandbox: leave {REDIS_BROKER} out")
    if PATCHED in words and cloud not in WITH_REDIS and not redis and not vendor:
        raise ValueError(f"{PATCHED} mends what is broken with {', '.join(CANNOT)}: name one of them, too")
    return Meaning(contract, cloud, redis or cloud in WITH_REDIS, PATCHED in words, EMPTY in words, vendor)


def _one_of(choices: tuple[str, ...], words: tuple[str, ...], default: str) -> str:
    named = [word for word in choices if word in words]
    if len(named) > 1:
        rest, last = ", ".join(named[:-1]), named[-1]
        raise ValueError(f"a sandbox is either {rest} or {last}")
    return named[0] if named else default
