"""The command line: what pytest is given beside its own options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from seatrial import kinds
from seatrial.checks import Check
from seatrial.settings import TABLE
from seatrial.suggest import instead

SETTINGS = (
    ("--context", {"metavar": "NAME", "help": "the kubeconfig's context to use"}),
    ("--target", {"metavar": "NAME", "help": "a target named in seatrial.yaml"}),
    ("--namespace", {"metavar": "NAME", "help": "the release's namespace"}),
    ("--endpoint", {"metavar": "NAME", "help": "speak to an endpoint that exists; create and delete none"}),
    ("--settings", {"metavar": "FILE", "help": "instead of ./seatrial.yaml"}),
    (
        "--values",
        {"metavar": "FILE", "action": "append", "help": "the release's helm values; repeatable, as helm takes"},
    ),
    ("--gpu-wait", {"metavar": "SECONDS", "help": "how long busy GPUs are waited for before an LLM endpoint is made"}),
    ("--set", {"metavar": "SETTING=VALUE", "action": "append", "help": "a setting, as in seatrial.yaml; repeatable"}),
    ("--timeout-factor", {"metavar": "F", "help": "multiplies every duration that is waited for"}),
    ("--no-cluster", {"action": "store_true", "help": "judge over HTTP alone, with GATEWAY_URL and AUTH_TOKEN"}),
    ("--probe-from", {"metavar": "WHERE", "help": "pod or runner: where Redis, database and broker are asked from"}),
    ("--every-gpu-node", {"action": "store_true", "help": "ask the driver on every GPU node, not on one of each type"}),
    ("--read-only", {"action": "store_true", "help": "judge no check that writes, and refuse to write"}),
)
"""Flag and argparse keywords: the same for pytest and for ``python -m seatrial``."""

WORDS = re.compile(r"[a-z][a-z-]*(,[a-z][a-z-]*)*")
"""What may follow ``--sandbox=``: the words that ``python -m sandbox up`` takes, separated by commas."""


def dest(flag: str) -> str:
    """The name under which a flag's value is found; prefixed, since pytest's plug-ins have options of their own."""
    return "seatrial_" + flag.removeprefix("--").replace("-", "_")


def add(parser: pytest.Parser) -> None:
    """Add our options to pytest's."""
    group = parser.getgroup("seatrial", "seatrial: the deployment to validate")
    for flag, keywords in SETTINGS:
        group.addoption(flag, dest=dest(flag), **keywords)
    group.addoption(
        "--keep", dest=dest("--keep"), action="store_true", help="remove nothing; the command that does is printed"
    )
    group.addoption(
        "--disruptive",
        dest=dest("--disruptive"),
        action="append",
        default=[],
        metavar="CHECK",
        help="run this check although it disturbs others on the cluster; repeatable",
    )
    group.addoption(
        "--sandbox",
        dest=dest("--sandbox"),
        nargs="?",
        const="",
        metavar="WORDS",
        help="validate a sandbox of our own: --sandbox or --sandbox=WORDS, separated by commas",
    )
    for flag, metavar, meaning in (
        ("--ready-after", "SECONDS", "with --sandbox: how long an endpoint's pod takes to get ready"),
        ("--time-scale", "F", "with --sandbox: scales the stand-ins' timers and every timeout"),
    ):
        group.addoption(flag, dest=dest(flag), type=float, metavar=metavar, help=meaning)


def give_back_path(config: pytest.Config) -> None:
    """``pytest --sandbox tests/x.py``: argparse reads the path as the option's value; it is a path all the same."""
    value = config.getoption(dest("--sandbox"))
    if not value:
        return
    after_equals = f"--sandbox={value}" in config.invocation_params.args
    if after_equals or (WORDS.fullmatch(value) and not Path(value).exists()):
        return
    setattr(config.option, dest("--sandbox"), "")
    chosen = [] if config.args_source is not pytest.Config.ArgsSource.ARGS else config.args
    config.args, config.args_source = [value, *chosen], pytest.Config.ArgsSource.ARGS


def refuse_sandbox_options_alone(config: pytest.Config) -> None:
    """`pytest.UsageError` for an option that means something only with ``--sandbox``."""
    for flag in ("--ready-after", "--time-scale"):
        if config.getoption(dest(flag)) is not None and config.getoption(dest("--sandbox")) is None:
            raise pytest.UsageError(f"{flag} is an option of the sandbox: give --sandbox, too")


def given(config: pytest.Config) -> Mapping[str, Any]:
    """The options that are settings, by their plain names."""
    return {flag.removeprefix("--").replace("-", "_"): config.getoption(dest(flag)) for flag, _ in SETTINGS}


def keep(config: pytest.Config) -> bool:
    """Whether what the run makes is to stay."""
    return bool(config.getoption(dest("--keep")))


def disruptive(config: pytest.Config) -> Sequence[str]:
    """The ids of checks that may disturb others, each named by the user."""
    found: Sequence[str] = config.getoption(dest("--disruptive"))
    return found


def refuse_unknown_disruptive(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """`pytest.UsageError` for a name after ``--disruptive`` that no collected check has which disturbs others."""
    known = {Check.of(item).id for item in items if item.get_closest_marker("disruptive")}
    for name in disruptive(config):
        if name not in known:
            raise pytest.UsageError(f"--disruptive {name!r}: no disruptive check is called so; {instead(name, known)}")


def sweep(given: Mapping[str, Any], run_id: str, context: str = "") -> str:
    """The command that removes what the run with this id has left in the target that was `given`, to be pasted.

    `context`: the kubeconfig's, in case the user did not name it. Secrets are left out: they are not in any line.
    """
    words = ["python", "-m", "seatrial", "sweep", "--run", run_id, "--delete"]
    for flag, keywords in SETTINGS:
        value = given[flag.removeprefix("--").replace("-", "_")]
        if not value or flag == "--read-only":
            continue
        if keywords.get("action") == "store_true":
            words.append(flag)
            continue
        for one in value if isinstance(value, list) else [value]:
            if flag != "--set" or not _is_secret(one.partition("=")[0]):
                words += [flag, str(one)]
    if context and not given["context"] and not given["target"]:
        words += ["--context", context]
    return shlex.join(words)


def _is_secret(name: str) -> bool:
    return name in TABLE and TABLE[name].kind in (kinds.secret, kinds.command)


def asks_for_slow(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether a check that takes several minutes is meant: by its marker in ``-m``, by its name, or by ``--lf``."""
    marked = "slow" in (config.getoption("markexpr") or "")
    named = item.name in (config.getoption("keyword") or "") or any("::" in one for one in config.args)
    return marked or named or bool(config.getoption("lf", False))
