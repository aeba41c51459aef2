"""``python -m sandbox up|down|status|break|heal``: see README.md in this folder."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from sandbox import directory, faults, handle, words
from sandbox.faults import FaultError, conditions
from sandbox.handle import Sandbox

USAGE = 4  # as pytest's
DOWN_SECONDS = 20.0
MOST_GATEWAYS = 10  # of the HorizontalPodAutoscaler
OPTIONS = ("words", "name", "fullname", "gateways", "ready_after", "time_scale", "parent")  # that the supervisor gets
BROKEN = "broken"  # folder in a sandbox's directory: an empty file for each fault that is in force


class UsageError(Exception):
    """The command line cannot be meant; one line says why."""


class Parser(argparse.ArgumentParser):
    """argparse, with our exit code and one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parser() -> Parser:
    """The command line."""
    top = Parser(prog="python -m sandbox", description="A deployment to try seatrial on, on this machine.")
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start one; returns once everything answers")
    up.add_argument("words", nargs="*", metavar="WORD", help=f"what it is: {' '.join(words.WORDS)} (default: released)")
    up.add_argument("--json", action="store_true", help="print where everything is as one JSON object")
    up.add_argument("--name", help="for down, break and heal (default: the first free of sandbox, sandbox-2, ...)")
    up.add_argument("--fullname", default="model-engine", help="the chart's fullnameOverride (default: model-engine)")
    up.add_argument(
        "--gateways", type=int, default=1, metavar="N", help="pods of the gateway, each with its own memory"
    )
    up.add_argument("--ready-after", type=float, default=0.0, metavar="SECONDS", help="hold endpoints' pods back")
    up.add_argument("--time-scale", type=float, default=1.0, metavar="F", help="factor on the stand-ins' own timers")
    up.add_argument("--parent", type=int, metavar="PID", help="end when this process does (default: live until down)")
    down = commands.add_parser("down", help="end one, or the only one")
    down.add_argument("name", nargs="?")
    commands.add_parser("status", help="which are up")
    for command in ("break", "heal"):
        act = commands.add_parser(command, help=f"{command} one with a fault; without a fault: list them")
        act.add_argument("fault", nargs="?")
        act.add_argument("name", nargs="?")
    return top


def known(word: str, words: Iterable[str], kind: str) -> None:
    """UsageError with the nearest right one when `word` is none of `words`."""
    choices = list(words)
    if word not in choices:
        near = difflib.get_close_matches(word, choices, 1) or choices
        raise UsageError(f"unknown {kind} {word!r}; there is: {' '.join(near)}")


def up(arguments: argparse.Namespace) -> int:
    """Start a supervisor, wait for its word, leave it running."""
    for word in arguments.words:
        known(word, words.WORDS, "word")
    try:
        words.meaning(tuple(arguments.words))
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not 1 <= arguments.gateways <= MOST_GATEWAYS:
        raise UsageError(f"--gateways is from 1 to {MOST_GATEWAYS}")
    if arguments.name in [one.name for one in handle.running()]:
        raise UsageError(f"a sandbox {arguments.name!r} is up already")
    begun = time.monotonic()
    options = {name: getattr(arguments, name) for name in OPTIONS}
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "sandbox.up", json.dumps(options)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C here is not for it
        text=True,
    )
    assert supervisor.stdout is not None
    told = {"error": "the supervisor ended without a word"}
    try:
        for line in supervisor.stdout:
            if line.startswith("{"):
                told = json.loads(line)
            else:
                sys.stderr.write(line)
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        print("\ninterrupted (Ctrl-C): nothing of it is up", file=sys.stderr)
        return 128 + signal.SIGINT
    if "error" in told:
        supervisor.wait()
        print(f"python -m sandbox up: {told['error']}", file=sys.stderr)
        return 1
    started = handle.load(told["name"])
    for note in started.notes:
        print(f"NOTE: {note}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(started.printed()))
    else:
        show(started, f"is up after {time.monotonic() - begun:.1f} s")
    return 0


def down(arguments: argparse.Namespace) -> int:
    """End a supervisor and wait until it has removed everything."""
    if arguments.name is None and not handle.running():
        print("no sandbox is up")
        return 0
    ending = handle.load(arguments.name)
    process = os.pidfd_open(ending.pid)
    signal.pidfd_send_signal(process, signal.SIGTERM)
    if not select.select([process], [], [], DOWN_SECONDS)[0]:
        signal.pidfd_send_signal(process, signal.SIGKILL)  # its children are tied to it
        select.select([process], [], [])
    os.close(process)
    directory.remove_stale()
    print(f"{ending.name} is down")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print what is up."""
    up = handle.running()
    for one in up:
        show(one, "is up")
        for fault in sorted(Path(one.directory, BROKEN).glob("*")):
            print(f"  BROKEN      {fault.name}: python -m sandbox heal {fault.name} {one.name}")
        for note in one.notes:
            print(f"  NOTE        {note}")
    if not up:
        print("no sandbox is up: python -m sandbox up")
    return 0


def show(one: Sandbox, state: str) -> None:
    """Where everything is, for a reader."""
    print(f"{one.name} ({' '.join(one.words) or words.DEFAULT_CONTRACT}) {state}")
    print(f"  gateway     {one.gateway_url}   Authorization: Bearer {one.token}")
    print(f"  kubernetes  KUBECONFIG={one.kubeconfig} kubectl get pods -n {one.namespace}")
    weights = f" CHECKPOINT_PATH={one.checkpoint_path}" if one.gpu_type else ""
    release = "" if one.gateway_url else f" -m preflight --namespace {one.namespace} --values={one.values}"
    print(f"  prove it    KUBECONFIG={one.kubeconfig} AUTH_TOKEN={one.token}{weights} .venv/bin/pytest{release}")
    print(f"  directory   {one.directory}")
    print(f"  end it      python -m sandbox down {one.name}")


def all_faults() -> dict[str, ModuleType]:
    """By name, ``create-500``: a module with `break_` and `heal`; the conditions, which are none, come last."""
    places = (faults, conditions)
    return {
        one.name.replace("_", "-"): importlib.import_module(f"{place.__name__}.{one.name}")
        for place in places
        for one in pkgutil.iter_modules(place.__path__)
        if not one.ispkg
    }


def act(arguments: argparse.Namespace) -> int:
    """Break or heal; returns when the fault is in force, or gone."""
    listed = all_faults()
    if arguments.fault is None:
        for name, module in listed.items():
            print(f"{name:27} {(module.__doc__ or '').splitlines()[0]}")
        return 0
    known(arguments.fault, listed, "fault")
    module, one = listed[arguments.fault], handle.load(arguments.name)
    mark = Path(one.directory) / BROKEN / arguments.fault
    if arguments.command == "break":
        if mark.exists():
            raise UsageError(f"{one.name} has the fault {arguments.fault} already")
        asyncio.run(module.break_(one))
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
    else:
        if not mark.exists():
            raise UsageError(f"{one.name} has no fault {arguments.fault}")
        asyncio.run(module.heal(one))
        mark.unlink()
    return 0


COMMANDS = {"up": up, "down": down, "status": status, "break": act, "heal": act}


def main(argv: Sequence[str]) -> int:
    """The exit code: 0, 1 something could not be done, 4 the command line cannot be meant."""
    try:
        arguments = parser().parse_args(argv)
        directory.remove_stale()
        return COMMANDS[arguments.command](arguments)
    except (UsageError, handle.NotFoundError) as error:
        print(f"python -m sandbox: {error}", file=sys.stderr)
        return USAGE
    except FaultError as error:
        print(f"python -m sandbox: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
