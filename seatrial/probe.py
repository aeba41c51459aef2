"""Looks from where the product looks: a small program in a pod of ours, beside the product, under its service account.

A program is a file in ``payloads/probe/``. It is sent as ``python -c``, takes its arguments as JSON, and prints one
line of JSON with the probe's nonce in it: ``{"nonce": …, "ok": true, …}`` or ``{"nonce": …, "ok": false, "code": …,
"at": …, "said": …}``, never a secret.
"""

from __future__ import annotations

import json
import math
import re
import secrets as chance
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from seatrial import ours, payloads
from seatrial.adoption import refuse_adopted
from seatrial.config_maps import KEY
from seatrial.health import pod_trouble
from seatrial.kube import ApiError, Forbidden, Kube, NotFound, Object
from seatrial.payloads import overlaid, payload
from seatrial.resources import PODS, SECRETS
from seatrial.secret import Secret
from seatrial.trial import Trial
from seatrial.verdict import Blocked, Cause, NotJudged, Reason, Unhealthy

CONTAINER = "probe"
NONCE = "SEATRIAL_NONCE"
"""The variable that a program finds the run's nonce in."""
LINES = 300
"""Of a program that goes on, the last ones are read."""
TIMEOUT = 60.0
"""Seconds that a program gets beside the time its image may take to be pulled."""
_MOUNTED = ("configMap", "downwardAPI", "emptyDir", "projected", "secret")
"""Volumes that PodSecurity `restricted` admits and that can be mounted twice."""
_NO_SECRET = re.compile(r'secret "([^"]+)" not found')
NO_NODE = "pod.no-node/"
"""How the keys of causes begin that say that no node takes a pod of the product's kind."""
_TAKEN = ("Insufficient ", "Too many pods")
"""What the scheduler says of nodes that would fit, and are full."""
_SELECTS = ("nodeSelector", "affinity", "topologySpreadConstraints")
POD = "probe/pod"
_OVERLAY = f"what is missing can be added to our pods in seatrial.yaml: overlays, {POD} (labels, annotations, …)"


@dataclass(frozen=True)
class Place:
    """Where a part of the product runs, without what makes it that part: no labels, ports or probes.

    `labels`: only those by which a cluster gives a pod its rights in the cloud. `note` says what is different from the
    product's own pods.
    """

    namespace: str
    service_account: str
    image: str
    pull_secrets: tuple[str, ...] = ()
    env: tuple[Mapping[str, Any], ...] = ()
    env_from: tuple[Mapping[str, Any], ...] = ()
    volumes: tuple[Mapping[str, Any], ...] = ()
    volume_mounts: tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def seen_from(self) -> str:
        """As messages name it."""
        return f"a pod in {self.namespace} under the service account {self.service_account}"


_started: Counter[tuple[str, str]] = Counter()
"""How many probes this process has begun, by run and by what they are called after."""


