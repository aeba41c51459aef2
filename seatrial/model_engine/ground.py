"""What pre-flight stands on: a release, or before an install the values and the namespaces that are there for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from seatrial.kube import Kube, NotFound
from seatrial.local_probe import LocalProber
from seatrial.model_engine import places
from seatrial.model_engine.configuration import Configuration
from seatrial.model_engine.discovery import NoRelease, Release, discover
from seatrial.probe import Place, Prober, missing_secret
from seatrial.resources import NAMESPACES, NODES, SECRETS, SERVICE_ACCOUNTS
from seatrial.settings import how_to_give
from seatrial.target import Target
from seatrial.trial import Trial
from seatrial.verdict import BadSettings, Blocked, Cause, NotApplicable, NotJudged, Refused

BEFORE = "not applicable before the install"
NO_VALUES = "give what helm will get, the chart's values.yaml and then your own: --values=FILE --values=FILE"


@dataclass
class Ground:
    """`release` is None before an install, `kube`, too, where there is no cluster. `namespace`: the release's."""

    trial: Trial
    kube: Kube | None
    release: Release | None
    configuration: Configuration
    namespace: str
    endpoint_namespace: str
    missing: dict[str, Cause] = field(default_factory=dict)
    """Namespaces that do not exist."""

    @cached_property
    def prober(self) -> Prober | LocalProber:
        """Who asks: a pod, or this machine."""
        if self.kube is None or self.trial.settings.probe_from == "runner":
            return LocalProber(self.trial, self.kube)
        return Prober(self.trial, self.kube)

    def place(self, part: str) -> Place:
        """Where a component runs or will run; `Blocked` if its namespace does not exist."""
        self._there(self.namespace)
        if self.kube is None:
            return places.before_install(self.configuration, "", part)
        if self.release is not None:
            return self._as_told(places.of_component(self.release, part))
        return places.before_install(self.configuration, self.namespace, part)

    def endpoint_place(self) -> Place:
        """Where endpoints on CPUs run or will run, the image is the forwarder's; `Blocked` without their namespace."""
        self._there(self.endpoint_namespace)
        if self.kube is None:
            return places.before_install(self.configuration, "", "forwarder")
        if self.release is not None:
            return places.of_endpoints(self.kube, self.release, self.endpoint_namespace, self.configuration)
        found = places.before_install(self.configuration, self.endpoint_namespace, "forwarder")
        account = self.configuration.endpoint_service_account
        if self._has_account(self.endpoint_namespace, account):
            return replace(found, service_account=account, note="")
        note = f"asked under the service account {places.DEFAULT}: {account} is not there before the install"
        return replace(found, env=(), note=note)

    def identity(self, part: str) -> Place:
        """As `place`, for what is about the rights of the service account: `NotApplicable` while that is not made."""
        place = self.place(part)
        if self.kube is None:
            raise NotApplicable(
                f"asks as the release's service account, and the run goes without the cluster "
                f"({self.trial.settings.source('no_cluster')})"
            )
        if self.release is not None:
            return place
        account = self.trial.settings.model_engine_service_account or self.configuration.fullname
        if not self._has_account(self.namespace, account):
            raise NotApplicable(f"{BEFORE}: the service account {account} is not there, and the chart makes it")
        return replace(place, service_account=account, note="")

    def gpus(self, vendor: str) -> int:
        """How many GPUs of a vendor the cluster's nodes offer."""
        if self.kube is None:
            raise NotApplicable("nodes are seen in the cluster alone")
        row = self.trial.settings.gpu_vendors[vendor]
        return sum(row.offered(one).get(row.resource, 0) for one in self.kube.list(NODES))

    def secrets(self) -> Iterator[tuple[str, str, str, str]]:
        """Every Secret that is named: namespace, name, key ("" for any), and what names it.

        Before an install not what the chart names by itself: pods do without it where nobody made it.
        """
        here, there = (name not in self.missing for name in (self.namespace, self.endpoint_namespace))
        every = [(part, self._place(part)) for part in ("gateway", "builder", "cacher") if here]
        every += [("endpoints", self.endpoint_place())] if there else []
        seen = set()
        configuration = self.configuration
        unnamed = set() if self.release else {*configuration.pull_secrets} - {*configuration.named_pull_secrets}
        for part, place in every:
            for one in _named(place):
                if one[0] not in unnamed and place.namespace and (found := (place.namespace, *one)) not in seen:
                    seen.add(found)
                    yield (*found, f"the {part}" if self.release else f"{self.configuration.source}")

    def absent(self, namespace: str, name: str, key: str, what: str) -> Cause | None:
        """Why a named Secret does not do: nobody made it, or it lacks the key."""
        assert self.kube is not None
        try:
            data = self.kube.get(SECRETS, name, namespace).get("data") or {}
        except NotFound:
            return missing_secret(self.kube.kubectl, namespace, name, what)
        if key and key not in data:
            return Cause(
                f"secret.key/{namespace}/{name}",
                f"the Secret {name} in namespace {namespace} has no key {key}"
                + (f", and {what} names it" if what else ""),
                evidence=(f"its keys: {', '.join(sorted(data)) or 'none'}",),
                do="add the key, or correct its name in the values",
                look=f"{self.kube.kubectl} -n {namespace} describe secret {name}",
            )
        return None

    # -- the parts of it -------------------------------------------------------------------------------------------

    def _place(self, part: str) -> Place:
        if self.release is None:
            return places.before_install(self.configuration, self.namespace, part)
        if part not in self.release.components:
            return Place("", "", "")
        return places.of_component(self.release, part)

    def _as_told(self, place: Place) -> Place:
        settings = self.trial.settings
        account = settings.model_engine_service_account
        if not account:
            return place
        with suppress(Refused):  # then the pods that are to run under it will tell
            if not self._has_account(place.namespace, account):
                raise BadSettings(
                    f"there is no service account {account} in namespace {place.namespace}",
                    source=f"model_engine_service_account: {settings.source('model_engine_service_account')}",
                    do=f"correct it, or leave it away: the release's pods run under {place.service_account}",
                )
        return replace(place, service_account=account)

    def _there(self, namespace: str) -> None:
        if cause := self.missing.get(namespace):
            raise Blocked(cause)

    def _has_account(self, namespace: str, name: str) -> bool:
        assert self.kube is not None
        try:
            self.kube.get(SERVICE_ACCOUNTS, name, namespace)
        except NotFound:
            return False
        return True


