"""Settings: which layer holds, where a value came from, and one clear line for everything that is wrong."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial import mask, runbook
from seatrial.options import SETTINGS as FLAGS
from seatrial.payloads import overlaid, payload
from seatrial.resolves import check_resolves
from seatrial.secret import Secret, Token
from seatrial.settings import TABLE, Settings
from seatrial.sources import OPTIONS
from seatrial.verdict import BadSettings

ECHO = "model_engine/released/echo_endpoint"
REQUIREMENTS = "SEATRIAL_REQUIREMENTS"


def load(cwd: Path, environ: Mapping[str, str] | None = None, **options: Any) -> Settings:
    return Settings.load(options, environ or {}, cwd)


def refusal(cwd: Path, environ: Mapping[str, str] | None = None, **options: Any) -> str:
    """Line, source and advice of the refusal, as one text; each must be a single line."""
    with pytest.raises(BadSettings) as caught:
        load(cwd, environ, **options)
    error = caught.value
    assert error.line
    assert error.do
    assert "\n" not in error.line + error.source + error.do
    return f"{error.line} [{error.source}] {error.do}"


@pytest.fixture
def values(tmp_path: Path) -> list[str]:
    (tmp_path / "values.yaml").write_text("config: {values: {launch: {endpoint_namespace: from-values}}}")
    return ["values.yaml"]


# -- the order of the layers ------------------------------------------------------------------------------------------


def test_each_layer_stands_above_the_next(tmp_path: Path, values: list[str]) -> None:
    file = tmp_path / "seatrial.yaml"
    assert load(tmp_path).endpoint_namespace is None
    assert load(tmp_path, values=values).endpoint_namespace == "from-values"
    file.write_text("endpoint_namespace: from-file\ntargets: {prod: {endpoint_namespace: from-target}}")
    assert load(tmp_path, values=values).endpoint_namespace == "from-file"
    assert load(tmp_path, values=values, target="prod").endpoint_namespace == "from-target"
    environ = {"ENDPOINT_NAMESPACE": "from-environment"}
    assert load(tmp_path, environ, values=values, target="prod").endpoint_namespace == "from-environment"
    assert load(tmp_path, environ, set=["endpoint_namespace=from-set"]).endpoint_namespace == "from-set"


def test_discovery_stands_above_the_defaults_alone(tmp_path: Path, values: list[str]) -> None:
    settings = load(tmp_path, values=values)
    found = settings.discovered(
        {
            "endpoint_namespace": ("elsewhere", "ConfigMap models/model-engine-service-config"),
            "namespace": ("models", "Deployment models/model-engine"),
            "contract": ("released", "the gateway's OpenAPI document"),
        }
    )
    assert (found.endpoint_namespace, found.namespace, found.contract) == ("from-values", "models", "released")
    assert found.source("namespace") == "discovered in Deployment models/model-engine"
    assert settings.namespace is None
    assert found.token is settings.token


def test_every_value_knows_its_source(tmp_path: Path, values: list[str]) -> None:
    (tmp_path / "seatrial.yaml").write_text("contract: released\ntargets: {prod: {context: prod-admin}}")
    environ = {"GATEWAY_URL": "http://localhost:8080/", "NAMESPACE": ""}
    given = {"set": ["settle=3"], "timeout_factor": "0.5", "read_only": True, "no_cluster": False, "target": "prod"}
    settings = load(tmp_path, environ, values=values, **given)
    assert {name: settings.source(name) for name in settings.given} | {
        "task_timeout": settings.source("task_timeout")
    } == {
        "target": "--target",
        "context": "seatrial.yaml: targets.prod.context",
        "read_only": "--read-only",
        "endpoint_namespace": "values.yaml: config.values.launch.endpoint_namespace (--values)",
        "gateway_url": "GATEWAY_URL (environment)",
        "contract": "seatrial.yaml: contract",
        "timeout_factor": "--timeout-factor",
        "settle": "--set settle=…",
        "task_timeout": "default",
    }
    assert (settings.gateway_url, settings.settle, settings.timeout_factor) == ("http://localhost:8080", 3.0, 0.5)
    assert settings.longest_check() == (1500 + 900 + 330 + 30) * 0.5


def test_paths_start_where_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team/ours.yaml").write_text("kubeconfig: [a, /b]\nauth_token_file: token\nrecord_directory: ~/r")
    settings = load(tmp_path, settings="team/ours.yaml")
    assert settings.kubeconfig == (tmp_path / "team/a", Path("/b"))
    assert settings.auth_token_file == tmp_path / "team/token"
    assert settings.record_directory == Path.home() / "r"
    assert load(tmp_path, {"KUBECONFIG": f"x{os.pathsep}y"}).kubeconfig == (tmp_path / "x", tmp_path / "y")
    assert load(tmp_path).record_directory == tmp_path / ".seatrial"


def test_values_are_merged_as_helm_merges_them(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "tag: 1.9\nimage: {gatewayRepository: registry.example/model-engine, pullPolicy: Always}\n"
        "fullnameOverride: ours\nserviceIdentifier: two\nconfig: {values: {launch: {endpoint_namespace: a}}}\n"
    )
    (tmp_path / "more.yaml").write_text(
        "fullnameOverride: null\nimage: {pullPolicy: Never}\nconfig: {values: {launch: {endpoint_namespace: b}}}\n"
    )
    first = load(tmp_path, values=["base.yaml"])
    assert first.release == "ours"
    both = load(tmp_path, values=["base.yaml", "more.yaml"])
    assert both.model_engine_image_repository == "registry.example/model-engine"
    assert both.source("model_engine_image_repository") == "base.yaml: image.gatewayRepository (--values)"
    assert both.model_engine_image_tag == "1.9"
    assert (both.endpoint_namespace, both.release) == ("b", "model-engine-two")
    assert both.source("endpoint_namespace").startswith("more.yaml: ")


def test_a_null_or_a_scalar_replaces_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("image: {gatewayRepository: r}\ntag: t")
    (tmp_path / "b.yaml").write_text("image: null\ntag: null")
    (tmp_path / "c.yaml").write_text("image: {gatewayRepository: s}\ntag: u")
    assert load(tmp_path, values=["a.yaml", "b.yaml"]).model_engine_image_repository is None
    assert load(tmp_path, values=["a.yaml", "b.yaml", "c.yaml"]).model_engine_image_repository == "s"
    (tmp_path / "d.yaml").write_text("image: r:t")
    assert "image is a text, not a mapping" in refusal(tmp_path, values=["a.yaml", "d.yaml"])
    for text, said in (
        ("azure: yes", "azure is a truth value, not a mapping"),
        ("nodeSelector: gpu", "nodeSelector is a text, not a mapping"),
        ("config: {values: {infra: [a]}}", "config.values.infra is a list, not a mapping"),
        ("extraEnvVars: {A: b}", "extraEnvVars is a mapping, not a list"),
        ("tolerations: [gpu]", "an item of tolerations is a text, not a mapping"),
        ("imagePullSecrets: mirror", "imagePullSecrets is a text, not a list"),
    ):
        (tmp_path / "d.yaml").write_text(text)
        assert f"d.yaml: {said} [--values]" in refusal(tmp_path, values=["a.yaml", "d.yaml"])
    (tmp_path / "e.yaml").write_text("tag: [t]")
    assert "e.yaml: tag is no single value" in refusal(tmp_path, values=["e.yaml"])


def test_what_a_sandbox_says_is_mixed_with_no_other_deployment(tmp_path: Path) -> None:
    (tmp_path / "seatrial.yaml").write_text("namespace: theirs\nsettle: 7\nauth_token_file: theirs")
    sandbox = {"context": "sandbox", "auth_token": "sandbox-user", "timeout_factor": "0.2"}
    environ = {"GATEWAY_URL": "http://theirs.example", "KUBECONFIG": "/theirs"}
    settings = load(
        tmp_path, environ, sandbox=sandbox, set=["model_engine_image_tag=x", "model_engine_image_repository=y"]
    )
    assert (settings.gateway_url, settings.namespace, settings.kubeconfig) == (None, None, None)
    assert (settings.context, settings.source("context")) == ("sandbox", "--sandbox")
    assert settings.token.value().reveal() == "sandbox-user"
    assert (settings.settle, settings.timeout_factor, settings.model_engine_image_tag) == (7, 0.2, "x")
    assert load(tmp_path, sandbox=sandbox, timeout_factor="3").timeout_factor == 3
    assert "[--context and --sandbox]" in refusal(tmp_path, sandbox=sandbox, context="prod")
    assert "[--target and --sandbox]" in refusal(tmp_path, sandbox=sandbox, target="prod")


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("gatewayurl=x", "did you mean gateway_url?"),
        ("GATEWAY_URL=http://x", "did you mean gateway_url?"),
        ("token_file=x", "did you mean auth_token_file?"),
        ("timeout-factor=2", "did you mean timeout_factor?"),
        ("zzz=1", "choose one of: asb_namespace, "),
        ("vllm_pod_name=x", "leave it away, the suite finds it"),
        ("pod=x", "the suite finds it"),
        ("settle", "--set 'settle' gives no value [--set] write --set SETTING=VALUE"),
        ("=3", "--set '=3' gives no value"),
        ("auth_token=a-real-secret", "[--set auth_token=…] export AUTH_TOKEN"),
        ("target=prod", "[--set target=…] type --target NAME"),
        ("settle=soon", "settle 'soon' is no number above 0 [--set settle=…] give a number of seconds"),
        ("settle=0", "is no number above 0"),
        ("settle=inf", "is no number above 0"),
        ("read_only=perhaps", "is neither true nor false"),
        ("contract=new", "write one of auto, documented, released"),
        ("namespace=My_Namespace", "is no Kubernetes name"),
        ("namespace=", "namespace '' is empty [--set namespace=…] give it a value, or leave it away"),
        ("namespace={your-namespace}", "is a placeholder of the runbook"),
        ("gateway_url=http://model-engine.{NAMESPACE}.svc", "still holds the placeholder {NAMESPACE}"),
        ("gateway_url=htp://x", "is no http or https URL"),
        ("gateway_url=gateway.example", "is no http or https URL"),
        ("gateway_url=http://x:99999", "is malformed: Port out of range"),
        ("gateway_url=http://x:80x", "is malformed: Port could not be cast"),
        ("gateway_url=http://[::1", "is malformed: Invalid IPv6 URL"),
        ("gateway_url=http://a..b", "is malformed: "),
        ("gateway_url=http://x y", "holds a blank"),
        ("gateway_url=http://x?a=b", "has a query"),
        ("gateway_url=http://me:a-real-secret@x y", "gateway_url holds a blank"),
        ("ca_bundle=/nowhere/ca.pem", "cannot be read: No such file or directory"),
        ("record_directory=~nobody-of-that-name/x", "home of a user that does not exist"),
        ("asb_secret_name=../pods", "asb_secret_name '../pods' is no Kubernetes name"),
        ("asb_secret_name=My_Secret", "is no Kubernetes name"),
        ("model_engine_service_account=a/b", "is no Kubernetes name"),
        ("asb_namespace=https://x.servicebus.windows.net/", "is no name of a host"),
        ("broker_redis_host=redis://x", "is no name of a host"),
        ("redis_host=x:6379", "is no name of a host"),
        ("redis_host=[fd00::5]:6379", "is no name of a host"),
        ("model_engine_image_repository=r:1.9", "is no image repository"),
        ("model_engine_image_tag=a b", "is no image tag"),
        (
            "auth_token_command='a-real-secret",
            "auth_token_command cannot be split into arguments: No closing quotation",
        ),
        ("overlays=probe", "overlays 'probe' is a text, not a mapping"),
        ("overlays={model_engine/released/echo_endpont: {a: 1}}", "did you mean model_engine/released/echo_endpoint?"),
        (f"overlays={{{ECHO}: 3}}", "holds a number for model_engine/released/echo_endpoint, not a mapping"),
        (f"overlays={{{ECHO}: {{cpus: {{a: b}}}}}}", f"holds a mapping for {ECHO}: cpus, not a plain value"),
        ("overlays={probe/pod: {metadata: 3}}", "holds a number for probe/pod: metadata, not a mapping"),
        ("overlays={probe/pod: {spec: {nodeSelector: gpu}}}", "holds a text for probe/pod: spec: nodeSelector, not a"),
        ("overlays={probe/pod: {spec: {containers: {name: probe}}}}", "probe/pod: spec: containers, not a list"),
        ("overlays={probe/pod: {spec: {containers: [x]}}}", "holds a text for probe/pod: spec: containers, not a map"),
        (
            "overlays={probe/pod: {spec: {containers: [{name: probe, resources: 1Gi}]}}}",
            "holds a text for probe/pod: spec: containers: resources, not a mapping",
        ),
        (f"overlays={{{ECHO}: {{name: x}}}}", "sets name of model_engine/released/echo_endpoint, by which"),
        (f"overlays={{{ECHO}: {{metadata: {{labels: {{seatrial.dev/run: x}}}}}}}}", "sets seatrial.dev/run of"),
        ("overlays={a: ", "is no YAML"),
        ("expect=aws", "expect 'aws' is a text, not a mapping"),
        ("expect={clod: aws}", "knows no 'clod' [--set expect=…] did you mean cloud?"),
        ("expect={cloud: asw}", "has 'asw' for cloud, which is none [--set expect=…] did you mean aws?"),
        ("expect={gpu: 8}", "has 8 for gpu [--set expect=…] write none, or a vendor and a number"),
        ("expect={gpu: intel>=1}", "has 'intel>=1' for gpu"),
        (
            "expect={products: ome}",
            "has 'ome' for products, which is none [--set expect=…] choose one of: model_engine",
        ),
        ("expect={registries: [1]}", "holds a number in registries, not a text"),
        ("model_engine_image_tag=1.9", "model_engine_image_tag is given, model_engine_image_repository is not"),
    ],
)
def test_a_wrong_pair_is_refused_in_one_line(tmp_path: Path, pair: str, said: str) -> None:
    found = refusal(tmp_path, set=[pair])
    assert said in found
    assert "a-real-secret" not in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "gateway_ulr: http://x",
            "there is no setting 'gateway_ulr' [seatrial.yaml: gateway_ulr] did you mean gateway_url?",
        ),
        ("auth_token: a-real-secret", "[seatrial.yaml: auth_token] export AUTH_TOKEN"),
        (
            "model_engine_image_tag: 1.9",
            "is a number in YAML, not text [seatrial.yaml: model_engine_image_tag] put it in quotes",
        ),
        ("namespace: [a]", "is a list in YAML"),
        ("settle: true", "is no number above 0"),
        ("auth_token_command: [a, 1]", "holds something that is no text"),
        ("auth_token_command: []", "names no program"),
        ("targets: {prod: {contxt: x}}", "[seatrial.yaml: targets.prod.contxt] did you mean context?"),
        ("targets: prod", "targets is no mapping"),
        ("targets: {prod: x}", "seatrial.yaml: the target 'prod' has no settings"),
        ("targets: {prod: }", "seatrial.yaml: the target 'prod' has no settings"),
        ("a: b: c", "is no YAML: line 1, column 5: mapping values are not allowed here"),
        ("namespace: 'a", "is no YAML: line 1"),
        ("on: 2026-13-45", "is no YAML: month must be in 1..12"),
        ("- a", "holds no mapping"),
        ("auth_token_file: a\nauth_token_command: b", "more than one token is given"),
    ],
)
def test_a_wrong_settings_file_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "seatrial.yaml").write_text(text)
    found = refusal(tmp_path)
    assert said in found
    assert "a-real-secret" not in found


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "missing.yaml cannot be read: No such file" in refusal(tmp_path, settings="missing.yaml")
    assert "missing.yaml cannot be read: No such file" in refusal(tmp_path, values=["missing.yaml"])
    assert "cannot be read: Is a directory" in refusal(tmp_path, values=["."])
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "is no text" in refusal(tmp_path, values=["bytes.yaml"])
    (tmp_path / "seatrial.yaml").write_text("")
    assert load(tmp_path).namespace is None


def test_targets_are_chosen_by_name(tmp_path: Path) -> None:
    assert "there is no" in refusal(tmp_path, target="prod")
    for without in ("targets:", "targets: {}", "{}", ""):
        (tmp_path / "seatrial.yaml").write_text(without)
        said = refusal(tmp_path, target="prod")
        assert said == "seatrial.yaml names no target 'prod' [--target] write it into seatrial.yaml, under 'targets:'"
    (tmp_path / "seatrial.yaml").write_text("targets: {production: {context: p}, staging: {context: s}}")
    assert load(tmp_path, target="staging").context == "s"
    assert "names no target 'prodution' [--target] did you mean production?" in refusal(tmp_path, target="prodution")
    assert "choose one of: production, staging" in refusal(tmp_path, target="x")


def test_half_an_image_names_the_other_half(tmp_path: Path) -> None:
    found = refusal(tmp_path, {"MODEL_ENGINE_IMAGE_REPOSITORY": "r"})
    assert "model_engine_image_repository is given, model_engine_image_tag is not" in found
    assert "[MODEL_ENGINE_IMAGE_REPOSITORY (environment)] export MODEL_ENGINE_IMAGE_TAG=…" in found
    (tmp_path / "v.yaml").write_text("image: {gatewayRepository: r}")
    half = load(tmp_path, values=["v.yaml"])  # helm's own --set gave the tag: discovery will find it
    assert half.discovered({"model_engine_image_tag": ("t", "Deployment a/b")}).model_engine_image_tag == "t"
    assert "model_engine_image_tag is not" in refusal(tmp_path, values=["v.yaml"], no_cluster=True)


def test_what_a_check_needs_is_asked_for_by_its_ways(tmp_path: Path) -> None:
    settings = load(tmp_path)
    with pytest.raises(BadSettings) as caught:
        settings.need(settings.gateway_url, "gateway_url")
    assert caught.value.do == "export GATEWAY_URL=…, or use --set gateway_url=… or gateway_url in seatrial.yaml"
    assert settings.need(settings.contract, "contract") == "auto"


def test_a_gateway_that_does_not_resolve_from_here(tmp_path: Path) -> None:
    environ = {"GATEWAY_URL": "http://model-engine.models.svc.cluster.local"}
    for options, do in (({}, "leave GATEWAY_URL away"), ({"no_cluster": True}, "kubectl port-forward its Service")):
        settings = load(tmp_path, environ, **options)
        with pytest.raises(BadSettings) as caught:
            check_resolves(settings)
        assert caught.value.line.startswith("model-engine.models.svc.cluster.local does not resolve from here: ")
        assert caught.value.source == "GATEWAY_URL (environment)"
        assert caught.value.do.startswith(do)
    for fine in ("http://127.0.0.1:1", "http://localhost"):
        check_resolves(load(tmp_path, {"GATEWAY_URL": fine}))
    check_resolves(load(tmp_path))


# -- the token --------------------------------------------------------------------------------------------------------


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("a-long-secret-of-the-team")
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert mask.masked("token a-long-secret-of-the-team!") == "token ***!"
    assert "a-long" not in repr(Token(secret))


def test_the_strongest_layer_that_gives_a_token_gives_it(tmp_path: Path) -> None:
    (tmp_path / "seatrial.yaml").write_text("auth_token_file: token")
    (tmp_path / "token").write_text("from-a-file\n")
    settings = load(tmp_path)
    assert (settings.token.value().reveal(), settings.token.source) == ("from-a-file", "seatrial.yaml: auth_token_file")
    settings = load(tmp_path, {"AUTH_TOKEN": "from-the-environment"})
    assert settings.token.value().reveal() == "from-the-environment"
    assert settings.auth_token_file is None
    assert "from-the" not in repr(settings)


def test_no_token_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="no token"):
        load(tmp_path, {"AUTH_TOKEN": ""}).token.value()
    assert "placeholder" in refusal(tmp_path, {"AUTH_TOKEN": "{your-auth-token}"})


def test_a_token_from_a_file_is_read_once_and_again_after_a_refusal(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = Token(file=file, source="AUTH_TOKEN_FILE (environment)")
    file.write_text("first\n")
    first = token.value()
    file.write_text("second\n")
    assert token.value() is first
    assert token.refetch(first)
    assert token.value().reveal() == "second"
    assert token.refetch(first), "another request has fetched it meanwhile"
    assert not token.refetch(token.value()), "the file still holds the refused one"
    file.unlink()
    with pytest.raises(BadSettings, match="cannot be read from"):
        token.refetch(token.value())


def test_a_token_from_the_environment_stays(tmp_path: Path) -> None:
    token = load(tmp_path, {"AUTH_TOKEN": "only-one"}).token
    assert not token.refetch(token.value())


def test_a_token_from_a_command_is_asked_for_lazily(tmp_path: Path) -> None:
    program = tmp_path / "print-token"
    program.write_text(
        f"#!{sys.executable}\nimport pathlib\np = pathlib.Path(__file__).with_name('n')\n"
        "n = int(p.read_text()) + 1 if p.exists() else 1\np.write_text(str(n))\nprint('token', n, sep='-')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    token = load(tmp_path, {"AUTH_TOKEN_COMMAND": str(program)}).token
    assert not (tmp_path / "n").exists()
    first = token.value()
    assert (first.reveal(), token.value().reveal()) == ("token-1", "token-1")
    assert token.refetch(first)
    assert token.value().reveal() == "token-2"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import sys; print('expired, log in again', file=sys.stderr); sys.exit(3)",
            "ended with 3: expired, log in again",
        ),
        ("import sys; sys.exit(1)", "ended with 1: without a word"),
        ("print()", "the token is empty"),
        ("print('Bearer abc')", "holds a blank"),
        ("print('a'); print('b')", "holds a blank or a character"),
        ("print('tök')", "that no header can"),
    ],
)
def test_a_command_that_gives_no_token(tmp_path: Path, program: str, said: str) -> None:
    token = Token(command=(sys.executable, "-X", "utf8", "-c", program), source="seatrial.yaml: auth_token_command")
    with pytest.raises(BadSettings) as caught:
        token.value()
    assert said in caught.value.line
    assert caught.value.source == "seatrial.yaml: auth_token_command"


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(BadSettings, match="cannot be started: No such file"):
        Token(command=("/nowhere/print-token",)).value()


# -- overlays ---------------------------------------------------------------------------------------------------------


def test_an_overlay_is_laid_over_what_is_sent(tmp_path: Path) -> None:
    patch = {"labels": {"product": None, "cost": "c1"}, "cpus": "2", "tags": ["${x}"]}
    (tmp_path / "seatrial.yaml").write_text(yaml.safe_dump({"overlays": {ECHO: patch}}))
    overlays = load(tmp_path).overlays
    values = {"name": "n", "bundle": "b", "kind": "sync", "run": "r", "expires": "e"}
    sent, plain = payload(ECHO, overlays, **values), payload(ECHO, **values)
    assert sent == plain | {"labels": {"team": "infra", "cost": "c1"}, "cpus": "2", "tags": ["${x}"]}
    assert payload("model_engine/documented/echo_endpoint", overlays, **values, repository="r", tag="t") == payload(
        "model_engine/documented/echo_endpoint", **values, repository="r", tag="t"
    )


@pytest.mark.parametrize(
    "overlay",
    [
        "{model_engine/chat: {messages: [{role: user, content: [{type: text, text: hi}]}]}}",
        "{probe/pod: {spec: {containers: [{name: injected, resources: {}, command: [a]}]}}}",
    ],
    ids=["content-in-parts", "another-name"],
)
def test_of_an_item_of_a_list_only_the_named_is_known(tmp_path: Path, overlay: str) -> None:
    """A message's content may be a text or parts."""
    settings = Settings.load({"set": [f"overlays={overlay}"]}, {}, tmp_path)
    assert settings.overlays


