"""``python -m seatrial sweep``: removes what runs have left, by names and labels, and by a journal where it is here.

Somebody else's objects are never touched, nor those of runs that live, or of whom nobody can say whether they do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seatrial import alive, cleanup, connect
from seatrial.cleanup import Settled
from seatrial.hookspecs import Finder
from seatrial.journal import Entry, open_entries
from seatrial.kube import Kube
from seatrial.lease import is_fresh
from seatrial.mask import masked
from seatrial.origin import Origin, began, made_at
from seatrial.record import Record, events
from seatrial.resources import PODS
from seatrial.run import Run, new_id, run_in, started
from seatrial.settings import Settings
from seatrial.systems import Systems
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, NotApplicable, NotJudged, Refused

CLEAN, LEFT, USAGE = 0, 3, 4
CODES = (
    f"Exit code {CLEAN}: nothing is left; {LEFT}: something is, of the run that was named, else of any that is over or "
    f"expired, or it could not be looked for; {USAGE}: usage, or the run's record names another target."
)
"""What they say, for ``--help``."""
LONGEST = 120.0
"""Seconds for the removals of one run."""
GONE_WITHIN = 15.0
"""Seconds until what goes with something that was removed must have gone."""
FORGOTTEN_WITHIN = 20.0
"""Seconds for which a product may list from memory what it has deleted."""
ANSWERED = 120.0
"""Seconds after a run's last event: a create that was sent by then has come to an end."""

ALIVE, FORCED, ENDED, UNKNOWN = "alive", "ended by force", "ended", "unknown"
"""What a run's record or its Lease says of it."""
OVER = (FORCED, ENDED)

Key = tuple[str, str]


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for: all expired runs, or the one with an id."""

    run: str = ""
    delete: bool = False
    force: bool = False


@dataclass
class Left:
    """What there is of a run. `state`: `ALIVE`, `FORCED`, `ENDED`, `UNKNOWN`; `expires`: seconds since 1970."""

    run: str
    entries: dict[Key, Entry] = field(default_factory=dict)
    expires: float = 0.0
    state: str = UNKNOWN
    directory: Path | None = None

    def add(self, found: Iterable[Entry]) -> None:
        """What was found, beside what is known of it."""
        for entry in found:
            known = self.entries.get((entry.kind, entry.name))
            how = {**(known.how if known else {}), **entry.how}
            self.entries[entry.kind, entry.name] = Entry(entry.kind, entry.name, how)

    def describe(self, now: float) -> str:
        """One line: the run, its age, whether it lives."""
        expired = "expired" if now >= self.expires else f"expires in {_duration(self.expires - now)}"
        return f"run {self.run}, {_duration(now - started(self.run))} old, {self.state}, {expired}"

    def why_not(self, wanted: Wanted, now: float) -> str:
        """Why it is not touched; empty if it may be."""
        if self.state == ALIVE and not (wanted.run and wanted.force):
            return "it is alive" + ("; --force takes it all the same" if wanted.run else "")
        if now >= self.expires or (self.state in OVER and wanted.run):
            return ""
        if not wanted.run:
            return f"it is not expired; if it is over: --run {self.run}"
        return "" if wanted.force else "nobody can say whether it is over; if it is: --force"


def sweep(
    wanted: Wanted,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    cwd: Path,
    say: Callable[[str], None] = print,
) -> int:
    """Look, say what there is, remove it if that is wanted; the exit code."""
    try:
        if wanted.run:
            started(wanted.run)
        settings = Settings.load(options, environ, cwd)
        with tempfile.TemporaryDirectory(prefix="seatrial-sweep-") as directory, ExitStack() as stack:
            run = Run(new_id(), Path(directory))
            record = Record(run)
            stack.callback(record.close)
            trial = Trial(run, settings, record, writes=wanted.delete)
            target = connect.target(trial)
            _refuse_another_origin(wanted, settings, Origin.of(target, settings))
            say(f"target {target.describe()}")
            kube = stack.enter_context(connect.kube(settings, target, record)) if target.has_cluster else None
            if kube is not None:
                kube.version()
            own = _Sweep(wanted, trial, kube, Systems(), say)
            stack.callback(own.end)
            return own.do()
    except ValueError as error:
        say(str(error))
        return USAGE
    except NotJudged as error:
        say(masked(error.whole))
        return USAGE if isinstance(error, BadSettings) else LEFT


def _refuse_another_origin(wanted: Wanted, settings: Settings, here: Origin) -> None:
    """`BadSettings` if the run's record says that it was elsewhere: here nothing of it would be found."""
    begun = began(events(settings.record_directory / wanted.run)) if wanted.run else {}
    there = made_at(begun)
    if there is None or wanted.force or here.is_same(there):
        return
    command = begun["sweep"] or "nothing: its sandbox is gone with all that it made"
    raise BadSettings(
        f"run {wanted.run} was at {there.describe()}, and this is {here.describe()}",
        source="--run",
        do=f"to sweep there: {command}; if both are the same one: --force",
    )