def stand(trial: Trial, target: Target, kube: Kube | None) -> Ground:
    """The ground of a run: of the release where there is one, else of the values.

    `BadSettings` where there is neither; what discovery finds goes into the trial's settings.
    """
    values = trial.settings.values
    if kube is None:
        found = Configuration.of_values(values.data, values.source)
        return Ground(trial, None, None, found, "", trial.settings.endpoint_namespace or found.endpoint_namespace)
    try:
        release = discover(kube, trial.settings, target.namespace)
    except NoRelease as error:
        return _before(trial, target, kube, error)
    trial.settings = trial.settings.discovered(release.found)
    known = release.helm.values or values.data
    configuration = Configuration.of_release(kube, release.components["gateway"], known)
    if release.refused is not None and trial.settings.endpoint_namespace is None:
        raise release.refused
    endpoints = trial.settings.endpoint_namespace or configuration.endpoint_namespace or release.namespace
    return _checked(Ground(trial, kube, release, configuration, release.namespace, endpoints))


def _before(trial: Trial, target: Target, kube: Kube, error: NoRelease) -> Ground:
    values, settings = trial.settings.values, trial.settings
    if not values.source:
        raise BadSettings(f"no release here: {error}; and no values say what is to be installed", do=NO_VALUES)
    configuration = Configuration.of_values(values.data, values.source)
    told = str(configuration.launch.get("gateway_namespace") or "")
    namespace = settings.namespace or target.namespace or told
    if not namespace:
        raise BadSettings("nothing says which namespace the release will be in", do=how_to_give("namespace"))
    endpoints = settings.endpoint_namespace or namespace
    return _checked(Ground(trial, kube, None, configuration, namespace, endpoints))


def _checked(ground: Ground) -> Ground:
    """With the namespaces that do not exist; where we may not look, whoever needs one will be told."""
    kube = ground.kube
    assert kube is not None
    for name, what, setting in (
        (ground.namespace, "the release", "namespace"),
        (ground.endpoint_namespace, "its endpoints", "endpoint_namespace"),
    ):
        try:
            kube.get(NAMESPACES, name)
        except NotFound:
            source = ground.trial.settings.source(setting)
            ground.missing[name] = Cause(
                f"namespace.missing/{name}",
                f"there is no namespace {name}, which is to hold {what}",
                evidence=(f"{setting}: {source}",),
                do=f"make it: {kube.kubectl} create namespace {name}; or correct {setting}",
                look=f"{kube.kubectl} get namespaces",
            )
        except NotJudged as error:
            if not isinstance(error, Refused):
                raise
    return ground


def _named(place: Place) -> Iterator[tuple[str, str]]:
    """Name and key of each Secret that a place's pods cannot start without, its pull secrets included."""
    for one in place.env:
        reference = (one.get("valueFrom") or {}).get("secretKeyRef")
        if reference and not reference.get("optional"):
            yield reference["name"], reference["key"]
    for one in place.env_from:
        reference = one.get("secretRef")
        if reference and not reference.get("optional"):
            yield reference["name"], ""
    for one in place.volumes:
        reference = one.get("secret")
        if reference and not reference.get("optional"):
            yield reference["secretName"], ""
    for name in place.pull_secrets:
        yield name, ""
