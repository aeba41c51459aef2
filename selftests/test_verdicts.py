"""The verdict table, row by row: verdict, pytest's exit code, JUnit and ``--lf``, with and without workers."""

from pathlib import Path

import pytest
from dummies import Ended, Suite

from seatrial.verdict import Reason

HEAD = """
import pytest
from seatrial.verdict import *
"""
FINE = "def test_fine():\n    assert 1 + 1 == 2\n"

N2 = ("-n", "2")
BOTH = pytest.mark.parametrize("workers", [(), N2], ids=["alone", "n2"])
WORKERS = pytest.mark.parametrize(
    "workers", [pytest.param((), id="alone"), pytest.param(N2, id="n2", marks=pytest.mark.prove)]
)
"""What workers can hardly change: with them it is in the proof."""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def ran(suite: Suite, workers: tuple[str, ...], check: str, *arguments: str) -> Ended:
    """One check beside one that is fine, in another phase."""
    return suite.write(infra=FINE, tier_a=HEAD + check).pytest(*workers, *arguments)


ROWS: dict[str, tuple[str, str, int, str, bool]] = {
    "pass": ("def test_it():\n    assert True is True", "pass", 0, "passed", False),
    "assertion": ("def test_it():\n    assert 'mine' == 'theirs'", "fail", 1, "failure", True),
    "unhealthy": (
        "def test_it():\n    raise Unhealthy(Cause('gateway/down', 'the gateway is down'))",
        "fail",
        1,
        "failure",
        True,
    ),
    "set_up": (
        "@pytest.fixture\ndef need():\n    assert 0, 'no endpoint'\ndef test_it(need):\n    pass",
        "blocked",
        1,
        "error",
        True,
    ),
    "blocked_in_body": (
        "def test_it():\n    raise Blocked(Cause('gateway/down', 'the gateway is down'))",
        "blocked",
        1,
        "error",
        True,
    ),
    "KeyError": ("def test_it():\n    {}['key']", "error (bug)", 3, "error", True),
    "bare_skip": ("def test_it():\n    pytest.skip('because')", "error (bug)", 3, "error", True),
    "xfail": ("@pytest.mark.xfail\ndef test_it():\n    assert 0", "fail", 1, "failure", True),
    "xpass": ("@pytest.mark.xfail\ndef test_it():\n    assert 1 < 2", "error (bug)", 3, "error", True),
    "not_applicable": (
        "def test_it():\n    raise NotApplicable('no node shows any sign of a GPU')",
        "not applicable",
        0,
        "skipped",
        False,
    ),
    "teardown": (
        "@pytest.fixture\ndef f():\n    yield\n    raise OSError('torn')\ndef test_it(f):\n    assert not f",
        "error (bug)",
        3,
        "error",
        True,
    ),
    "timeout": (
        "@pytest.mark.timeout(0.2, method='signal')\ndef test_it():\n    import time; time.sleep(9)",
        "error (bug)",
        3,
        "error",
        True,
    ),
}
"""By what a check does: text, verdict, the exit code of a run with it, JUnit's word, whether --lf repeats it."""


def row_holds(ended: Ended, name: str, row: tuple[str, str, int, str, bool]) -> None:
    _, verdict, _, junit, repeated = row
    assert ended.verdicts[f"{name}/{name}"] == verdict, ended.out
    assert ended.junit[name] == junit, ended.out
    assert (name in ended.lastfailed) == repeated, ended.out


def named(check: str, name: str) -> str:
    return HEAD + check.replace("def test_it(", f"def test_{name}(")