class Prober:
    """Starts probes; each knows its own pod. Nothing is waited for until somebody asks for a result."""

    def __init__(self, trial: Trial, kube: Kube) -> None:
        self.trial, self.kube = trial, kube

    def start(
        self,
        what: str,
        place: Place,
        program: str = "",
        args: tuple[Any, ...] = (),
        secrets: Mapping[str, Secret] | None = None,
        *,
        image: str | None = None,
        command: tuple[str, ...] | None = None,
        always_pull: bool = False,
        timeout: float | None = None,
        limits: Mapping[str, str] | None = None,
    ) -> Probe:
        """A pod called after `what` that runs ``payloads/probe/<program>.py``, or `command`, in `place`.

        `args` reach the program as JSON texts. `secrets` are variables that travel in a Secret of ours, which is gone
        with the pod. `limits` are of other resources than the usual ones: GPUs. `timeout` is in seconds, from now until
        the program has ended, the pull of its image included.
        Raises `NotJudged` where the pod is not admitted, `Forbidden` where we may not make one.
        """
        settings = self.trial.settings
        nonce = f"seatrial-{chance.token_hex(8)}"
        ours_to_pull = image is None and settings.probe_image is not None
        image = image or settings.probe_image or place.image
        if command is None:
            command = ("python", "-c", payloads.program(program), *(json.dumps(one) for one in args))
        name = self._name(what)
        kept = self._secret(name, place, secrets or {})
        env: list[Object] = [{"name": NONCE, "value": nonce}]
        for key in secrets or {}:
            reference = {"name": kept["metadata"]["name"] if kept else "", "key": key}
            env.append({"name": key, "valueFrom": {"secretKeyRef": reference}})
        longest = timeout if timeout is not None else settings.image_pull_timeout + TIMEOUT
        deadline = round(longest * max(1.0, settings.timeout_factor) + 60)
        made_of = _pod(name, place, image, [one.replace("${nonce}", nonce) for one in command], env, deadline)
        manifest = overlaid(POD, made_of, settings.overlays)
        if limits:
            manifest["spec"]["containers"][0].setdefault("resources", {}).setdefault("limits", {}).update(limits)
        if always_pull:
            manifest["spec"]["containers"][0]["imagePullPolicy"] = "Always"
        try:
            self._refuse_adopted(manifest, place)
            made = self._create(manifest, place)
        except BaseException:
            if kept:
                ours.remove(self.kube, self.trial, SECRETS, kept)
            raise
        selects = any(manifest["spec"].get(one) != made_of["spec"].get(one) for one in _SELECTS)
        runs = str(manifest["spec"]["containers"][0]["image"])
        own = image if ours_to_pull else ""
        return Probe(self, what, place, made, kept, nonce, longest, runs, own, selects=selects)

    def _name(self, what: str) -> str:
        """Unique in this run: a second probe of the same thing, and each worker's, has a number of its own."""
        run = self.trial.run
        _started[run.id, what] += 1
        count, worker = _started[run.id, what], run.worker
        return "-".join(
            ["probe", what, *([worker] if worker.startswith("gw") else []), *([str(count)] if count > 1 else [])]
        )

    def _secret(self, name: str, place: Place, secrets: Mapping[str, Secret]) -> Object | None:
        if not secrets:
            return None
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": place.namespace},
            "stringData": {key: one.reveal() for key, one in secrets.items()},
        }
        return ours.create(self.kube, self.trial, SECRETS, manifest)

    def _refuse_adopted(self, manifest: Object, place: Place) -> None:
        """Labels that a user gave our pod must not make it one of the product's."""
        every = manifest["metadata"].get("labels") or {}
        if labels := {name: value for name, value in every.items() if place.labels.get(name) != value}:
            source = self.trial.settings.source("overlays")
            refuse_adopted(self.kube, place.namespace, {**labels, **ours.labels(self.trial.run)}, source=source)

    def _create(self, manifest: Object, place: Place) -> Object:
        try:
            return ours.create(self.kube, self.trial, PODS, manifest)
        except Forbidden:
            raise
        except (ApiError, NotJudged) as error:
            if isinstance(error, NotJudged) and error.reason is not Reason.ADMISSION:
                raise
            said = error.line if isinstance(error, NotJudged) else str(error)
            if "serviceaccount" in said and "not found" in said:
                raise Unhealthy(_no_service_account(self.kube, place, said)) from None
            raise NotJudged(Reason.ADMISSION, f"our probe pod is refused: {said}", do=_OVERLAY) from None


