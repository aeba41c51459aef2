"""What the cacher writes to Redis of one endpoint, seen from where the cacher runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from seatrial import policies
from seatrial.kube import Kube
from seatrial.model_engine import places
from seatrial.model_engine.configuration import LAUNCH, Configuration
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import cacher as cacher_health
from seatrial.probe import Probe, Prober
from seatrial.trial import Trial
from seatrial.verdict import Cause, NotJudged, Reason, Unhealthy

CONFIGURATION = "SEATRIAL_CONFIGURATION"
"""The variable in our pod that holds the release's own configuration."""
EVERY = 0.5
"""Seconds between two looks of our pod."""
MOVED = 1.0
"""Seconds by which a key's expiry moves when it is written anew, at the least; it does not move by itself."""


@dataclass
class Published:
    """Looks at the keys of endpoints. `seconds_to_live`: what the key had to live when it was last written."""

    trial: Trial
    kube: Kube
    release: Release
    configuration: Configuration
    seconds_to_live: float = 0.0
    _probes: dict[str, Probe | Exception] = field(default_factory=dict)

    def watch(self, endpoint_id: str) -> None:
        """Begin to look, so that cycles which pass while somebody waits for the endpoint count; raises nothing.

        What kept us from it is for `await_written` to say.
        """
        if endpoint_id in self._probes:
            return
        try:
            self._probes[endpoint_id] = self._probe(key_of(endpoint_id))
        except Exception as error:
            self._probes[endpoint_id] = error

    def close(self) -> None:
        """Ask for the removal of our pods; raises nothing."""
        for one in self._probes.values():
            if isinstance(one, Probe):
                one.remove()
        self._probes.clear()

    def await_written(self, endpoint_id: str) -> None:
        """Return once the cacher has written the endpoint's key: its expiry moves while the key is there.

        The builder writes it once, and the gateway where it is missing, both for longer than the cacher does: that the
        key is there proves nothing of the cacher. `Unhealthy` if it is not written within three cycles.
        """
        key = key_of(endpoint_id)
        self.watch(endpoint_id)
        probe = self._probes[endpoint_id]
        if isinstance(probe, Exception):
            raise probe
        try:
            self._seen(probe, key)
            longest = 3 * cacher_health.CYCLE
            self.trial.wait.until(lambda: self._written(probe, key), longest, what=f"the cacher to write {key}")
        except Unhealthy as error:
            raise Unhealthy(self._unwritten(key, error.cause)) from None
        finally:
            self.close()

    def _probe(self, key: str) -> Probe:
        self.configuration.require()
        redis = self.configuration.cache_redis
        if redis is None:
            raise NotJudged(
                Reason.TOOL,
                "where the cacher's Redis is stands in a secret of the cloud, which no check of today reads",
            )
        place = places.of_component(self.release, "cacher")
        # The address may hold a password, and an argument is for everybody to read.
        text = {"configMapKeyRef": {"name": self.configuration.config_map, "key": LAUNCH}}
        place = replace(place, env=(*place.env, {"name": CONFIGURATION, "valueFrom": text}))
        ask = {"yaml_env": CONFIGURATION, "keys": [redis.key], "commands": [["PTTL", key]], "every": EVERY}
        longest = self.trial.settings.longest_check() / self.trial.settings.timeout_factor
        return Prober(self.trial, self.kube).start("cache", place, "redis_ask", (ask,), timeout=longest)

    def _seen(self, probe: Probe, key: str) -> None:
        """Our pod has looked; the time that it takes to start is not the cacher's."""
        try:
            self.trial.wait.until(
                lambda: self._looks(probe, key), self.trial.settings.image_pull_timeout, what=f"a look at {key}"
            )
        except Unhealthy as error:
            if error.cause.key.startswith("timeout/"):
                raise NotJudged(Reason.TOOL, f"nobody has looked at {key}: our pod did not start") from None
            raise

    def _looks(self, probe: Probe, key: str) -> list[tuple[float, float]]:
        """Each look: when, by the pod's clock, and how many seconds the key had to live; below 0: it is not there."""
        found = probe.lines()
        assert found, f"our pod has not looked at {key} yet"
        if not found[-1]["ok"]:
            last = found[-1]
            policies.refuse_doubt(self.kube, probe.place.namespace, probe.labels, last)
            code = str(last["code"]).lower()
            raise Unhealthy(
                Cause(
                    f"redis.{code}/{last['at']}",
                    f"the Redis at {last['at']} does not let the cacher in: {last['said']}",
                    evidence=(f"seen from {probe.place.seen_from}",),
                    do="correct the address or the password in the release's configuration, then restart the cacher",
                )
            )
        return [(one["clock"], one["replies"][0] / 1000) for one in found if one["ok"]]

    def _written(self, probe: Probe, key: str) -> None:
        looks = self._looks(probe, key)
        written = newly_written(looks)
        here = "it is not there" if looks[-1][1] < 0 else "it is there, and nobody has written it anew"
        assert written is not None, here
        self.seconds_to_live = written

    def _unwritten(self, key: str, cause: Cause) -> Cause:
        if not cause.key.startswith("timeout/"):
            return cause
        if found := cacher_health.silent(self.kube, self.release):
            return found
        return Cause(
            f"cacher.unwritten/{self.release.namespace}",
            f"the cacher does not write {key}, in three of its cycles",
            evidence=cause.evidence,
            do="its log says what it waits for",
            look=f"{self.kube.kubectl} -n {self.release.namespace} logs deployment/{self.release.name('cacher')}",
        )


def key_of(endpoint_id: str) -> str:
    """Under which the product keeps what the cluster says of an endpoint."""
    return f"launch-k8s-cache:{endpoint_id}"


def newly_written(looks: Iterable[tuple[float, float]]) -> float | None:
    """What the key had to live when its expiry last moved while it was there; None if it never did."""
    found, last = None, None
    for clock, to_live in looks:
        expiry = clock + to_live if to_live > 0 else None
        if expiry is not None and last is not None and abs(expiry - last) > MOVED:
            found = to_live
        last = expiry
    return found