EXITS = ("pass", "KeyError", "not_applicable")
"""One for each way of being alone with a check that is fine."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in EXITS else pytest.mark.prove) for name in ROWS]
)
def test_row(suite: Suite, name: str) -> None:
    ended = suite.write(infra=FINE, **{name: named(ROWS[name][0], name)}).pytest()
    row_holds(ended, name, ROWS[name])
    assert (ended.code, ended.run["exit"], ended.junit["fine"]) == (ROWS[name][2], ROWS[name][2], "passed"), ended.out


@BOTH
def test_every_row(suite: Suite, workers: tuple[str, ...]) -> None:
    suite.write(infra=FINE, **{name: named(row[0], name) for name, row in ROWS.items()})
    ended = suite.pytest(*workers)
    for name, row in ROWS.items():
        row_holds(ended, name, row)
    assert (ended.code, ended.junit["fine"]) == (1, "passed")


@pytest.mark.parametrize("name", EXITS)
def test_exit_code_with_workers(suite: Suite, name: str) -> None:
    assert suite.write(infra=FINE, **{name: named(ROWS[name][0], name)}).pytest("-n", "2").code == ROWS[name][2]


@WORKERS
def test_every_reason_of_an_error(suite: Suite, workers: tuple[str, ...]) -> None:
    checks = "".join(
        f"def test_{reason.name.lower()}():\n    raise NotJudged(Reason.{reason.name}, 'the line', do='do')\n"
        for reason in Reason
    )
    ended = ran(suite, workers, checks)
    assert {ended.verdicts[f"tier_a/{reason.name.lower()}"] for reason in Reason} == {f"error ({r})" for r in Reason}
    assert ended.code == 3
    assert {ended.junit[reason.name.lower()] for reason in Reason} == {"error"}
    assert ended.lastfailed == {reason.name.lower() for reason in Reason}


@WORKERS
def test_nothing_applicable_is_not_green(suite: Suite, workers: tuple[str, ...]) -> None:
    ended = ran(suite, workers, "def test_it():\n    raise NotApplicable('another cloud')", "-m", "tier_a")
    assert ended.verdicts == {"tier_a/it": "not applicable"}
    assert ended.code == 3
    assert "NOT PROVEN     tier_a/it: another cloud" in ended.out


@BOTH
def test_stopped_by_x(suite: Suite, workers: tuple[str, ...]) -> None:
    later = "def test_it():\n    assert 0, 'no'\n" + "".join(f"def test_later{n}():\n    assert n\n" for n in "123")
    ended = suite.write(tier_a=later).pytest(*workers, "-x")
    assert ended.code == 1
    assert ended.verdicts["tier_a/it"] == "fail"
    assert ended.verdicts["tier_a/later3"] == "error (stopped)"
    assert "later3" not in ended.junit


@WORKERS
def test_maxfail_and_last_failed(suite: Suite, workers: tuple[str, ...]) -> None:
    first = ran(suite, workers, "def test_it():\n    assert 0\ndef test_other():\n    assert 1\n", "--maxfail=2")
    assert first.code == 1
    again = suite.pytest(*workers, "--lf")
    assert again.verdicts == {"tier_a/it": "fail"}


@WORKERS
def test_after_a_green_run_last_failed_repeats_nothing(suite: Suite, workers: tuple[str, ...]) -> None:
    assert ran(suite, workers, "def test_it():\n    assert 1\n").code == 0
    again = suite.pytest(*workers, "--lf")
    assert (again.code, again.verdicts) == (5, {}), again.out


@WORKERS
def test_collection_error_ends_the_run_before_anything_runs(suite: Suite, workers: tuple[str, ...]) -> None:
    ended = suite.write(infra=FINE, tier_a="import nothing_of_that_name\n").pytest(*workers)
    assert ended.code == 3, ended.out
    assert ended.run == {}
    assert ended.out.count("No module named 'nothing_of_that_name'") >= 1
    assert " passed" not in ended.out


@WORKERS
def test_nothing_runs_beside_a_collection_error(suite: Suite, workers: tuple[str, ...]) -> None:
    suite.write(infra=FINE, tier_a="import nothing_of_that_name\n")
    ended = suite.pytest(*workers, "--continue-on-collection-errors")
    assert ended.code == 3, ended.out
    assert "INTERNALERROR" not in ended.out
    assert " passed" not in ended.out


@WORKERS
def test_misspelt_marker_is_a_usage_error(suite: Suite, workers: tuple[str, ...]) -> None:
    ended = ran(suite, workers, FINE, "-m", "tier_q")
    assert ended.code == 4
    assert "ERROR: -m 'tier_q': no marker is called tier_q; phases: infra, tier_a" in ended.out
    assert "INTERNALERROR" not in ended.out


@WORKERS
@pytest.mark.parametrize("selection", [("-k", "nowhere"), ("-m", "tier_a and aws")], ids=["k", "m"])
def test_empty_selection(suite: Suite, workers: tuple[str, ...], selection: tuple[str, str]) -> None:
    assert ran(suite, workers, FINE, *selection).code == 5


def test_optimised_python_is_refused(suite: Suite) -> None:
    ended = suite.write(tier_a=FINE).pytest(PYTHONOPTIMIZE="1")
    assert ended.code == 4
    assert "python -O removes every assertion" in ended.out


def test_collect_only_needs_nothing(suite: Suite) -> None:
    ended = ran(suite, (), FINE, "--collect-only", "-q")
    assert ended.code == 0
    assert "tests/test_tier_a.py::test_fine" in ended.out
    assert not (suite.folder / ".seatrial").exists()


def test_what_disturbs_others_is_asked_for_by_name(suite: Suite) -> None:
    marked = "@pytest.mark.disruptive\ndef test_{}():\n    assert 1\n"
    suite.write(infra=FINE, tier_a=HEAD + marked.format("one") + marked.format("two"))
    ended = suite.pytest("--disruptive", "tier_a/two")
    assert ended.verdicts == {"infra/fine": "pass", "tier_a/one": "not applicable", "tier_a/two": "pass"}
    assert "it runs with --disruptive tier_a/one alone" in ended.out
    refused = suite.pytest("--disruptive", "tier_a/tow", "-m", "infra")
    assert refused.code == 4
    assert "--disruptive 'tier_a/tow': no disruptive check is called so; did you mean tier_a/two?" in refused.out
    assert not refused.verdicts


KILLED = {
    "set-up": "@pytest.fixture\ndef f():\n    os.kill(os.getpid(), 9)\ndef test_it(f):\n    pass\n",
    "call": "def test_it():\n    os.kill(os.getpid(), 9)\n",
    "teardown": "@pytest.fixture\ndef f():\n    yield\n    os.kill(os.getpid(), 9)\ndef test_it(f): assert not f\n",
}


@pytest.mark.parametrize("where", KILLED)
def test_killed_worker(suite: Suite, where: str) -> None:
    """Its checks are errors, of both phases that it had; the others go on, and what no worker had yet is still run."""
    killer = "import os\n" + HEAD + KILLED[where] + "def test_after():\n    assert 1\n"
    waits = {"control_plane": "import time\n" + FINE + "    time.sleep(0.5)\n"}
    rest = dict.fromkeys(("ome", "preflight", "tier_a", "tier_b"), FINE)
    ended = suite.write(infra=killer, **waits, **rest).pytest("-n", "2")
    assert ended.code == 3
    assert set(ended.verdicts.values()) == {"pass", "error (worker)"}, ended.out
    assert (ended.verdicts["infra/it"], ended.verdicts["infra/after"]) == ("error (worker)", "error (worker)")
    passed = {check for check, verdict in ended.verdicts.items() if verdict == "pass"}
    assert passed >= {"preflight/fine", "control_plane/fine", "ome/fine", "tier_b/fine"}, ended.out
    assert len(ended.verdicts) == 7
    assert {"it", "after"} <= ended.lastfailed
    assert "INTERNALERROR" not in ended.out


def test_worker_killed_after_its_last_check(suite: Suite) -> None:
    """All its checks had reported; a worker that ends badly is never 0 all the same."""
    last = "import os, pytest\n@pytest.fixture(scope='session')\ndef f():\n    yield 1\n    os.kill(os.getpid(), 9)\n"
    ended = suite.write(infra=FINE, tier_a=last + "def test_it(f):\n    assert f\n").pytest("-n", "2")
    assert ended.code == 3, ended.out
    assert "WORKER DIED" in ended.out


WAITING = "open('here', 'w').close(); time.sleep(30)\n"
INTERRUPTED = {
    "set-up": f"@pytest.fixture\ndef f():\n    {WAITING}def test_it(f):\n    pass\n",
    "call": f"def test_it():\n    {WAITING}",
    "teardown": f"@pytest.fixture\ndef f():\n    yield\n    {WAITING}def test_it(f):\n    assert not f\n",
}


@BOTH
@pytest.mark.parametrize("where", INTERRUPTED)
def test_ctrl_c(suite: Suite, workers: tuple[str, ...], where: str) -> None:
    import os
    import signal

    text = "import time\n" + HEAD + INTERRUPTED[where] + "def test_after():\n    assert 1\n"
    suite.write(tier_a=text)

    def interrupt(process: object) -> None:
        suite.await_file("here")
        os.killpg(process.pid, signal.SIGINT)  # type: ignore[attr-defined]

    ended = suite.pytest(*workers, during=interrupt)
    assert ended.code == 2, ended.out
    assert ended.verdicts["tier_a/after"] == "error (interrupted)"
    assert set(ended.verdicts) == {"tier_a/it", "tier_a/after"}
    assert "STILL RUNNING" not in ended.out
