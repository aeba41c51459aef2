"""The commands beside pytest's: ``python -m seatrial <command>``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from seatrial import garbage

# isort: split
from seatrial import docs, doctor, images, options, rbac, summary, sweep
from seatrial.mask import masked
from seatrial.piped import piped
from seatrial.settings import Settings
from seatrial.verdict import BadSettings

USAGE, INTERRUPTED = 4, 2
"""Exit codes, as pytest's."""


class Parser(argparse.ArgumentParser):
    """Ends with pytest's exit code for a usage error, not with argparse's own."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    garbage.begin()
    parser = Parser(prog="python -m seatrial", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    told = "show target and settings, and whether they can be reached"
    _with_settings(commands.add_parser("doctor", help=told, description=told, epilog=doctor.CODES, allow_abbrev=False))
    told = "print the roles that a run needed, from its record"
    roles = _with_settings(commands.add_parser("rbac", help=told, description=told, allow_abbrev=False))
    roles.add_argument("--run", metavar="ID", help="not the latest that judged a cluster")
    told = "list every image that a run needs, for mirrors; before an install from --values"
    _with_settings(commands.add_parser("images", help=told, description=told, allow_abbrev=False))
    told = f"write what is generated: {docs.WRITTEN} (its tables)"
    commands.add_parser("docs", help=told, description=told)
    told = "show what runs have left, and remove it with --delete: what is expired, or all of one run"
    clean = _with_settings(
        commands.add_parser("sweep", help=told, description=told, epilog=sweep.CODES, allow_abbrev=False)
    )
    clean.add_argument("--run", metavar="ID", default="", help="of the run with this id, from any machine")
    clean.add_argument("--delete", action="store_true", help="remove it; without this it is only shown")
    clean.add_argument(
        "--force",
        action="store_true",
        help="with --run: although it may be alive, or its record names another address",
    )
    told = "print a finished run as Markdown, for the page of a CI job"
    report = commands.add_parser("summary", help=told, description=told, allow_abbrev=False)
    report.add_argument("run", metavar="RUN", help="its directory, or its id where the record is in .seatrial")
    given = parser.parse_args(arguments)
    if not __debug__:
        parser.error("python -O takes the assertions away that judge a deployment; run without it")
    if given.command == "docs":
        return docs.write()
    try:
        if given.command == "rbac":
            return rbac.of_run(Settings.load(vars(given), os.environ, Path.cwd()), given.run)
        if given.command == "summary":
            print(summary.read(Path(given.run) if "/" in given.run else Path(".seatrial", given.run)))
            return 0
        if given.command == "images":
            return images.listed(vars(given), os.environ, Path.cwd())
        if given.command == "sweep":
            wanted = sweep.Wanted(given.run, given.delete, given.force)
            return sweep.sweep(wanted, vars(given), os.environ, Path.cwd())
        return doctor.examine(vars(given), os.environ, Path.cwd())
    except BadSettings as error:
        parser.exit(USAGE, f"{parser.prog}: {masked(error.whole)}\n")  # the usage would not help
    except KeyboardInterrupt:
        deletes = given.command == "sweep" and given.delete
        done = "what is not said to be gone may be left: type it again" if deletes else "nothing was made or removed"
        print(f"\ninterrupted (Ctrl-C): {done}", file=sys.stderr)
        return INTERRUPTED


def run() -> int:
    """`main` as a process of its own: a second Ctrl-C, and a reader that goes away, bring no traceback."""
    sys.stdout, sys.stderr = piped(sys.stdout), piped(sys.stderr)
    try:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        sys.stdout.flush()


def _with_settings(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    for flag, keywords in options.SETTINGS:
        arguments_of: dict[str, Any] = dict(keywords)
        command.add_argument(flag, **arguments_of)
    return command