def test_named_things_in_an_overlay_are_merged_by_name() -> None:
    pod = {"spec": {"containers": [{"name": "probe", "image": "i"}], "tolerations": [{"key": "a"}]}}
    patch = {"containers": [{"name": "probe", "resources": {"limits": {"cpu": 1}}}], "tolerations": [{"key": "b"}]}
    patch |= {"imagePullSecrets": [{"name": "mirror"}]}
    assert overlaid("probe/pod", pod, {"probe/pod": {"spec": patch}})["spec"] == {
        "containers": [{"name": "probe", "image": "i", "resources": {"limits": {"cpu": 1}}}],
        "tolerations": [{"key": "b"}],
        "imagePullSecrets": [{"name": "mirror"}],
    }


# -- the runbook ------------------------------------------------------------------------------------------------------


def test_every_placeholder_of_the_runbook_is_accounted_for() -> None:
    if not (folder := os.environ.get(REQUIREMENTS)):
        pytest.skip(f"the runbook is not here: {REQUIREMENTS} names no folder")
    (document,) = Path(folder).glob("R0*.md")
    found = set(re.findall(r"\{([A-Z_]+)\}", document.read_text(encoding="utf-8")))
    assert found == set(runbook.PLACEHOLDERS)
    assert len(found) == 22


def test_a_placeholder_that_is_a_setting_is_given_under_its_own_name() -> None:
    for placeholder, account in runbook.PLACEHOLDERS.items():
        if isinstance(account, runbook.Setting):
            assert TABLE[account.name].env == placeholder


def test_every_option_of_a_setting_is_read() -> None:
    """One that argparse takes and nobody reads would be a wish that is granted to nobody."""
    flags = {flag.removeprefix("--").replace("-", "_") for flag, _ in FLAGS}
    assert flags & set(TABLE) == set(OPTIONS)
