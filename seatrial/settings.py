"""What a run is told: one typed, frozen object. The table below is the class itself; every value knows its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from seatrial import kinds, payloads
from seatrial.expectations import Expected, expected
from seatrial.gpu.vendors import Vendors, vendors
from seatrial.kinds import Malformed
from seatrial.secret import Secret, Token
from seatrial.sources import Given, Place, Spec, layers
from seatrial.values import Values
from seatrial.verdict import BadSettings

T = TypeVar("T")

DEFAULT, NOT_GIVEN = "default", "not given"
CONTRACTS = ("auto", "documented", "released")
NO_DB_URL = "export DB_URL"
NO_SECRETS = "export AUTH_TOKEN, or set auth_token_file or auth_token_command"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Durations are in seconds and do not have `timeout_factor` in them yet; None means that nobody gave it."""

    target: Annotated[str | None, Place(kinds.text, "a target named in seatrial.yaml", only="type --target NAME")]
    context: Annotated[str | None, Place(kinds.text, "the kubeconfig's context")]
    kubeconfig: Annotated[tuple[Path, ...] | None, Place(kinds.paths, "kubeconfig files", env="KUBECONFIG")]
    no_cluster: Annotated[bool, Spec(kinds.switch, "judge over HTTP alone", default=False)]
    read_only: Annotated[bool, Spec(kinds.switch, "write nothing", default=False)]
    namespace: Annotated[str | None, Place(kinds.name, "the release's namespace", env="NAMESPACE")]
    release: Annotated[str | None, Place(kinds.name, "the gateway's Deployment, where several are in the namespace")]
    endpoint_namespace: Annotated[str | None, Place(kinds.name, "of the endpoints' pods", env="ENDPOINT_NAMESPACE")]
    endpoint: Annotated[
        str | None, Place(kinds.name, "an endpoint that exists: tasks go to it, none is created or deleted")
    ]
    gateway_url: Annotated[str | None, Place(kinds.url, "not given: the cluster's Service", env="GATEWAY_URL")]
    auth_token: Annotated[Secret | None, Place(kinds.secret, "for the gateway", env="AUTH_TOKEN", only=NO_SECRETS)]
    auth_token_file: Annotated[Path | None, Place(kinds.path, "a file that holds it", env="AUTH_TOKEN_FILE")]
    auth_token_command: Annotated[
        tuple[str, ...] | None, Place(kinds.command, "a command that prints it", env="AUTH_TOKEN_COMMAND")
    ]
    ca_bundle: Annotated[Path | None, Place(kinds.readable_file, "certificates to trust", env="CA_BUNDLE")]
    contract: Annotated[str, Spec(kinds.one_of(*CONTRACTS), "the requests the gateway takes", default="auto")]
    model_engine_image_repository: Annotated[
        str | None, Place(kinds.image_repository, "of the echo server", env="MODEL_ENGINE_IMAGE_REPOSITORY")
    ]
    model_engine_image_tag: Annotated[str | None, Place(kinds.image_tag, "its tag", env="MODEL_ENGINE_IMAGE_TAG")]
    redis_host: Annotated[str | None, Place(kinds.host, "of the cache Redis", env="REDIS_HOST")]
    redis_port: Annotated[int | None, Place(kinds.port, "its port", env="REDIS_PORT")]
    broker_redis_host: Annotated[str | None, Place(kinds.host, "of the Redis broker", env="BROKER_REDIS_HOST")]
    broker_redis_port: Annotated[int | None, Place(kinds.port, "its port", env="BROKER_REDIS_PORT")]
    db_url: Annotated[Secret | None, Place(kinds.secret, "of the database", env="DB_URL", only=NO_DB_URL)]
    asb_secret_name: Annotated[
        str | None,
        Place(kinds.object_name, "the Secret that logs the release in to Service Bus", env="ASB_SECRET_NAME"),
    ]
    asb_namespace: Annotated[str | None, Place(kinds.host, "of Service Bus", env="SERVICEBUS_NAMESPACE")]
    aws_region: Annotated[str | None, Place(kinds.text, "that SQS is asked in", env="AWS_REGION")]
    vllm_repository: Annotated[str | None, Place(kinds.image_repository, "of the vLLM image", env="VLLM_REPOSITORY")]
    vllm_tag: Annotated[str | None, Place(kinds.image_tag, "its tag", env="VLLM_TAG")]
    model_engine_service_account: Annotated[
        str | None, Place(kinds.object_name, "of the release's pods", env="MODEL_ENGINE_SERVICE_ACCOUNT")
    ]
    autoscaling_horizontal: Annotated[bool | None, Place(kinds.switch, "whether the gateway has an HPA")]
    celery_autoscaler: Annotated[bool | None, Place(kinds.switch, "whether the release has its autoscaler")]
    probe_image: Annotated[
        str | None, Spec(kinds.text, "that our probe pods run; not given: the release's", env="PROBE_IMAGE")
    ]
    probe_from: Annotated[str, Spec(kinds.one_of("pod", "runner"), "where probes look from", default="pod")]
    gpu_type: Annotated[
        str | None, Place(kinds.text, "of the endpoints on GPUs, where nodes have several", env="GPU_TYPE")
    ]
    gpu_probe_image: Annotated[
        str | None,
        Spec(kinds.text, "that asks the GPUs' driver; not given: the vLLM image", env="GPU_PROBE_IMAGE"),
    ]
    every_gpu_node: Annotated[
        bool, Spec(kinds.switch, "ask the driver on every GPU node, not on one for each type", default=False)
    ]
    gpu_vendors: Annotated[Vendors, Spec(vendors, "a merge patch on the table of GPU vendors below", default={})]
    image_pull_timeout: Annotated[float, Spec(kinds.seconds, "until an image is pulled", default=900)]
    timeout_factor: Annotated[float, Spec(kinds.factor, "multiplies every duration that is waited for", default=1)]
    checkpoint_path: Annotated[
        str | None, Place(kinds.text, "of the LLM's weights: s3://, gs://, azure://", env="CHECKPOINT_PATH")
    ]
    llm_model: Annotated[str, Spec(kinds.text, "that the LLM endpoint serves", default="llama-3.1-8b")]
    gpu_wait: Annotated[float, Spec(kinds.patience, "that busy GPUs are waited for", default=0)]
    request_timeout: Annotated[float, Spec(kinds.seconds, "for one answer of the gateway", default=30)]
    task_timeout: Annotated[float, Spec(kinds.seconds, "for the answer to a task", default=60)]
    async_task_timeout: Annotated[float, Spec(kinds.seconds, "until an async task is over", default=300)]
    broker_idle: Annotated[
        float,
        Spec(kinds.seconds, "that async_endpoint_survives_idle lets the broker's connections idle", default=330),
    ]
    endpoint_ready_timeout: Annotated[float, Spec(kinds.seconds, "until an endpoint serves", default=1500)]
    endpoint_ready_warning: Annotated[float, Spec(kinds.seconds, "after which an endpoint was slow", default=480)]
    llm_ready_timeout: Annotated[float, Spec(kinds.seconds, "until an LLM endpoint serves", default=1800)]
    chat_timeout: Annotated[float, Spec(kinds.seconds, "for the answer of an LLM, or its whole stream", default=330)]
    gateway_memory: Annotated[
        float,
        Spec(kinds.seconds, "for which a process of the gateway remembers; timeout_factor is not for it", default=15),
    ]
    settle: Annotated[float, Spec(kinds.seconds, "that trouble must hold before it ends a wait", default=15)]
    overlays: Annotated[
        payloads.Overlays, Place(payloads.overlays, "merge patches for what is sent, by payload path", default={})
    ]
    expect: Annotated[Expected, Place(expected, "what must be there: cloud, gpu, products, registries", default={})]
    record_directory: Annotated[Path, Spec(kinds.path, "where the runs' records go", default=".seatrial")]

    token: Token = field(repr=False, compare=False)
    values: Values = field(default=Values(), repr=False, compare=False)
    """The helm values as they were given."""
    given: Mapping[str, str] = field(repr=False)
    """The sources of what was given or discovered, by setting."""

    @classmethod
    def load(cls, options: Mapping[str, Any], environ: Mapping[str, str], cwd: Path) -> Settings:
        """The settings from command line, environment, seatrial.yaml, helm values and defaults.

        `options` are the parsed options by their names (``timeout_factor``; ``values`` and ``set`` are lists), `cwd` is
        where ``seatrial.yaml`` is looked for. Raises `BadSettings`; asks no network and runs no command.
        """
        given: dict[str, Given] = {}
        for layer in layers(TABLE, options, environ, cwd):
            taken = _one_token(layer, given)
            given = taken | given
        found = {name: _parsed(name, one) for name, one in given.items()}
        for name, spec in TABLE.items():
            if name not in found:
                found[name] = None if spec.default is None else spec.kind(spec.default, cwd)
        sources = {name: one.source for name, one in given.items()}
        helm = Values.of_files([cwd / one for one in options.get("values") or []])
        settings = cls(**found, token=_token(found, sources), given=sources, values=helm)
        settings._whole_image()
        return settings

    def source(self, name: str) -> str:
        """Where the value of a setting came from, as a message names it."""
        return self.given.get(name) or (NOT_GIVEN if TABLE[name].default is None else DEFAULT)

    def named(self, name: str) -> bool:
        """Whether somebody gave the setting, or it was discovered."""
        return name in self.given

    def need(self, value: T | None, name: str) -> T:
        """`value`, the setting `name`, or `BadSettings` with the ways to give it."""
        if value is None:
            raise BadSettings(f"{name} is not given", do=how_to_give(name))
        return value

    def discovered(self, found: Mapping[str, tuple[Any, str]]) -> Settings:
        """These settings with what discovery found (value, and the object it stood in) where nobody gave any."""
        new = {name: Given(value, f"discovered in {where}", Path()) for name, (value, where) in found.items()}
        new = {name: one for name, one in new.items() if not self.named(name)}
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values |= {name: _parsed(name, one) for name, one in new.items()}
        values["given"] = {**self.given, **{name: one.source for name, one in new.items()}}
        return Settings(**values)

    def longest_check(self) -> float:
        """The longest one check may wait, in seconds, with the factor: an endpoint, then its answer to a task.

        Before an LLM endpoint is made, an image is pulled, an echo endpoint asked, and busy GPUs are waited for.
        """
        task = max(self.task_timeout, self.async_task_timeout, self.chat_timeout)
        before = self.image_pull_timeout + self.gpu_wait
        ready = max(self.endpoint_ready_timeout + before, self.llm_ready_timeout)
        return (ready + task + self.request_timeout) * self.timeout_factor

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Name, value and source of every setting, in the order of the table."""
        for name in TABLE:
            yield name, getattr(self, name), self.source(name)

    def _whole_image(self) -> None:
        """Half an image is a mistake; only values files may give a half that discovery completes: helm's --set gave
        the other."""
        pair = ("model_engine_image_repository", "model_engine_image_tag")
        missing = [name for name in pair if not self.named(name)]
        if len(missing) != 1:
            return
        (half,) = set(pair) - set(missing)
        if self.no_cluster or not self.source(half).endswith("(--values)"):
            raise BadSettings(
                f"{half} is given, {missing[0]} is not",
                source=self.source(half),
                do=f"{how_to_give(missing[0])}; or leave both away, the suite discovers them",
            )


TABLE: Mapping[str, Spec] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Settings, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
"""Every setting by its name: the class read as the table it is."""
_TOKENS = ("auth_token", "auth_token_file", "auth_token_command")


def how_to_give(name: str) -> str:
    """One line with the ways to give a setting."""
    spec = TABLE[name]
    if spec.only:
        return spec.only
    ways = f"use --set {name}=… or {name} in seatrial.yaml"
    return f"export {spec.env}=…, or {ways}" if spec.env else ways


def _one_token(layer: Mapping[str, Given], given: Mapping[str, Given]) -> dict[str, Given]:
    """The layer, without a token where a stronger layer gave one, in whichever way."""
    tokens = [name for name in _TOKENS if name in layer]
    if any(name in given for name in _TOKENS):
        return {name: one for name, one in layer.items() if name not in tokens}
    if len(tokens) > 1:
        sources = " and ".join(layer[name].source for name in tokens)
        raise BadSettings("more than one token is given", source=sources, do="leave all but one away")
    return dict(layer)


def _parsed(name: str, given: Given) -> Any:
    spec = TABLE[name]
    try:
        return spec.kind(given.value, given.base)
    except Malformed as error:
        raise BadSettings(f"{_shown(name, given.value)} {error.what}", source=given.source, do=error.do) from None


def _shown(name: str, value: Any) -> str:
    """The setting with its value, unless a secret may be in it: a token, a command's argument, a URL's password."""
    shown = repr(value)
    if TABLE[name].kind in (kinds.secret, kinds.command) or "@" in shown:
        return name
    return f"{name} {shown}" if len(shown) <= 80 else f"{name} {shown[:77]}…"


def _token(found: Mapping[str, Any], sources: Mapping[str, str]) -> Token:
    source = next((sources[name] for name in _TOKENS if name in sources), "")
    return Token(found["auth_token"], found["auth_token_file"], found["auth_token_command"], source)
