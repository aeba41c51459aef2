"""The rights that a run needs: asked for before it, named when missing, and written down as roles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from api_server import write_config
from runner_account import runner
from sandboxes import Sandbox, judged
from scripted import Scripted, Spoken, answer

from seatrial import docs, rbac
from seatrial.commands import main
from seatrial.kube import Kube
from seatrial.model_engine.rights import RIGHTS
from seatrial.permissions import Permissions, Place, Right, ask, wanted
from seatrial.rbac import Used
from seatrial.record import Record, events
from seatrial.resources import DEPLOYMENTS, NAMESPACES, NODES, PODS, SCALED_OBJECTS, Asked
from seatrial.run import Run
from seatrial.verdict import Reason, Refused

PLACES = {Place.RELEASE: "models", Place.ENDPOINTS: "ends", Place.CLUSTER: ""}
TABLE = {
    "kube": (Right("get list", PODS), Right("get", PODS, sub="log", without="nothing is quoted")),
    "tier_a/x": (Right("list", PODS), Right("list", SCALED_OBJECTS, Place.ENDPOINTS), Right("get", PODS, sub="log")),
    "infra/nodes": (Right("list", NODES, Place.CLUSTER),),
}


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    record = Record(Run("t5k2m9x7qd", tmp_path / "t5k2m9x7qd"))
    yield record
    record.close()


def reviewing(*refused: str) -> Scripted:
    """An API server without KEDA that allows all but ``verb resource[/sub]``, and says who asks."""

    def say(spoken: Spoken) -> Iterable[bytes]:
        if spoken.method == "GET":
            return (answer(404, "404 page not found", kind="text/plain"),)
        review = json.loads(spoken.body)
        one = review["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (one["resource"], one.get("subresource"))))
        review["status"] = {"allowed": f"{one['verb']} {resource}" not in refused}
        return (answer(201, json.dumps(review)),)

    return Scripted(say)


def test_what_is_needed_is_asked_once() -> None:
    assert wanted(TABLE, {"nobody", "trial"}, PLACES) == []
    found = {str(one.asked): one for one in wanted(TABLE, {"kube", "tier_a/x"}, PLACES)}
    assert set(found) == {
        "get pods in namespace models",
        "list pods in namespace models",
        "list scaledobjects.keda.sh in namespace ends",
    }
    every = wanted(TABLE, TABLE, PLACES)
    logs = next(one for one in every if one.asked.subresource)
    assert (logs.by, logs.without) == (("kube", "tier_a/x"), ""), "who cannot do without it decides"
    assert {one.asked.namespace for one in every if one.asked.resource is NODES} == {""}


def test_what_is_missing_is_named_with_its_rule(tmp_path: Path, record: Record) -> None:
    with (
        reviewing("list nodes", "get pods/log") as server,
        Kube.connect(write_config(tmp_path / "config", server.url, {}), "prod", record=record, read_only=True) as kube,
    ):
        found = ask(kube, wanted(TABLE, {"kube", "infra/nodes", "tier_a/x"}, PLACES))
        harmless = ask(kube, wanted(TABLE, {"kube"}, PLACES))
    assert len(found.asked) == 4, "a kind that the cluster does not know is not asked for"
    with pytest.raises(Refused) as caught:
        found.require()
    assert caught.value.reason is Reason.PERMISSION
    assert caught.value.line == (
        '2 rights are missing: {apiGroups: [""], resources: ["nodes"], verbs: ["list"]} in the whole cluster; '
        '{apiGroups: [""], resources: ["pods/log"], verbs: ["get"]} in namespace models'
    )
    assert caught.value.source == "asked for by infra/nodes, kube, tier_a/x"
    assert harmless.require() == 2
    assert list(harmless.lines()) == [
        'right missing: {apiGroups: [""], resources: ["pods/log"], verbs: ["get"]} in namespace models; '
        "without it nothing is quoted"
    ]
    assert Permissions(()).require() == 0


def test_roles_are_those_of_the_record(tmp_path: Path, record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    with reviewing() as server:
        config = write_config(tmp_path / "config", server.url, {})
        with Kube.connect(config, "prod", record=record) as kube:
            kube.serves(DEPLOYMENTS)
            asked = ask(kube, wanted(TABLE, {"kube", "infra/nodes"}, PLACES))
    record.event("permissions", release="models", asked=asked.data())
    for verb, shown, namespace in (("get", "namespaces ends", ""), ("create", "pods ends", "ends")):
        record.event("kube", verb=verb, object=shown, namespace=namespace, status=200, ms=1)
    assert main(["rbac", "--set", f"record_directory={tmp_path}", "--run", "t5k2m9x7qd"]) == 0
    text = capsys.readouterr().out
    documents = list(yaml.safe_load_all(text))
    assert "*" not in text.replace("**", "")
    assert [(one["kind"], one["metadata"].get("namespace", "")) for one in documents] == [
        ("Role", "models"),
        ("RoleBinding", "models"),
        ("Role", "ends"),
        ("RoleBinding", "ends"),
        ("ClusterRole", ""),
        ("ClusterRoleBinding", ""),
    ]
    assert documents[2]["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},
    ]
    assert documents[1]["subjects"] == [{"kind": "ServiceAccount", "name": "seatrial", "namespace": "models"}]
    assert rbac.used(events(tmp_path / "t5k2m9x7qd")) >= {Used.of(one.asked) for one in asked.asked}


def test_a_run_that_judged_nothing_is_not_the_latest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One with a namespace that is not there has asked for it, and ended."""
    for run, namespace, phases in (("t5k2m9x7qa", "models", 1), ("t5k2m9x7qb", "modle", 0)):
        record = Record(Run(run, tmp_path / run))
        record.event("kube", verb="get", object=f"namespaces {namespace}", namespace="", status=404, ms=1)
        for _ in range(phases):
            record.event("phase", when="call", verdict="pass")
        record.close()
    assert main(["rbac", "--set", f"record_directory={tmp_path}"]) == 0
    assert "What run t5k2m9x7qa needed" in capsys.readouterr().out
    assert main(["rbac", "--set", f"record_directory={tmp_path}", "--run", "t5k2m9x7qb"]) == 0
    assert "modle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "nobody00"], "there is no record of run nobody00 in "),
        ([], "there is no record of a run that asked a cluster in "),
    ],
)
def test_a_run_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["rbac", "--set", f"record_directory={tmp_path}", *arguments])
    assert caught.value.code == 4
    assert said in capsys.readouterr().err


