"""A run's record keeps where it was: nobody looks for it elsewhere and says that nothing is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial import alive
from seatrial.origin import Origin
from seatrial.run import new_id
from seatrial.sweep import Wanted, sweep

A, B = Origin("a", "https://127.0.0.1:9"), Origin("b", "https://127.0.0.1:19")
COMMAND = "python -m seatrial sweep --run x --delete --context a"


def record(under: Path, origin: Origin | None, command: str = COMMAND) -> str:
    """The id of a run that was ended by force and has left an endpoint."""
    run = under / new_id()
    run.mkdir(parents=True)
    alive.hold(run).close()
    happened: list[dict[str, Any]] = [
        {"kind": "run", "sweep": command, "origin": origin and vars(origin)},
        {"kind": "journal", "entry": "intended", "of": "endpoint", "name": "e", "how": {}},
    ]
    text = "".join(json.dumps({"time": number, "check": "", **event}) + "\n" for number, event in enumerate(happened))
    (run / "events.main.jsonl").write_text(text)
    return run.name


def swept(folder: Path, run: str, here: Origin, *, force: bool = False) -> tuple[int, str]:
    """Exit code and output of a sweep of this run in a place where nobody answers."""
    (folder / "kubeconfig").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": here.server}}],
                "users": [{"name": "u", "user": {"token": "token-of-a-test"}}],
                "contexts": [{"name": here.context, "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    said: list[str] = []
    environ = {"HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}
    code = sweep(Wanted(run, True, force), {"context": here.context}, environ, folder, said.append)
    return code, "\n".join(said)


@pytest.mark.parametrize("command", [COMMAND, ""], ids=["cluster", "sandbox"])
def test_a_run_of_another_cluster_is_not_swept_here(tmp_path: Path, command: str) -> None:
    run = record(tmp_path / ".seatrial", A, command)
    how = command or "nothing: its sandbox is gone with all that it made"
    assert swept(tmp_path, run, B) == (
        4,
        f"run {run} was at context a (https://127.0.0.1:9), and this is context b (https://127.0.0.1:19) (--run); "
        f"to sweep there: {how}; if both are the same one: --force",
    )


@pytest.mark.parametrize(("origin", "force"), [(A, False), (B, True), (None, False)], ids=["same", "forced", "unknown"])
def test_else_the_cluster_is_asked(tmp_path: Path, origin: Origin | None, force: bool) -> None:
    code, said = swept(tmp_path, record(tmp_path / ".seatrial", origin), A, force=force)
    assert (code, said.splitlines()[0].startswith("target context a (")) == (3, True), said


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (A, Origin("another-name", A.server), True),
        (A, Origin("a", B.server), False),
        (Origin(gateway="http://g"), Origin(gateway="http://g"), True),
        (Origin(gateway="http://g"), Origin(gateway="http://h"), False),
        (Origin(gateway="http://g"), Origin("a", A.server, "http://g"), True),
        (Origin(gateway="http://g"), A, False),
    ],
)
def test_what_is_one_origin(one: Origin, other: Origin, same: bool) -> None:
    assert (one.is_same(other), other.is_same(one)) == (same, same)


def test_what_was_left_is_said_at_the_same_target_alone(tmp_path: Path) -> None:
    run = record(tmp_path, A)
    assert list(alive.ended_by_force(tmp_path, A)) == [f"run {run} was ended by force and has left 1 thing: {COMMAND}"]
    for elsewhere in (B, Origin(gateway="http://g"), None):
        assert list(alive.ended_by_force(tmp_path, elsewhere)) == []
    (tmp_path / run / "run.json").write_text("{}")
    assert list(alive.ended_by_force(tmp_path, A)) == []