@dataclass
class _Sweep:
    wanted: Wanted
    trial: Trial
    kube: Kube | None
    systems: Systems
    say: Callable[[str], None]
    troubles: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By finder: why it could not look, and whether that is because we may not."""
    by_journal: bool = False
    code: int = CLEAN

    def do(self) -> int:
        runs = self.runs()
        for what, (why, refused) in self.troubles.items():
            self.say(f"not looked for {what}: {why}")
            if not (refused and self.by_journal):  # where we may not look, the journal is as good
                self.code = LEFT
        spared = False
        for one in runs:
            self.say(one.describe(self._now()))
            why_not = one.why_not(self.wanted, self._now())
            if self.wanted.delete and not why_not:
                self.remove(one)
                continue
            for entry in one.entries.values():
                self.say(f"  {entry.kind} {entry.name}")
            self.say(f"  not touched: {why_not}" if why_not else "  to remove it: the same command with --delete")
            if self.wanted.run or not why_not or one.state in OVER:
                self.code = LEFT
            else:
                spared = True
        if self.code == CLEAN:
            of_one = f" of run {self.wanted.run}" if self.wanted.run else ""
            others = " but what runs have made that may be alive" if spared else ""
            self.say(f"nothing{of_one} is left{others}")
        return self.code

    def end(self) -> None:
        """Remove what the finders needed for themselves."""
        settled = Settled()
        self._settle(self.trial, settled, list(open_entries(events(self.trial.run.directory))))
        for entry, why in settled.left.items():
            self.say(f"LEFT BEHIND: {entry.kind} {entry.name}: {why}")

    def runs(self) -> list[Left]:
        """Every run of which there is something, the oldest first."""
        found: dict[str, Left] = {}
        if self.wanted.run:
            found[self.wanted.run] = self._by_journal(self.wanted.run)
        for entry in self._find(self.systems.finders):
            run = run_of(entry)
            if not self.wanted.run or run == self.wanted.run:
                found.setdefault(run, Left(run)).add([entry])
        for one in found.values():
            self._judge(one)
        return sorted((one for one in found.values() if one.entries), key=lambda one: one.run)

    def remove(self, one: Left) -> None:
        """The product's things through the product, then what that left."""
        with tempfile.TemporaryDirectory(prefix="seatrial-sweep-") as elsewhere:
            run = Run(one.run, one.directory or Path(elsewhere), "sweep")
            record = Record(run)
            trial = replace(self.trial, run=run, record=record, unhurried=True)
            settled = Settled()
            self._settle(trial, settled, [entry for entry in one.entries.values() if "after" not in entry.how])
            if settled.left:  # there may be more of it by now
                one.add(entry for entry in self._find(self.systems.finders) if run_of(entry) == one.run)
            rest = [entry for entry in one.entries.values() if "after" in entry.how and not entry.how.get("owned")]
            known = self._still_known(rest, {entry.name for entry in settled.left})
            waiting = [entry for entry in rest if entry.how["after"] in known or entry.how["by"] in self.troubles]
            settled.left |= dict.fromkeys(waiting, "what it belongs to could not be removed")
            self._settle(trial, settled, [entry for entry in rest if entry not in waiting])
            if rest:  # what could not be proven gone, as it had left something, may be now
                self._settle(
                    trial, settled, [entry for entry in settled.left if entry.name not in known and entry not in rest]
                )
            self._look_again(one, settled)
            self._look_for_what_pods_made(trial, one, settled)
            record.close()
        for entry in settled.gone:
            self.say(f"  gone: {entry.kind} {entry.name}")
        for line in settled.terminating:
            self.say(f"  ending: {line}")
        for entry, why in settled.left.items():
            self._left(f"  LEFT BEHIND: {entry.kind} {entry.name}: {why}")
            for line in entry.how.get("type", "").splitlines():
                self.say(f"    type  {line}")

    def _settle(self, trial: Trial, settled: Settled, entries: list[Entry]) -> None:
        longest = LONGEST * max(1.0, trial.settings.timeout_factor)
        cleanup.settle(trial, entries, self.systems.cleaners, settled, longest)

    def _still_known(self, rest: list[Entry], left: set[str]) -> set[str]:
        """Those of `left` that something of `rest` belongs to and that their own finder still finds, for a while."""
        of_them = [entry for entry in rest if entry.how["after"] in left]
        finders = {entry.how["by"]: self.systems.finders[entry.how["by"]] for entry in of_them}
        known = {entry.how["after"] for entry in of_them}

        def unknown() -> None:
            known.intersection_update(entry.name for entry in self._find(finders))
            assert not known, "it is listed still"

        with suppress(AssertionError):
            self.trial.wait.until(unknown, FORGOTTEN_WITHIN, what="what is left forgotten", fixed=True)
        return known

    def _look_again(self, one: Left, settled: Settled) -> None:
        """What belongs to something that was removed goes by itself: where nothing of it was asked for, it is left."""
        known = {(entry.kind, entry.name) for entry in (*settled.gone, *settled.left)}
        finders = {
            what: self.systems.finders[what] for entry in one.entries.values() if (what := entry.how.get("owned"))
        }

        def nothing() -> None:
            found = [entry for entry in self._find(finders) if run_of(entry) == one.run and not entry.how.get("ending")]
            again[:] = [entry for entry in found if (entry.kind, entry.name) not in known]
            assert not again, "something is there still"

        again: list[Entry] = []
        try:
            self.trial.wait.until(nothing, GONE_WITHIN, what=f"the rest of run {one.run} gone", fixed=True)
        except AssertionError:
            settled.left |= dict.fromkeys(again, "what it belonged to is gone, it is not")

    def _look_for_what_pods_made(self, trial: Trial, one: Left, settled: Settled) -> None:
        """A pod of ours that was still at work may have made something after it was looked for; a journal knows it."""
        if one.directory is None and any(entry.how.get("plural") == PODS.plural for entry in settled.gone):
            known = {(entry.kind, entry.name) for entry in (*settled.gone, *settled.left)}
            found = [entry for entry in self._find(self.systems.finders) if run_of(entry) == one.run]
            new = [entry for entry in found if (entry.kind, entry.name) not in known and not entry.how.get("owned")]
            self._settle(trial, settled, new)

    def _find(self, finders: Mapping[str, Finder]) -> list[Entry]:
        """What all of them find, asked at once; `troubles` has what one of them could not look at."""
        if not finders:
            return []
        with ThreadPoolExecutor(len(finders)) as pool:
            found = pool.map(self._found_by, finders, finders.values())
            return [entry for entries in found for entry in entries if run_of(entry) not in ("", self.trial.run.id)]

    def _found_by(self, what: str, finder: Finder) -> list[Entry]:
        entries = []
        self.troubles.pop(what, None)
        try:
            for entry in finder(self.trial):
                entries.append(entry)  # one by one: what it gave before it raised counts
        except NotApplicable as nothing:
            self.say(f"not looked for {what}: {masked(nothing.fact)}")
        except NotJudged as error:
            line = masked(f"{error.line}{f'; {error.do}' if error.do else ''}")
            self.troubles[what] = line, isinstance(error, Refused)
        except Exception as error:
            self.troubles[what] = masked(str(error) or type(error).__name__).splitlines()[0], False
        return entries

    def _by_journal(self, run: str) -> Left:
        """What the run's record says, if it is here."""
        directory = self.trial.settings.record_directory / run
        if not directory.is_dir():
            return Left(run)
        happened = list(events(directory))
        self.by_journal = True
        entries = {(entry.kind, entry.name): entry for entry in open_entries(happened)}
        if happened and time.time() - happened[-1]["time"] > ANSWERED:
            entries = {key: Entry(*key, {"answered": True, **entry.how}) for key, entry in entries.items()}
        return Left(run, entries, directory=directory)

    def _judge(self, one: Left) -> None:
        """Whether it lives, and when it expires."""
        told = [entry.how["expires"] for entry in one.entries.values() if entry.how.get("expires")]
        own = replace(self.trial, run=Run(one.run, Path())).expires
        one.expires = max(
            (datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp() for when in told), default=own
        )
        here = alive.goes_on(self.trial.settings.record_directory / one.run)
        now = datetime.fromtimestamp(self._now(), UTC)
        leases = [is_fresh(entry.how["renewed"], now) for entry in one.entries.values() if "renewed" in entry.how]
        if here is not None:
            over = (self.trial.settings.record_directory / one.run / "run.json").exists()
            one.state = ALIVE if here else ENDED if over else FORCED
        elif leases:
            one.state = ALIVE if any(leases) else FORCED
        if self._now() >= one.expires:  # nothing that was sent by then can come to anything any more
            for entry in one.entries.values():
                entry.how.pop("unbuilt", None)
                entry.how["answered"] = True

    def _now(self) -> float:
        return time.time() if self.kube is None else self.kube.now().timestamp()

    def _left(self, line: str) -> None:
        self.code = LEFT
        self.say(line)


def run_of(entry: Entry) -> str:
    """The id of the run that a thing belongs to; empty if it is none of ours."""
    return str(entry.how.get("run") or run_in(entry.name))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(0.0, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
