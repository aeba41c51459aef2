"""``python selftests/prove_table.py``: prints what is proven at this commit, and rewrites ``docs/proof.md`` with it."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence

from dummies import ROOT
from prove_kept import key
from prove_results import Result, commit, lines, readable
from rows.row import Row
from test_prove_faults import LIMIT, RED, TOUCHES_REDIS
from test_prove_kills import PROMPT_LIMIT, SIGNALS
from test_prove_kills import TIMES as MOMENTS
from test_prove_sandbox import GONE_LIMIT, KILLS, UP_LIMIT, UPS
from test_prove_workers import LAST, TIMES
from test_verdicts import KILLED

PAGE = ROOT / "docs/proof.md"
NOT_YET, BAR, WIDEST = "not yet", r"\|", 240

Results = dict[str, Result]


def row(*cells: object) -> str:
    return f"| {' | '.join(textwrap.shorten(str(cell), WIDEST).replace('|', BAR) for cell in cells)} |"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [row(*head), row(*["---"] * len(head)), *(row(*cells) for cells in rows), ""]


def verdict(result: Result | None) -> str:
    """Whether it held, and why not."""
    if result is None:
        return NOT_YET
    return "yes" if result["held"] else f"**no**: {readable(result['why'])}"


def of(found: Results, prefix: str) -> list[Result]:
    """All results whose key begins so."""
    return [one for key, one in found.items() if key.startswith(prefix)]


def figure(result: Result | None, name: str) -> object:
    return (result or {}).get(name, "")


def where(done: Sequence[Result]) -> tuple[str, str]:
    """When it was measured, on which commits, and what the machine had to do besides: for the last columns."""
    if not done:
        return NOT_YET, ""
    days = sorted({time.strftime("%m-%d %H:%M", time.gmtime(one["time"])) for one in done})
    loads = sorted({one["load"] for one in done})
    commits = list(dict.fromkeys(one["commit"] for one in sorted(done, key=lambda one: one["time"])))
    return f"{_span(days)} on {', '.join(commits)}", _span(loads)


def _span(values: Sequence[object]) -> str:
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


WHERE = ("measured (UTC), on", "load")


def faults(found: Results) -> list[str]:
    """One line a fault."""

    def cells(one: Row) -> Sequence[object]:
        full = found.get(f"fault/{one.name}")
        seconds = f"{figure(full, 'seconds')}{' (at the time-out)' if one.at_timeout else ''}"
        times = [figure(full, "sign"), seconds, figure(full, "run_seconds")]
        return one.name, figure(full, "check"), *times, verdict(full), *where([full] if full else [])

    def stand_in(fault: str) -> Sequence[object]:
        done = found.get(f"stand-in/{fault}")
        return fault, verdict(done), *where([done] if done else [])

    return [
        "## Faults",
        "",
        f"{len(RED)} of a deployment, some of them several at once.",
        "Each with the stand-ins' own times and the real Redis: the verdicts of all checks, the first cause, and the",
        f"seconds from the first public sign to the verdict, at most {LIMIT:g}. Where the sign was there before the",
        "run, they count from the create request, or from the run's start. What nothing but the time tells is told at",
        "the wait's end; those are marked.",
        "",
        *table(
            ("fault", "check that names it", "sign", "sign to verdict, s", "run, s", "held", *WHERE),
            (cells(one) for one in RED),
        ),
        "Those of Redis once more, on the RESP stand-in, at a fifth of the times, for the verdicts alone:",
        "",
        *table(("fault", "held", *WHERE), (stand_in(one.name) for one in TOUCHES_REDIS)),
    ]


def others(found: Results) -> list[str]:
    """One line a module: what must stay green, and what is too long for the tests."""

    def cells(module: str, names: list[str]) -> Sequence[object]:
        done = [found[name] for name in names if name in found]
        failed = [one for one in done if not one["held"]]
        told = "; ".join(f"{one['key'].partition('/')[2].partition('/')[2]}: {readable(one['why'])}" for one in failed)
        return module, f"{len(done) - len(failed)} of {len(names)}", told, *where(done)

    def line(name: str) -> Sequence[object]:
        done = found.get(name)
        return name.partition("[")[2].rstrip("]"), verdict(done), *where([done] if done else [])

    modules: dict[str, list[str]] = {}
    for name in wanted():
        modules.setdefault(name.split("/")[1], []).append(name)
    green = [*modules.pop("test_faults"), *modules.pop("test_everywhere")]
    return [
        "## What is no fault",
        "",
        "In whole runs at a fifth of the times: what must not turn anything red, and what the released product cannot",
        "do where it is, which must be named as its own defect, and be green with the word `patched`.",
        "",
        *table(
            ("in the sandbox", "held", *WHERE),
            (
                (
                    name.partition("[")[2].rstrip("]"),
                    verdict(found.get(name)),
                    *where([found[name]] if name in found else []),
                )
                for name in green
            ),
        ),
        "## Whole runs, and what is too long for `make test`",
        "",
        *table(("self-tests", "held", "otherwise", *WHERE), (cells(*one) for one in sorted(modules.items()))),
    ]


def wanted() -> list[str]:
    """The keys of all that is kept without figures, in the order of its collection."""
    command = [sys.executable, "-m", "pytest", "-c", "selftests/pytest.ini", "-m", "prove", "-n", "0"]
    listed = subprocess.run([*command, "--collect-only", "-q", "selftests"], cwd=ROOT, capture_output=True, text=True)
    found = [line.partition(".py::") for line in listed.stdout.splitlines() if ".py::" in line]
    return [name for module, _, rest in found if (name := key(module, rest))]


def workers(found: Results) -> list[str]:
    """One line a point at which workers are killed."""

    def cells(point: str) -> Sequence[object]:
        done = of(found, f"worker/{point}/")
        held = [one for one in done if one["held"]]
        longest = max((one["taken"] for one in done), default="")
        return point, f"{len(held)} of {TIMES}", longest, troubles(done), *where(done)

    return [
        "## Workers killed",
        "",
        "A worker of two gets a SIGKILL: every check has a verdict, the exit code is 3, nothing hangs.",
        "",
        *table(("in", "right", "longest run, s", "otherwise", *WHERE), (cells(point) for point in (*KILLED, LAST))),
    ]


def ended(found: Results) -> list[str]:
    """One line a signal, without and with workers."""

    def cells(name: str, workers: int) -> Sequence[object]:
        done = [one for one in of(found, f"ended/{name}/") if one.get("workers") == workers]
        held = [one for one in done if one["held"]]
        prompt, left, sweep = ([one[what] for one in done if what in one] for what in ("prompt", "left", "sweep"))
        return (
            name,
            workers or "",
            f"{len(held)} of {MOMENTS // 2}",
            max(prompt, default=""),
            sum(one.get("unknown", 0) for one in done),
            sum(left) if left else "",
            max(sweep, default=""),
            sum(one.get("sweeps", 1) > 1 for one in done) if left else "",
            troubles(done),
            *where(done),
        )

    runs = sum(one.get("runs", 0) for one in of(found, "other/"))
    head = ("signal", "workers", "nothing left", "prompt after, s, at most", "unknown whether made")
    head += ("things after KILL", "sweep, s, at most", "swept again", "otherwise", *WHERE)
    return [
        "## Ended at random moments",
        "",
        f"A full run at a fifth of the times gets a signal at a random moment, {MOMENTS} times each. After TERM and",
        f"INT it is back at the prompt within {PROMPT_LIMIT:g} s, and nothing of it is left in the cluster, in the",
        "gateway's list or at the broker. After KILL `sweep --run ID --delete` removes all of it. Where a create was",
        "not answered, it is said that it may still appear; a sweep then is repeated. Meanwhile other runs go on, and",
        f"none may be disturbed: {runs} of them were green.",
        "",
        *table(head, (cells(name, workers) for name in SIGNALS for workers in (0, 4))),
    ]


def sandboxes(found: Results) -> list[str]:
    """Start and end."""
    ups, kills = of(found, "up/"), of(found, "kill/")
    seconds = sorted(one["seconds"] for one in ups if "seconds" in one)
    spread = [seconds[0], statistics.median(seconds), seconds[-1]] if seconds else ["", "", ""]
    held = [one for one in kills if one["held"]]
    moments = ", ".join(f"{one:g}" for one in sorted(one["after"] for one in kills if "after" in one))
    gone = max((one["seconds"] for one in kills if "seconds" in one), default="")
    files = sum(one.get("files_of_pytest", 0) for one in kills)
    return [
        "## The sandbox: up, and gone",
        "",
        f"`up`, released, until all of it answers: at most {UP_LIMIT:g} s wanted.",
        "",
        *table(
            ("times", "min, s", "median, s", "max, s", "otherwise", *WHERE),
            [(f"{len(seconds)} of {UPS}", *spread, troubles(ups), *where(ups))],
        ),
        "`pytest --sandbox` gets a SIGKILL at a random moment of each of its first seconds. No process, shared memory,",
        f"directory, address claim or listening socket of its sandbox may be left {GONE_LIMIT:g} s later. The files",
        "are those that the killed pytest itself had made in the folder for temporary files.",
        "",
        *table(
            ("nothing left", "killed after, s", "slowest to go, s", "pytest's temporary files", "otherwise", *WHERE),
            [(f"{len(held)} of {KILLS}", moments, gone, files, troubles(kills), *where(kills))],
        ),
    ]


def repeated(all_of_them: Sequence[Result], found: Results) -> list[str]:
    """What did not hold at first: a repetition takes its place in the tables, but not out of the world."""
    earlier: dict[str, list[Result]] = {}
    for one in all_of_them:
        if not one["held"] and one is not found[one["key"]]:
            earlier.setdefault(one["key"], []).append(one)
    if not earlier:
        return []
    head = ("what", "times", "what did not hold", *WHERE, "held later")
    told = ((key, len(done), troubles(done), *where(done), _held(found[key])) for key, done in earlier.items())
    return ["## Repeated", "", "What did not hold, as far as its words were kept whole.", "", *table(head, told)]


def _held(result: Result) -> str:
    return "yes" if result["held"] else "no"


def troubles(done: Sequence[Result]) -> str:
    """What did not hold of them, each once; what a line was cut to says nothing, and is left away."""
    return "; ".join(sorted({said for one in done if not one["held"] and (said := readable(one["why"]))}))


def page(all_of_them: Sequence[Result]) -> str:
    """The whole page."""
    found = {one["key"]: one for one in all_of_them}
    loads = [one["load"] for one in found.values()] or [0]
    last = max((one["time"] for one in found.values()), default=time.time())
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(last))
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    took = sum(one["taken"] for one in found.values()) / 60
    return "\n".join(
        [
            "# Proof",
            "",
            "Written by `make prove`; not by hand.",
            "",
            f"{when} UTC, at commit `{commit()}`, {machine}; load average (1 min) {min(loads)} to {max(loads)};",
            f"{took:.0f} minutes, if one thing had been done at a time. Each line says when and on which commit it was",
            "measured: a proof that is resumed on a later commit lets stand what was proven on an earlier one.",
            "",
            *faults(found),
            *others(found),
            *workers(found),
            *ended(found),
            *sandboxes(found),
            *repeated(all_of_them, found),
        ]
    )


def main() -> int:
    """0."""
    text = page(lines())
    PAGE.write_text(text.rstrip() + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