class Probe:
    """One pod of ours, from its creation to its removal. `image`: what its program runs in, as it was asked for."""

    def __init__(
        self,
        prober: Prober,
        what: str,
        place: Place,
        pod: Object,
        secret: Object | None,
        nonce: str,
        timeout: float,
        image: str,
        own_image: str,
        *,
        selects: bool,
    ) -> None:
        self._trial, self._kube = prober.trial, prober.kube
        self.what, self.place, self.nonce, self.image = what, place, nonce, image
        self._pod, self._secret, self._timeout, self._own_image = pod, secret, timeout, own_image
        self._selects = selects
        self._asked = time.monotonic()
        self._ran, self._unseen = False, True
        self._ended: tuple[str, Object] | Exception | None = None

    @property
    def began(self) -> bool:
        """Whether its program was seen to run, or to have run; or may have, since the last look saw nothing."""
        return self._ran or self._unseen

    def ended(self) -> tuple[str, Object]:
        """What the program wrote, and its container's last status; waited for once, remembered, the pod removed.

        Raises `Unhealthy` with the pod's own trouble: for who asks about the pod. A `NotJudged` where it is a program
        image of the user's that cannot be pulled, or where it is our pod alone that no node takes.
        """
        if self._ended is None:
            try:
                self._ended = self._trial.wait.until(
                    self._look, self._timeout, what=f"probe {self.what}", since=self._asked
                )
            except Unhealthy as error:
                self._ended = self._on_no_node(error.cause) or error
            except Exception as error:
                self._ended = error
            finally:
                self.remove()
        if isinstance(self._ended, Exception):
            raise self._ended.with_traceback(None)
        return self._ended

    def result(self) -> dict[str, Any]:
        """The line that the program printed. The pod's own trouble is nothing that the check is about: it blocks, or is
        an *error* where it is nobody's fault."""
        try:
            written, status = self.ended()
        except Unhealthy as error:
            raise self._not_asked(error.cause) from None
        if answers := self._answers(written):
            return answers[-1]
        raise self._wordless(written, status)

    def lines(self) -> list[dict[str, Any]]:
        """What a program that goes on and on has printed so far, its last lines; none while its pod starts.

        Raises as `result` does where the pod will not run.
        """
        metadata = self._pod["metadata"]
        try:
            written = self._kube.logs(metadata["name"], metadata["namespace"], container=CONTAINER, tail=LINES)
        except NotFound:
            written = ""
        found = self._answers(written)
        if not found:
            try:
                ended = self._look()
            except Unhealthy as error:
                if error.cause.settle != math.inf:
                    raise self._not_asked(error.cause) from None
            except AssertionError:
                pass  # it has not begun
            else:
                if not (found := self._answers(ended[0])):
                    raise self._wordless(*ended)
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        """The pod's, the user's own among them."""
        found: Mapping[str, str] = self._pod["metadata"].get("labels") or {}
        return found

    def remove(self) -> None:
        """Ask for the removal of the pod and of its Secret, unless the run keeps what it makes."""
        if self._trial.keep:
            return
        ours.remove(self._kube, self._trial, PODS, self._pod)
        if self._secret:
            ours.remove(self._kube, self._trial, SECRETS, self._secret)

    def _look(self) -> tuple[str, Object]:
        metadata, self._unseen = self._pod["metadata"], True
        try:
            pod = self._kube.get(PODS, metadata["name"], metadata["namespace"])
        except NotFound:
            raise NotJudged(
                Reason.TOOL, f"somebody has removed our pod {metadata['namespace']}/{metadata['name']}"
            ) from None
        statuses = {one["name"]: one for one in pod.get("status", {}).get("containerStatuses") or []}
        status = statuses.get(CONTAINER, {})
        self._ran, self._unseen = self._ran or bool({"running", "terminated"} & {*status.get("state", {})}), False
        if "terminated" in status.get("state", {}):  # our container; a sidecar beside it may go on
            return self._kube.logs(metadata["name"], metadata["namespace"], container=CONTAINER), status
        if cause := pod_trouble(self._kube, pod, self._trial.settings.gpu_vendors):
            if self._own_image and cause.key == f"pod.image-pull/{self._own_image}":
                raise NotJudged(
                    Reason.TOOL,
                    f"{cause.line}; it is the one that our probes run",
                    source=self._trial.settings.source("probe_image"),
                    do="push it to that registry, correct its name, or leave probe_image away for the release's",
                )
            raise Unhealthy(cause)
        phase = pod.get("status", {}).get("phase", "Pending")
        if phase == "Failed":  # before its container could end: it was refused by its node, or put out
            raise Unhealthy(_failed(self._kube, pod))
        raise AssertionError(f"the probe's pod is {phase}")

    def _answers(self, written: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in written.splitlines() if f'"{self.nonce}"' in line]

    def _wordless(self, written: str, status: Object) -> NotJudged:
        exit_code = status["state"]["terminated"].get("exitCode")
        words = written.strip().splitlines()[-1:] or ["it wrote nothing"]
        return NotJudged(
            Reason.TOOL,
            f"the probe {self.what} ended with {exit_code} and without an answer: {words[0][:300]}",
            source=f"image {status['image']}",
            do="set probe_image to an image with Python and the libraries that the model-engine image has",
        )

    def _not_asked(self, cause: Cause) -> Exception:
        """Nobody was asked anything: for a reason that stands in a check of its own, or for one that is ours alone."""
        found = self._on_no_node(cause)
        if isinstance(found, NotJudged):
            return found
        cause = found.cause if isinstance(found, Unhealthy) else cause
        if missing := _NO_SECRET.search(cause.line):
            return Blocked(missing_secret(self._kube.kubectl, self.place.namespace, missing[1]))
        if cause.key.startswith(("pod.image-pull/", "pod.container-config/", "pod.mount/", KEY, NO_NODE)):
            return Blocked(cause)
        said = f"; {cause.evidence[-1]}" if cause.key.startswith("timeout/") and cause.evidence else ""
        return NotJudged(Reason.TOOL, f"our probe did not run: {cause.line}{said}", do=cause.do or _OVERLAY)

    def _on_no_node(self, cause: Cause) -> NotJudged | Unhealthy | None:
        """What it means that no node takes our pod, None if that is not the trouble. It has the node selector and the
        tolerations of the product's own, and asks for less: where it finds no node that would do, they find none."""
        if not cause.key.startswith("pod.unschedulable/"):
            return None
        line = f"our probe did not run: {cause.line}"
        if any(word in cause.line for word in _TAKEN):
            return NotJudged(Reason.BUSY, line, do=cause.do)
        if self._selects:
            do = "correct the node selector or affinity there"
            return NotJudged(Reason.SETTINGS, line, source=self._trial.settings.source("overlays"), do=do)
        namespace, why = self.place.namespace, cause.line.partition(": ")[2]
        return Unhealthy(
            replace(
                cause,
                key=f"{NO_NODE}{namespace}/{self.place.service_account}",
                line=f"no node can take a pod with the node selector and tolerations of those in {namespace}: {why}",
                look=f"{self._kube.kubectl} describe nodes",
            )
        )


