"""The same questions, asked from this machine: for ``--probe-from runner``, and for runs without a cluster.

The programs are those that pods run, in a process of their own, so that they tell the same codes.
"""

from __future__ import annotations

import json
import os
import secrets as chance
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from seatrial import payloads
from seatrial.kube import Kube, NotFound
from seatrial.probe import NONCE, TIMEOUT, Place, missing_secret
from seatrial.resources import SECRETS
from seatrial.secret import Secret
from seatrial.trial import Trial
from seatrial.verdict import NotJudged, Reason, Unhealthy

_OF_THE_PLACE = ("AWS_REGION", "AWS_ENDPOINT_URL", "SERVICEBUS_NAMESPACE", "SEATRIAL_")
"""Variables of the product's that say what is asked; whom it asks as is this machine's own affair."""


class LocalProber:
    """Takes the place of a `seatrial.probe.Prober`; without a cluster `kube` is None."""

    def __init__(self, trial: Trial, kube: Kube | None) -> None:
        self.trial, self.kube = trial, kube

    def start(
        self,
        what: str,
        place: Place,
        program: str,
        args: tuple[Any, ...] = (),
        secrets: Mapping[str, Secret] | None = None,
    ) -> LocalProbe:
        """``payloads/probe/<program>.py`` in a process here; variables that it names and that come from a Secret or
        ConfigMap of `place` are read from there, `Unhealthy` if there is none."""
        nonce = f"seatrial-{chance.token_hex(8)}"
        wanted = {str(one[key]) for one in args for key in ("env", "token_env", "yaml_env") if key in one}
        env = {NONCE: nonce, **{key: one.reveal() for key, one in (secrets or {}).items()}}
        for one in place.env:
            name, plain = one["name"], "valueFrom" not in one
            if plain and (name in wanted or name.startswith(_OF_THE_PLACE)):
                env.setdefault(name, str(one.get("value") or ""))
            elif name in wanted and name not in env:
                env[name] = self._read(place, one["valueFrom"]).reveal()
        command = [sys.executable, "-c", payloads.program(program), *(json.dumps(one) for one in args)]
        out = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # the probe closes it
        process = subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return LocalProbe(self.trial, what, nonce, process, out)

    def _read(self, place: Place, source: Mapping[str, Any]) -> Secret:
        reference = source.get("secretKeyRef")
        if self.kube is None or reference is None:
            return Secret("")
        try:
            data = self.kube.get(SECRETS, reference["name"], place.namespace).get("data") or {}
        except NotFound:
            raise Unhealthy(missing_secret(self.kube.kubectl, place.namespace, reference["name"])) from None
        return Secret(b64decode(data.get(reference["key"], "")).decode().strip())


class LocalProbe:
    """One process of ours."""

    image, began = "", True
    """It runs no image: what it finds installed is this machine's."""

    def __init__(self, trial: Trial, what: str, nonce: str, process: subprocess.Popen[Any], out: Any) -> None:
        self._trial, self.what, self.nonce, self._process, self._out = trial, what, nonce, process, out

    @cached_property
    def _written(self) -> str:
        """All that the program wrote, waited for."""

        def ended() -> None:
            assert self._process.poll() is not None, "the program has not ended"

        try:
            self._trial.wait.until(ended, TIMEOUT, what=f"probe {self.what}")
        except AssertionError as error:
            raise NotJudged(Reason.TOOL, f"our probe did not end: {error}") from None
        finally:
            self.remove()
        with self._out as out:
            out.seek(0)
            return str(out.read())

    def result(self) -> dict[str, Any]:
        """The line that the program printed."""
        for line in reversed(self._written.splitlines()):
            if f'"{self.nonce}"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        words = self._written.strip().splitlines()[-1:] or ["it wrote nothing"]
        raise NotJudged(Reason.TOOL, f"the probe {self.what} ended without an answer: {words[0][:300]}")

    def remove(self) -> None:
        """End the process if it goes on."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
