"""What goes wrong at 2 a.m.: each gets one clear line, the right exit code, and never a traceback or a hang."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dummies import Ended
from sandboxes import Sandbox, judged, sandbox
from scripted import CLOSE, Scripted, Spoken

TOKEN = {"AUTH_TOKEN": "seatrial-tests"}
IMAGE = {"MODEL_ENGINE_IMAGE_REPOSITORY": "registry.local/model-engine", "MODEL_ENGINE_IMAGE_TAG": "1.9"}
NOWHERE = "http://127.0.0.1:9"


def one_line(run: Ended, code: int, line: str) -> None:
    """The run ended with `code`, and says `line`."""
    assert run.code == code, run.out
    assert line in run.out, run.out
    assert "Traceback" not in run.out
    assert "INTERNALERROR" not in run.out
    assert "STILL RUNNING" not in run.out
    assert not run.run.get("left"), run.out


def kubeconfig(folder: Path, server: str = "https://127.0.0.1:9", *names: str) -> str:
    """A kubeconfig with a context for each of `names`, all for `server`."""
    path = folder / "kubeconfig"
    names = names or ("prod",)
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": names[0],
                "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
                "users": [{"name": "u", "user": {"token": "token-of-a-test"}}],
                "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in names],
            }
        )
    )
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        pytest.param(("--set", "timout_factor=2"), {}, "timeout_factor", id="unknown-setting", marks=pytest.mark.prove),
        pytest.param(("--set", "timout_factor=2", "-n", "2"), {}, "timeout_factor", id="unknown-setting-n2"),
        pytest.param(
            ("--no-cluster",),
            {"GATEWAY_URL": "gateway.example", **TOKEN, **IMAGE},
            "GATEWAY_URL (environment)",
            id="malformed-url",
            marks=pytest.mark.prove,
        ),
        pytest.param((), {}, "ERROR: there is no kubeconfig, and this is no pod of a cluster; ", id="no-kubeconfig"),
        pytest.param(
            ("-n", "2"),
            {},
            "ERROR: there is no kubeconfig, and this is no pod of a cluster; ",
            id="no-kubeconfig-n2",
            marks=pytest.mark.prove,
        ),
        pytest.param(
            ("--context", "prod"),
            {},
            "ERROR: the context 'prod' is named, and there is no kubeconfig",
            id="context-without-kubeconfig",
            marks=pytest.mark.prove,
        ),
        pytest.param(("--no-cluster",), {"GATEWAY_URL": NOWHERE, **IMAGE}, "AUTH_TOKEN", id="no-token"),
        pytest.param(
            ("--no-cluster",),
            {"GATEWAY_URL": NOWHERE, **TOKEN},
            "MODEL_ENGINE_IMAGE_REPOSITORY",
            id="no-image",
            marks=pytest.mark.prove,
        ),
        pytest.param(
            ("--no-cluster",), {**TOKEN, **IMAGE}, "GATEWAY_URL", id="no-gateway-url", marks=pytest.mark.prove
        ),
        pytest.param(
            ("--no-cluster",),
            {"GATEWAY_URL": "http://model-engine.models.svc.cluster.local", **TOKEN, **IMAGE},
            "model-engine.models.svc.cluster.local does not resolve from here",
            id="does-not-resolve",
        ),
        pytest.param(
            ("--no-cluster",),
            {"GATEWAY_URL": "https://no-such-gateway.invalid", **TOKEN, **IMAGE},
            "no-such-gateway.invalid does not resolve from here",
            id="no-such-name",
            marks=pytest.mark.prove,
        ),
        pytest.param(
            ("--time-scale", "0.2"),
            {},
            "--time-scale is an option of the sandbox: give --sandbox, too",
            id="time-scale-alone",
            marks=pytest.mark.prove,
        ),
        pytest.param(("--sandbox=atlantis",), {}, "atlantis", id="unknown-word"),
    ],
)
def test_known_before_anything_runs(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], line: str
) -> None:
    run = judged(tmp_path, *arguments, HOME=str(tmp_path), **environment)
    one_line(run, 4, line)
    assert " passed" not in run.out
    assert run.run == {}


def test_a_kubeconfig_that_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("")
    run = judged(tmp_path, KUBECONFIG=str(path), **TOKEN)
    one_line(
        run, 4, "ERROR: this kubeconfig has no context (KUBECONFIG (environment)); name one that has: KUBECONFIG=…"
    )


def test_a_context_that_does_not_exist(tmp_path: Path) -> None:
    run = judged(tmp_path, "--context", "prdo", KUBECONFIG=kubeconfig(tmp_path), **TOKEN)
    one_line(run, 4, "prod")


def test_a_shared_kubeconfig_does_not_name_a_target(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path, "https://127.0.0.1:9", "prod", "staging")
    run = judged(tmp_path, KUBECONFIG=config, **TOKEN)
    one_line(run, 4, "--context prod")


def test_an_api_server_that_does_not_answer(tmp_path: Path) -> None:
    run = judged(tmp_path, KUBECONFIG=kubeconfig(tmp_path), **TOKEN)
    one_line(run, 3, "https://127.0.0.1:9")
    asked = {verdict for name, verdict in run.verdicts.items() if name != "tier_a/async_endpoint_survives_idle"}
    assert asked == {"error (unreachable)"}
    assert run.out.count("ERROR (unreachable)") == 1


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 16\r\n\r\n<html>502</html>"
LOGIN = b"HTTP/1.1 302 Found\r\nLocation: https://login.example/oauth2/start\r\nContent-Length: 0\r\n\r\n"
REFUSED = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n" + b'{"detail": "no"}\n'
)
TRUNCATED = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"model_endp'


@pytest.mark.parametrize(
    ("says", "code", "line"),
    [
        pytest.param((HTML,), 1, "HTML", id="html"),
        pytest.param((BAD_GATEWAY,), 1, "502", id="502", marks=pytest.mark.prove),
        pytest.param(
            *((TRUNCATED, CLOSE), 1, "breaks off in the middle of its answer"),
            id="truncated",
            marks=pytest.mark.prove,
        ),
        pytest.param(*((CLOSE,), 1, "closes the connection without an answer"), id="closes", marks=pytest.mark.prove),
        pytest.param(None, 1, "accepts the connection and does not answer within", id="never-answers"),
        pytest.param((LOGIN,), 3, "login.example", id="login-page"),
        pytest.param((REFUSED,), 3, "AUTH_TOKEN (environment)", id="token-refused", marks=pytest.mark.prove),
    ],
)
def test_a_gateway_that_is_none(tmp_path: Path, says: tuple[bytes, ...] | None, code: int, line: str) -> None:
    def say(spoken: Spoken) -> Iterator[bytes]:
        if says is None:
            server.over.wait(60)
        elif says == (REFUSED,) and spoken.path == "/healthz":
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        else:
            yield from says

    with Scripted(say) as server:
        run = judged(tmp_path, "--no-cluster", "--set", "request_timeout=5", GATEWAY_URL=server.url, **TOKEN, **IMAGE)
    one_line(run, code, line)
    assert server.url in run.out


def test_nobody_listens(tmp_path: Path) -> None:
    run = judged(tmp_path, "--no-cluster", GATEWAY_URL=NOWHERE, **TOKEN, **IMAGE)
    one_line(run, 1, f"the gateway at {NOWHERE} cannot be connected to: ")
    assert run.verdicts["control_plane/healthz"] == "fail"
    assert run.verdicts["tier_a/sync_task_echoes"] == "blocked"


def test_a_namespace_that_does_not_exist(tmp_path: Path, released: Sandbox) -> None:
    run = judged(tmp_path, "--namespace", "nowhere", **released.environment())
    one_line(run, 4, "ERROR: there is no namespace 'nowhere'")


def test_a_token_that_the_api_server_refuses(tmp_path: Path, released: Sandbox) -> None:
    config = yaml.safe_load(Path(released.up["kubeconfig"]).read_text())
    config["users"][0]["user"]["token"] = "expired-yesterday"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    run = judged(tmp_path, KUBECONFIG=str(path), AUTH_TOKEN=released.up["token"])
    one_line(run, 3, "ERROR (permission)")
    assert "expired-yesterday" not in run.out


def test_an_endpoint_namespace_that_does_not_exist(tmp_path: Path, released: Sandbox) -> None:
    run = judged(tmp_path, **released.environment(), ENDPOINT_NAMESPACE="nowhere")
    one_line(run, 4, "ERROR: there is no namespace 'nowhere'")


@pytest.mark.prove
def test_another_endpoint_namespace_proves_nothing(tmp_path: Path, released: Sandbox) -> None:
    run = judged(tmp_path, "-m", "tier_a", **released.environment(), ENDPOINT_NAMESPACE="default")
    one_line(run, 3, "was seen in namespace default before its delete, so that nobody can say whether one is left")
    assert run.verdicts["tier_a/nothing_of_sync_endpoint_is_left"] == "error (settings)"


def test_a_plugin_that_hands_out_no_credentials(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    kubeconfig(tmp_path)
    config = yaml.safe_load(path.read_text())
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": exec_}
    path.write_text(yaml.safe_dump(config))
    one_line(judged(tmp_path, KUBECONFIG=str(path), **TOKEN), 3, "ERROR (permission)")


def test_a_record_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    record = ("--set", f"record_directory={tmp_path / 'file' / 'runs'}")
    run = judged(tmp_path, "--no-cluster", *record, GATEWAY_URL=NOWHERE, **TOKEN, **IMAGE)
    one_line(run, 4, "the record cannot be written")


@pytest.mark.prove
def test_the_gateway_of_another_deployment(tmp_path: Path, released: Sandbox) -> None:
    with sandbox() as other:
        run = judged(tmp_path, **released.environment(), GATEWAY_URL=other.up["gateway_url"])
    one_line(run, 3, "belongs to another deployment than the context's")
    assert run.verdicts["control_plane/healthz"] == "pass"
    assert run.verdicts["control_plane/endpoints_are_listed"] == "error (settings)"
    assert not [one for one in run.events if one.get("method") == "POST"], "it was found out by reading alone"


def test_the_address_of_the_contexts_own_gateway(tmp_path: Path, released: Sandbox) -> None:
    address = {"GATEWAY_URL": released.up["gateway_url"]}
    run = judged(tmp_path, "-m", "control_plane", **released.environment(), **address)
    assert run.code == 0, run.out
    assert "not verified" not in run.out


@pytest.mark.prove
def test_an_open_gateway_and_a_token_that_is_no_name(tmp_path: Path, released: Sandbox) -> None:
    token = "a-token-of-more-than-24-characters"
    run = judged(tmp_path, **released.environment() | {"AUTH_TOKEN": token})
    one_line(run, 3, "this one has 34")
    assert token not in run.out
    assert run.verdicts["control_plane/endpoints_are_listed"] == "pass"
    assert run.verdicts["tier_a/sync_endpoint_is_accepted"] == "error (settings)"