def _pod(name: str, place: Place, image: str, command: list[str], env: list[Any], deadline: int) -> Object:
    manifest: Object = payload(POD, what=name, namespace=place.namespace, image=image)
    if place.labels:
        manifest["metadata"]["labels"] = dict(place.labels)
    spec = manifest["spec"]
    spec["activeDeadlineSeconds"] = deadline
    spec["serviceAccountName"] = place.service_account
    spec["imagePullSecrets"] = [{"name": one} for one in place.pull_secrets]
    spec["nodeSelector"] = dict(place.node_selector)
    spec["tolerations"] = [dict(one) for one in place.tolerations]
    volumes = [one for one in place.volumes if any(kind in one for kind in _MOUNTED)]
    spec["volumes"] = volumes
    container = spec["containers"][0]
    container["command"] = command
    container["env"] = [*place.env, *env]
    container["envFrom"] = list(place.env_from)
    kept = {one["name"] for one in volumes}
    container["volumeMounts"] = [one for one in place.volume_mounts if one["name"] in kept]
    return manifest


def _failed(kube: Kube, pod: Object) -> Cause:
    metadata, status = pod["metadata"], pod["status"]
    said = ": ".join(filter(None, (status.get("reason"), status.get("message")))) or "it says no reason"
    return Cause(
        f"pod.failed/{metadata['namespace']}/{status.get('reason') or 'unknown'}",
        f"our pod {metadata['name']} has failed: {said}",
        settle=0.0,
        look=f"{kube.kubectl} -n {metadata['namespace']} describe pod {metadata['name']}",
    )


def _no_service_account(kube: Kube, place: Place, said: str) -> Cause:
    return Cause(
        f"service-account.missing/{place.namespace}/{place.service_account}",
        f"there is no service account {place.service_account} in namespace {place.namespace}",
        evidence=(said,),
        do="the chart makes it; see whether the release is complete, or correct its name in the values",
        look=f"{kube.kubectl} -n {place.namespace} get serviceaccounts",
    )


def missing_secret(kubectl: str, namespace: str, name: str, what: str = "") -> Cause:
    """The cause that a Secret which something names was never made."""
    return Cause(
        f"secret.missing/{namespace}/{name}",
        f"the Secret {name} does not exist in namespace {namespace}{f', and {what} names it' if what else ''}",
        do="make it before the install, or correct its name in the values",
        look=f"{kubectl} -n {namespace} get secrets",
    )
