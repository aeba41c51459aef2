"""No token reaches the terminal or a file, whatever the run comes to and however much one asks to see."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path

import pytest
from dummies import Ended
from sandboxes import Sandbox, at_once, judged

TOKEN = "tkn-5u8QeZ-mX2vR7.kLw9pD"
"""As long as the gateway's column for a user allows: it stands in labels and logs, as nothing but a token would."""
LOUD = ("-vv", "--tb=long", "--showlocals", "-o", "junit_logging=all", "-o", "log_cli_level=DEBUG")


def quiet(run: Ended, folder: Path, sandbox: Sandbox) -> None:
    """None of the tokens stands in what the run said or wrote."""
    secrets = [TOKEN, sandbox.up["kube_token"]]
    secrets += [base64.b64encode(secret.encode()).decode() for secret in secrets]
    written = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in written}
    assert {"run.json", "junit.xml", "out.txt"} < names
    assert any(name.startswith("events.") for name in names)
    for path in written:
        text = path.read_text()
        assert [secret for secret in secrets if secret in text] == [], path
    assert (Path(run.run["record"]).stat().st_mode & 0o777) == 0o700


@pytest.mark.prove
def test_green(released: Sandbox, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    from_file = {"KUBECONFIG": released.up["kubeconfig"], "AUTH_TOKEN_FILE": str(token)}
    given, read = at_once(
        partial(judged, tmp_path / "given", "-n", "2", **released.environment() | {"AUTH_TOKEN": TOKEN}),
        partial(judged, tmp_path / "read", *LOUD, "-m", "control_plane", **from_file),
    )
    for name, run in (("given", given), ("read", read)):
        assert run.code == 0, run.out
        quiet(run, tmp_path / name, released)


@pytest.mark.parametrize(("fault", "code"), [("create-500", 1), ("token-refused", 3)])
def test_red(released: Sandbox, tmp_path: Path, fault: str, code: int) -> None:
    environment = released.environment() | {"AUTH_TOKEN": TOKEN}
    with released.broken(fault):
        run = judged(tmp_path, *LOUD, "-k", "control_plane or accepted", **environment)
    assert run.code == code, run.out
    quiet(run, tmp_path, released)


@pytest.mark.prove
def test_what_is_left_is_told_without_the_token(released: Sandbox, tmp_path: Path) -> None:
    environment = released.environment() | {"AUTH_TOKEN": TOKEN}
    with released.broken("delete-not-performed"):
        run = judged(tmp_path, *LOUD, "-k", "sync_endpoint_is_accepted", **environment)
    assert run.code == 3, run.out
    assert "LEFT BEHIND    endpoint seatrial-echo-sync-" in run.out
    assert 'curl -X DELETE -H "Authorization: Bearer $AUTH_TOKEN" ' in run.out
    quiet(run, tmp_path, released)
