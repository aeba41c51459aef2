"""The doctor: it shows target and settings with their sources, and its exit code says what cannot be reached."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from model_engine_sandbox import Release
from sandboxes import Sandbox

from seatrial import doctor

ROOT = Path(__file__).parent.parent
Answer = tuple[int, str, str]
"""Status, content type, body."""

HEALTHY: Mapping[str, Answer] = {
    "/healthz": (200, "text/plain", ""),
    "/v1/model-endpoints": (200, "application/json", '{"model_endpoints": [{}, {}]}'),
}
API: Mapping[str, Answer] = {
    "/version": (200, "application/json", '{"gitVersion": "v1.36.0"}'),
    "/api/v1/namespaces/models": (200, "application/json", '{"kind": "Namespace", "metadata": {"name": "models"}}'),
    "/apis/apps/v1/namespaces/models/deployments": (200, "application/json", '{"items": []}'),
    "/apis/apps/v1/deployments": (200, "application/json", '{"items": []}'),
}


def status(code: int, reason: str) -> Answer:
    """An error as an API server answers it."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": reason,
        "code": code,
    }
    return code, "application/json", json.dumps(body)


@contextmanager
def serving(answers: Mapping[str, Answer]) -> Iterator[str]:
    """A server on loopback that knows these paths; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, kind, body = answers.get(self.path.partition("?")[0], status(404, "NotFound"))
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Not on the tests' terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[[str], str]:
    def write(server: str) -> str:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "contexts": [{"name": "ours", "context": {"cluster": "ours", "user": "ours", "namespace": "models"}}],
            "clusters": [{"name": "ours", "cluster": {"server": server}}],
            "users": [{"name": "ours", "user": {"token": "token-of-the-runner"}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
        return str(tmp_path / "kubeconfig")

    return write


def examined(cwd: Path, environ: Mapping[str, str], **options: Any) -> tuple[int, str]:
    """Exit code and everything that was said."""
    lines: list[str] = []
    code = doctor.examine(options, {"HOME": str(cwd), **environ}, cwd, lines.append)
    return code, "\n".join(lines)


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture
def sandbox(released: Sandbox) -> Release:
    return Release(released.up)


def of(sandbox: Release, **more: str) -> dict[str, str]:
    """The environment that names the sandbox as the target."""
    return {"KUBECONFIG": sandbox.up["kubeconfig"], "AUTH_TOKEN": sandbox.up["token"], **more}


def test_a_healthy_release_is_found_and_reached(tmp_path: Path, sandbox: Release) -> None:
    code, said = examined(tmp_path, of(sandbox))
    assert code == 0, said
    assert said.startswith(f"target    context {sandbox.up['name']} ({sandbox.up['kube_url']}; the only context of ")
    found = {" ".join(line.split()) for line in said.splitlines()}
    where = f"discovered in Deployment {sandbox.namespace}/model-engine"
    assert f"model_engine_image_repository {sandbox.up['image'].rpartition(':')[0]} {where}" in found
    assert f"endpoint_namespace {sandbox.endpoints} discovered in ConfigMap {sandbox.namespace}/" in " ".join(found)
    *_, contract, cluster, release, gateway, token = said.splitlines()
    assert contract == "contract  released (the gateway's OpenAPI document)"
    assert cluster.endswith(f" answers at {sandbox.up['kube_url']}")
    assert release.startswith(f"release   {sandbox.namespace}/model-engine, chart model-engine-")
    assert re.fullmatch(r"gateway   answers at http://127\.0\.0\.1:\d+ \(a port-forward to its Service\)", gateway)
    assert token == "token     from AUTH_TOKEN (environment); accepted, as any token is; the gateway lists 0 endpoints"


def test_a_namespace_that_does_not_exist_is_4(tmp_path: Path, sandbox: Release) -> None:
    code, said = examined(tmp_path, of(sandbox), namespace="nowhere")
    assert code == 4
    assert f"there is no namespace 'nowhere' in {sandbox.up['kube_url']} (--namespace)" in said


def test_a_namespace_without_the_product_is_1(tmp_path: Path, sandbox: Release) -> None:
    code, said = examined(tmp_path, of(sandbox, NAMESPACE="default"))
    assert code == 1
    assert "release   no Deployment in namespace default runs Model Engine's gateway" in said


def test_a_gateway_without_pods_is_1(tmp_path: Path, sandbox: Release) -> None:
    with sandbox.without("model-engine"):
        code, said = examined(tmp_path, of(sandbox))
    assert code == 1, said
    assert "\ngateway   the Deployment model-engine is scaled to 0; scale it up: kubectl" in said


def test_every_value_is_shown_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "seatrial.yaml").write_text("settle: 20\nauth_token_command: [echo, token-from-a-command]")
    with serving(HEALTHY) as gateway:
        code, said = examined(tmp_path, {"GATEWAY_URL": gateway}, read_only=True, no_cluster=True)
    assert code == 0
    head, table, probes = said.split("\n\n")
    assert head == f"target    no cluster, gateway {gateway} (GATEWAY_URL (environment))"
    rows = [line.split("  ") for line in table.splitlines()]
    shown = {row[0]: [cell.strip() for cell in row if cell.strip()][1:] for row in rows}
    assert shown["setting"] == ["value", "from"]
    assert shown["settle"] == ["20 s", "seatrial.yaml: settle"]
    assert shown["gateway_url"] == [gateway, "GATEWAY_URL (environment)"]
    assert shown["auth_token"] == ["-", "not given"]
    assert shown["auth_token_command"] == ["echo ***", "seatrial.yaml: auth_token_command"]
    assert shown["read_only"] == ["yes", "--read-only"]
    assert shown["timeout_factor"] == ["1", "default"]
    assert len({line.index(shown[line.split()[0]][-1], 20) for line in table.splitlines()}) == 1, "not aligned"
    assert probes.splitlines() == [
        "contract  unknown (unknown until the first create: no OpenAPI document)",
        "cluster   not asked (--no-cluster)",
        "release   not looked for",
        f"gateway   answers at {gateway} (GATEWAY_URL (environment))",
        "token     from seatrial.yaml: auth_token_command; accepted, as any token is; the gateway lists 2 endpoints",
    ]
    assert "token-from-a-command" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["seatrial.yaml"]


def test_a_secret_in_the_environment_is_masked(tmp_path: Path) -> None:
    with serving(HEALTHY) as gateway:
        environ = {"GATEWAY_URL": gateway, "AUTH_TOKEN": "a-very-secret-token"}
        code, said = examined(tmp_path, environ, no_cluster=True)
    assert code == 0
    assert "a-very-secret-token" not in said
    assert "***" in said


def test_a_token_that_the_gateway_refuses_is_3(tmp_path: Path) -> None:
    refusing = {**HEALTHY, "/v1/model-endpoints": (401, "application/json", '{"detail": "Not authenticated"}')}
    with serving(refusing) as gateway:
        environ = {"GATEWAY_URL": gateway, "AUTH_TOKEN": "an-expired-token"}
        code, said = examined(tmp_path, environ, no_cluster=True)
    assert code == 3
    assert "token     the gateway at" in said
    assert "(AUTH_TOKEN (environment))" in said


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "gateway   GET "),
        ({"/healthz": (502, "text/html", "<html>Bad gateway")}, "an ingress or a proxy"),
        ({"/healthz": (200, "text/html", "<html>Welcome")}, "with an HTML page"),
        (None, "cannot be connected to"),
    ],
)
def test_a_gateway_that_does_not_answer_is_1(tmp_path: Path, answers: Mapping[str, Answer] | None, said: str) -> None:
    with serving(answers or {}) as there:
        gateway = nobody() if answers is None else there
        environ = {"GATEWAY_URL": gateway, "AUTH_TOKEN": "a-token-of-ours"}
        code, everything = examined(tmp_path, environ, no_cluster=True)
    assert code == 1
    assert said in everything
    assert everything.splitlines()[-2].startswith("gateway ")
    assert everything.splitlines()[-1].endswith("not tried, the gateway was not reached")


def test_without_a_token_is_4(tmp_path: Path) -> None:
    with serving(HEALTHY) as gateway:
        code, everything = examined(tmp_path, {"GATEWAY_URL": gateway}, no_cluster=True)
    assert code == 4
    assert everything.splitlines()[-1].startswith(
        "token     none is given, and most checks need one; export AUTH_TOKEN"
    )


FORBIDDEN = status(403, "Forbidden")


@pytest.mark.parametrize(
    ("api", "probe"),
    [
        ({"/version": status(401, "Unauthorized")}, "cluster"),
        ({"/version": FORBIDDEN}, "cluster"),
        (None, "cluster"),
        ({**API, "/apis/apps/v1/namespaces/models/deployments": FORBIDDEN}, "release"),
    ],
)
def test_a_cluster_that_does_not_let_us_in_is_3(
    tmp_path: Path, kubeconfig: Callable[[str], str], api: Mapping[str, Answer] | None, probe: str
) -> None:
    with serving(api or {}) as there:
        environ = {"KUBECONFIG": kubeconfig(nobody() if api is None else there), "AUTH_TOKEN": "a-token-of-ours"}
        code, said = examined(tmp_path, environ, set=[f"gateway_url={nobody()}"])
        alone, unasked = examined(tmp_path, environ)
    assert (code, alone) == (3, 3)
    (line,) = [one for one in said.split("\n\n")[-1].splitlines() if one.startswith(f"{probe}  ")]
    assert "(the only context of KUBECONFIG (environment))" in line
    assert "gateway   the gateway at" in said
    assert "gateway   not asked, nothing says where it is" in unasked
    assert "token-of-the-runner" not in said


def test_the_right_to_look_at_namespaces_is_not_needed(tmp_path: Path, kubeconfig: Callable[[str], str]) -> None:
    with serving({**API, "/api/v1/namespaces/models": FORBIDDEN}) as api:
        environ = {"KUBECONFIG": kubeconfig(api), "AUTH_TOKEN": "a-token-of-ours"}
        code, said = examined(tmp_path, environ, namespace="models")
    assert code == 1
    assert "release   no Deployment in namespace models runs" in said


def test_what_is_wrong_with_the_settings_is_4(tmp_path: Path, kubeconfig: Callable[[str], str]) -> None:
    code, said = examined(tmp_path, {})
    assert (code, said.count("\n")) == (4, 0)
    assert "--no-cluster, with GATEWAY_URL" in said
    with serving(API) as api:
        environ = {"KUBECONFIG": kubeconfig(api)}
        code, said = examined(tmp_path, {**environ, "GATEWAY_URL": "http://model-engine.models.svc"})
        assert code == 4
        assert "gateway   model-engine.models.svc does not resolve from here" in said
        code, said = examined(tmp_path, {**environ, "AUTH_TOKEN_FILE": "gone"}, set=[f"gateway_url={nobody()}"])
        assert code == 4
        assert "token     the token cannot be read from" in said


def run(cwd: Path, *arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *flags, "-m", "seatrial", *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line(tmp_path: Path) -> None:
    with serving(HEALTHY) as gateway:
        (tmp_path / "token").write_text("a-token-of-ours")
        given = ("--set", f"gateway_url={gateway}", "--set", "auth_token_file=token")
        done = run(tmp_path, "doctor", "--no-cluster", *given, "--timeout-factor", "2")
    assert done.returncode == 0, done.stderr
    assert "--timeout-factor" in done.stdout
    assert f"\ngateway   answers at {gateway} (--set gateway_url=…)\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "flags", "said"),
    [
        ((), (), "command"),
        (("doctor", "--contxt", "x"), (), "unrecognized arguments: --contxt"),
        (("doctor", "--time", "2"), (), "unrecognized arguments: --time"),
        (("doctor",), ("-O",), "python -O takes the assertions away"),
        (("images",), (), "this is no pod of a cluster; export KUBECONFIG="),
    ],
)
def test_a_wrong_command_line_is_4(
    tmp_path: Path, arguments: tuple[str, ...], flags: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, *arguments, flags=flags)
    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr
