"""The target: which cluster it is, whether somebody named it, and one clear line where it cannot be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.settings import Settings
from seatrial.target import Target, resolve
from seatrial.verdict import BadSettings

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def kubeconfig(path: Path, *contexts: str, current: str = "", namespace: str = "") -> str:
    """Writes a kubeconfig with a cluster and a user for each context; the path as the environment gives it."""
    entry = {"namespace": namespace} if namespace else {}
    content = {
        "current-context": current,
        "contexts": [{"name": one, "context": {"cluster": one, "user": one, **entry}} for one in contexts],
        "clusters": [{"name": one, "cluster": {"server": f"https://{one}.example:6443"}} for one in contexts],
        "users": [{"name": one, "user": {"token": f"token-of-{one}"}} for one in contexts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return str(path)


def find(
    cwd: Path, environ: Mapping[str, str] | None = None, *, needs: bool = True, writes: bool = True, **options: Any
) -> Target:
    environ = {"HOME": str(cwd), **(environ or {})}
    settings = Settings.load(options, environ, cwd)
    return resolve(settings, environ, needs_cluster=needs, writes=writes, service_account=cwd / "serviceaccount")


def refusal(cwd: Path, environ: Mapping[str, str] | None = None, **options: Any) -> str:
    """Line, source and advice of the refusal, as one text; each must be a single line."""
    with pytest.raises(BadSettings) as caught:
        find(cwd, environ, **options)
    error = caught.value
    assert error.line
    assert error.do
    assert "\n" not in error.line + error.source + error.do
    return f"{error.line} [{error.source}] {error.do}"


# -- what counts as named ---------------------------------------------------------------------------------------------


def test_a_context_on_the_command_line_is_named(tmp_path: Path) -> None:
    kubeconfig(tmp_path / ".kube/config", "prod", "staging", current="staging", namespace="models")
    target = find(tmp_path, context="prod")
    assert (target.context, target.named, target.server) == ("prod", True, "https://prod.example:6443")
    assert target.kubeconfig == str(tmp_path / ".kube/config")
    assert target.describe() == (
        "context prod (https://prod.example:6443; --context), namespace models (of the context prod)"
    )
    assert find(tmp_path, context="prod", namespace="other").describe().endswith("namespace other (--namespace)")


def test_a_target_of_the_settings_file_is_named(tmp_path: Path) -> None:
    kubeconfig(tmp_path / "ours", "prod", "staging", current="staging")
    (tmp_path / "seatrial.yaml").write_text("targets: {live: {kubeconfig: ours, context: prod, namespace: models}}")
    target = find(tmp_path, target="live")
    assert (target.context, target.named, target.by) == ("prod", True, "seatrial.yaml: targets.live.context")
    assert (target.namespace, target.namespace_source) == ("models", "seatrial.yaml: targets.live.namespace")


def test_a_kubeconfig_of_its_own_with_one_context_is_named(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": kubeconfig(tmp_path / "one", "only")}
    target = find(tmp_path, environ)
    assert (target.context, target.named) == ("only", True)
    assert target.describe() == (
        "context only (https://only.example:6443; the only context of KUBECONFIG (environment)), namespace to be found"
    )


def test_the_current_context_alone_is_good_for_reading_only(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": kubeconfig(tmp_path / "shared", "prod", "staging", current="my prod")}
    kubeconfig(tmp_path / "shared", "my prod", "staging", current="my prod")
    assert refusal(tmp_path, environ) == (
        "this run writes, and nothing but the kubeconfig's current context says where: my prod "
        "[the current context of KUBECONFIG (environment)] "
        "if that is the one: --context 'my prod'; --read-only may use it as it is"
    )
    target = find(tmp_path, environ, writes=False)
    assert (target.context, target.named) == ("my prod", False)
    assert "not named: good for reading only" in target.describe()


def test_the_users_own_kubeconfig_names_nothing_by_itself(tmp_path: Path) -> None:
    kubeconfig(tmp_path / ".kube/config", "only", current="only")
    assert "--context only" in refusal(tmp_path)
    assert not find(tmp_path, writes=False).named


def test_being_in_the_cluster_is_named(tmp_path: Path) -> None:
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text("t")
    target = find(tmp_path, IN_CLUSTER)
    assert (target.in_cluster, target.named, target.namespace) == (True, True, "")
    (account / "namespace").write_text("models\n")
    target = find(tmp_path, {**IN_CLUSTER, "KUBERNETES_SERVICE_HOST": "fd00::1"})
    assert target.describe() == "the cluster this runs in (https://[fd00::1]:443), namespace models (of this pod)"
    assert "the context 'prod' is named, and there is no kubeconfig" in refusal(tmp_path, IN_CLUSTER, context="prod")


def test_a_gateway_without_a_cluster_is_named(tmp_path: Path) -> None:
    target = find(tmp_path, {"GATEWAY_URL": "http://gateway.example"}, no_cluster=True)
    assert (target.has_cluster, target.named) == (False, True)
    assert target.describe() == "no cluster, gateway http://gateway.example (GATEWAY_URL (environment))"


def test_credentials_in_a_url_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="gateway_url holds a user or a password") as caught:
        find(tmp_path, {"GATEWAY_URL": "http://someone:pass-word@gateway.example"}, no_cluster=True)
    assert "pass-word" not in str(caught.value)


# -- bad input --------------------------------------------------------------------------------------------------------


def test_no_kubeconfig_outside_a_cluster_names_the_option(tmp_path: Path) -> None:
    assert "there is no kubeconfig, and this is no pod of a cluster" in refusal(tmp_path)
    assert "--no-cluster, with GATEWAY_URL" in refusal(tmp_path)
    assert "--no-cluster, with GATEWAY_URL" in refusal(tmp_path, {"GATEWAY_URL": "http://x"}, needs=False)
    missing = refusal(tmp_path, {"KUBECONFIG": "gone"})
    assert missing.startswith(f"there is no kubeconfig: {tmp_path}/gone [KUBECONFIG (environment)]")
    assert not find(tmp_path, {"GATEWAY_URL": "http://x"}, needs=False, writes=False).has_cluster


def test_a_context_that_does_not_exist_shows_the_choices(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": kubeconfig(tmp_path / "k", "production", "staging")}
    near = refusal(tmp_path, environ, context="prodution")
    assert "there is no context 'prodution' in KUBECONFIG (environment) [--context]" in near
    assert "did you mean production?" in near
    assert "choose one of: production, staging" in refusal(tmp_path, environ, context="x")
    assert "--context with one of: production, staging" in refusal(tmp_path, environ, writes=False)


def test_without_a_cluster_the_gateway_must_be_given(tmp_path: Path) -> None:
    assert "gateway_url is not given [--no-cluster] export GATEWAY_URL=…" in refusal(tmp_path, no_cluster=True)
    both = refusal(tmp_path, {"GATEWAY_URL": "http://x"}, no_cluster=True, context="prod")
    assert "[--context and --no-cluster] leave one of them away" in both


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("contexts: [", "is no YAML: line 1"),
        ("- a", "holds no mapping"),
        ("contexts: prod", "is no kubeconfig: its contexts are no list"),
        ("contexts: [{name: prod, context: prod}]", "is no kubeconfig: its contexts are no list"),
        ("contexts: [{name: prod}]", "names the cluster None, which is not there"),
        ("contexts: [{name: prod, context: {cluster: c, user: u}}]", "names the cluster 'c', which is not there"),
        (
            "contexts: [{name: prod, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://x'}}]",
            "names the user 'u', which is not there",
        ),
        (
            "contexts: [{name: prod, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: x}}]",
            "has no server that is a URL",
        ),
        ("", "this kubeconfig has no context"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "k").write_text(content)
    assert said in refusal(tmp_path, {"KUBECONFIG": str(tmp_path / "k")})


def test_a_kubeconfig_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in refusal(tmp_path, {"KUBECONFIG": str(tmp_path)})
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be read: Too many levels" in refusal(tmp_path, {"KUBECONFIG": str(tmp_path / "loop")})


# -- several files ----------------------------------------------------------------------------------------------------


def test_several_kubeconfig_files_are_merged_the_first_holds(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "first", "prod", namespace="one")
    second = kubeconfig(tmp_path / "second", "prod", "staging", current="staging", namespace="two")
    environ = {"KUBECONFIG": os.pathsep.join((first, "", str(tmp_path / "gone"), second))}
    assert find(tmp_path, environ, context="prod").namespace == "one"
    target = find(tmp_path, environ, writes=False)
    assert (target.context, target.namespace) == ("staging", "two")
    assert target.kubeconfig == os.pathsep.join((first, second))
    assert "--context staging" in refusal(tmp_path, environ)