def test_the_roles_of_a_full_run_have_no_wildcard() -> None:
    for one in yaml.safe_load_all(docs.roles()):
        for rule in one.get("rules") or ():
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_a_right_in_one_namespace_is_enough_to_look_at_it() -> None:
    asked = Asked("get", NAMESPACES, "models")
    assert Used.of(asked) == ("models", "", "namespaces", "", "get")


# -- in runs ----------------------------------------------------------------------------------------------------------


def of_the_table(one: Sandbox) -> set[Used]:
    """What the table says that a full run needs there."""
    places = {Place.RELEASE: one.up["namespace"], Place.ENDPOINTS: one.up["endpoint_namespace"], Place.CLUSTER: ""}
    return {Used.of(each.asked) for each in wanted(RIGHTS, RIGHTS, places)}


@pytest.mark.prove
@pytest.mark.timeout(400)
def test_a_run_with_exactly_the_written_rights_is_green(released: Sandbox, tmp_path: Path) -> None:
    with runner(released, tmp_path / "kubeconfig") as environment:
        run = judged(tmp_path / "run", timeout=300, **environment)
    assert run.code == 0, run.out
    assert run.verdicts["preflight/permissions"] == "pass"
    assert "right missing" not in run.out
    assert not [one for one in run.events if one["kind"] == "kube" and one["status"] == 403]
    assert rbac.used(events(Path(run.run["record"]))) - of_the_table(released) == set()


@pytest.mark.prove
def test_rights_in_the_releases_namespace_only(released: Sandbox, tmp_path: Path) -> None:
    """That the endpoint serves is proven by the echo; what is left of it nobody can say."""
    home = released.up["namespace"]
    with runner(released, tmp_path / "kubeconfig", lambda one: one["metadata"].get("namespace") == home) as environment:
        run = judged(
            tmp_path / "run", "-k", "permissions or control_plane or tier_a and sync and not async", **environment
        )
    bad = {name: verdict for name, verdict in run.verdicts.items() if verdict != "pass"}
    assert bad == {
        "preflight/permissions": "error (permission)",
        "tier_a/nothing_of_sync_endpoint_is_left": "error (permission)",
    }, run.out
    assert 'the rule {apiGroups: ["apps"], resources: ["deployments"], verbs: ["list"]} is missing' in run.out
    assert "right missing: " in run.out.partition("tests/")[0]
    assert released.left(run.run["run"]) == []


def test_no_right_to_read_secrets(released: Sandbox, tmp_path: Path) -> None:
    """What helm knows is unknown then, and what a Secret holds; all else is judged."""
    with runner(released, tmp_path / "kubeconfig", without="secrets") as environment:
        run = judged(tmp_path / "run", "-m", "preflight or infra or control_plane", **environment)
    bad = {name: verdict for name, verdict in run.verdicts.items() if verdict not in ("pass", "not applicable")}
    assert bad == {
        "preflight/permissions": "error (permission)",
        "preflight/named_secrets_exist": "error (permission)",
    }, run.out
    assert 'resources: ["secrets"]' in run.out
    assert rbac.used(events(Path(run.run["record"]))) - of_the_table(released) == set()
