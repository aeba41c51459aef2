"""What a sandbox tells about itself, and where: the one thing its parts, its faults and its users share."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from sandbox import directory

FILE = "sandbox.json"


class NotFoundError(Exception):
    """No such sandbox, or several where one was meant; the text says which there are."""


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up. `directory` holds signs.jsonl, `image` is what gateway and echo endpoints run.

    `values`: the helm values file that it was installed with. Of an empty one `gateway_url` is empty.
    """

    name: str
    directory: str
    gateway_url: str
    token: str
    kubeconfig: str
    kube_url: str
    kube_token: str
    namespace: str
    endpoint_namespace: str
    redis_url: str
    database_url: str
    sqs_url: str
    s3_url: str
    operator_url: str  # of the outside services: see backends/operator.py
    image: str
    vllm_image: str
    gpu_type: str  # the product's name for the GPUs of the nodes; empty without any
    checkpoint_path: str  # of weights that an LLM endpoint can be made of
    values: str
    contract: str
    words: tuple[str, ...]
    time_scale: float
    notes: tuple[str, ...]  # what a user must know, e.g. that Redis is a stand-in
    pid: int

    def printed(self) -> dict[str, str]:
        """What ``up --json`` prints."""
        hidden = {"time_scale", "sqs_url", "s3_url", "operator_url", "contract", "words", "notes", "pid"}
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in hidden}

    def save(self) -> None:
        """Write it into its directory, whole or not at all."""
        path = Path(self.directory) / FILE
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(dataclasses.asdict(self), indent=1))
        draft.replace(path)


def read(path: Path) -> Sandbox:
    """The sandbox of a directory; FileNotFoundError while it is not up."""
    said = json.loads((path / FILE).read_text())
    fields = {field.name: said.get(field.name, "") for field in dataclasses.fields(Sandbox)}  # another version's, too
    return Sandbox(**fields | {"words": tuple(fields["words"]), "notes": tuple(fields["notes"])})


def running() -> list[Sandbox]:
    """Those that are up, by name."""
    found = sorted(path.parent for path in directory.base().glob(f"*/{FILE}"))
    return [read(path) for path in found if directory.alive(path)]


def load(name: str | None = None) -> Sandbox:
    """The sandbox `name`, or the only one. NotFoundError says what there is instead."""
    up = running()
    names = ", ".join(sandbox.name for sandbox in up)
    matching = [sandbox for sandbox in up if name in (None, sandbox.name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise NotFoundError(f"several sandboxes are up, name one: {names}")
    which = f"sandbox {name!r}" if name else "sandbox"
    raise NotFoundError(f"no {which} is up" + (f"; there is: {names}" if names else ": python -m sandbox up"))
