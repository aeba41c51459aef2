"""The release's infrastructure, as the checks of that phase look at it: each judges one part, and waits if it must."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from seatrial import outlived, policies
from seatrial.kube import Kube, Object
from seatrial.logs import Line
from seatrial.model_engine import agreement, discovery, places
from seatrial.model_engine.configuration import LAUNCH, Configuration
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import (
    autoscaler,
    builder,
    cacher,
    config,
    frameworks,
    hpa,
    kubeconfig,
    leftovers,
    migration,
    redis,
    words,
    workload,
)
from seatrial.probe import Prober
from seatrial.trial import Trial
from seatrial.verdict import Blocked, Cause, NotApplicable, NotJudged, Reason, Unhealthy

RUNNING = 120.0
"""Seconds that a rollout, or a controller, gets to come to its end."""
WATCHED = 20.0
"""Seconds for which restarts are watched at least."""
SLACK = 15.0
"""Seconds beside a program's own cycle, for a machine that is busy."""

Restarts = Mapping[tuple[str, str], int]


@dataclass
class Infra:
    """`release` knows its autoscaler, too, where there is one. `restarts`: of the components' containers at `began`."""

    trial: Trial
    kube: Kube
    release: Release
    restarts: Restarts = field(default_factory=dict)
    began: float = 0.0

    @classmethod
    def first_look(cls, trial: Trial, kube: Kube, release: Release) -> Infra:
        """What there is now: later looks compare with it, and never with a clock."""
        found = discovery.autoscaler(kube, release)
        whole = release if found is None else replace(release, components={**release.components, "autoscaler": found})
        self = cls(trial, kube, whole)
        self.restarts, self.began = self.counts(), time.monotonic()
        return self

    def runs(self, component: str) -> None:
        """Every pod of `component` runs, ready and of its newest template."""
        if component not in self.release.components:
            raise Unhealthy(workload.missing(self.kube, self.release, component))
        since: dict[tuple[str, int], float] = {}

        def look() -> Cause | None:
            if cause := workload.rollout(self.kube, self.release, component):
                return cause
            self.outlived(component, since)
            return None

        self.await_healthy(look, f"{component} runs")

    def outlived(self, component: str, since: dict[tuple[str, int], float]) -> None:
        """A container in a crash loop is ready for a moment, too: AssertionError until it has outlived its last run.

        `since`: when each run was first seen, since a node's clock may be another than the API server's.
        """
        for pod in words.pods(self.kube, self.release, component):
            for status in pod.get("status", {}).get("containerStatuses") or []:
                if status["name"] == self.release.container(component) and (wanted := outlived.needed(status)):
                    name, now = pod["metadata"]["name"], time.monotonic()
                    seen = now - since.setdefault((name, status.get("restartCount", 0)), now)
                    for_now = max(seen, outlived.age(status, self.kube.now()))
                    said = f"{name} has been restarted, and has not lasted for {wanted:.0f} s yet, as it did not before"
                    assert for_now >= wanted, said

    def await_healthy(self, look: Callable[[], Cause | None], what: str, timeout: float = RUNNING) -> None:
        """Wait until `look` finds no cause."""

        def probe() -> None:
            if cause := look():
                raise Unhealthy(cause)

        self.trial.wait.until(probe, timeout, what=what)

    def switched_off(self, setting: str) -> None:
        """`NotApplicable` where the release has that part off, by its values or by what the user says."""
        if getattr(self.trial.settings, setting) is False:
            raise NotApplicable(f"the release has it off: {setting} is false ({self.trial.settings.source(setting)})")

    def hpa_can_scale(self) -> None:
        """The gateway's HorizontalPodAutoscaler is there and has metrics."""
        self.switched_off("autoscaling_horizontal")
        self.await_healthy(lambda: hpa.trouble(self.kube, self.release), "HPA", 60)

    def no_migration_left(self) -> None:
        """No migration has failed; one that goes on is waited for."""
        self.await_healthy(lambda: migration.trouble(self.kube, self.release), "migration", 600)

    def broken_pods(self) -> None:
        """No pod of the release is in an error state; others' are a warning."""
        found = leftovers.look(self.kube, self.release)
        if found.others:
            self.trial.warn(f"pods of others in namespace {self.release.namespace}: {', '.join(found.others[:10])}")
        for kind, count in found.apart.items():
            self.trial.note(f"not judged here, broken pods {kind}: {count}")
        if found.release:
            raise Unhealthy(found.release[0])

    def autoscaler_iterates(self) -> None:
        """Each of its pods completes a new pass of its loop."""
        self.new_lines("autoscaler", autoscaler.iterations, autoscaler.trouble, 2 * SLACK)

    def cacher_cycles(self) -> None:
        """Each of its pods completes a new cycle within two."""
        self.new_lines("cacher", cacher.cycles, cacher.silent, 2 * cacher.CYCLE + SLACK)

    def new_lines(
        self,
        component: str,
        select: Callable[[Sequence[Line]], list[Line]],
        trouble: Callable[[Kube, Release], Cause | None],
        timeout: float,
    ) -> None:
        """Wait until every pod of `component` has said something that `select` selects and that was not there before.

        Told by the lines themselves: the clocks of a pod and of this machine are never compared.
        """
        if component not in self.release.components:
            raise Unhealthy(workload.missing(self.kube, self.release, component))
        before = self.newest(component, select)

        def probe() -> None:
            now = self.newest(component, select)
            silent = [pod for pod in now if now[pod] == before.get(pod, "")]
            if now and not silent:
                return
            if cause := trouble(self.kube, self.release):
                raise Unhealthy(cause)
            assert now, f"the {component} has no pod"
            raise AssertionError(f"{', '.join(silent)} of the {component} has completed no cycle since we look")

        self.trial.wait.until(probe, timeout, what=f"a cycle of the {component}")

    def newest(self, component: str, select: Callable[[Sequence[Line]], list[Line]]) -> dict[str, str]:
        """The newest of the selected lines of each pod, as it stands in the log; empty where there is none yet."""
        found = dict.fromkeys((pod["metadata"]["name"] for pod in words.pods(self.kube, self.release, component)), "")
        for said in words.said(self.kube, self.release, component):
            if not said.previous and (lines := select(said.lines)):
                found[said.pod] = lines[-1].raw
        return found

    def builder_is_connected(self) -> None:
        """The last word of each worker is that it takes tasks; the whole log is read where its end does not tell."""

        def look() -> Cause | None:
            if cause := builder.trouble(self.kube, self.release):
                return cause
            ends = list(self.said_now("builder", words.TAIL))
            silent = [one.pod for one in ends if builder.last_word(one.lines) is None]
            if silent:
                ends = [one for one in self.said_now("builder", None) if one.pod in silent]
                silent = [one.pod for one in ends if builder.last_word(one.lines) is None]
            assert ends, "the builder has no log"
            if silent and self.begins_late(silent):
                namespace = self.trial.settings.endpoint_namespace or self.release.namespace
                if built := builder.has_built(self.kube, self.release, namespace):
                    self.trial.note(f"the builder's log has been rotated and tells nothing; it has built {built}")
                    return None
                raise NotJudged(
                    Reason.TOOL,
                    f"the log of {', '.join(silent)} has been rotated and says nothing of its worker any more",
                    source="the builder's whole log",
                    do="let it build something, -m tier_a does, and try again; or restart it",
                )
            assert not silent, f"{', '.join(silent)} has not said that its worker is ready"
            return None

        self.await_healthy(look, "the builder's worker", 60)

    def said_now(self, component: str, tail: int | None) -> list[words.Said]:
        """The logs of the present runs."""
        return [one for one in words.said(self.kube, self.release, component, tail=tail) if not one.previous]

    def begins_late(self, pods: Sequence[str]) -> bool:
        """Whether the logs of `pods` begin in the middle: without the lines that every program of the product begins
        with, so that they were rotated."""
        return all(
            one.lines and not any(line.name == "model_engine_server.core.config" for line in one.lines)
            for one in self.said_now("builder", None)
            if one.pod in pods
        )

    def configured(self) -> None:
        """Each ConfigMap that the components mount is there, parses, and has what the product needs of it."""
        names = config.mounted(self.release)
        if not names:
            raise NotApplicable("the release mounts no ConfigMap: its configuration is in files of its image")
        for name in names:
            if cause := config.complete(self.kube, self.release, name):
                raise Unhealthy(cause)
        self.trial.note(f"complete: {', '.join(names)}")

    def same_in_both_namespaces(self) -> None:
        """Endpoints' pods are given the configuration that the control plane has."""
        settings = self.trial.settings
        if settings.endpoint_namespace is None and self.release.refused is not None:
            raise self.release.refused
        where = settings.need(settings.endpoint_namespace, "endpoint_namespace")
        if where == self.release.namespace:
            raise NotApplicable(f"endpoints run in the release's own namespace {where}: there is one configuration")
        if cause := config.differing(self.kube, self.release, where):
            of_its_own = f"/{self.release.namespace}/" in cause.key  # which is another check's
            raise Blocked(cause) if of_its_own else Unhealthy(cause)

    def kubeconfig_is_valid(self) -> None:
        """The kubeconfig that the documented contract embeds has clusters and users."""
        documented = self.trial.settings.contract == "documented" or self.release.name("gateway").endswith("-gateway")
        if cause := kubeconfig.trouble(self.kube, self.release, expected=documented):
            raise Unhealthy(cause)

    def frameworks_are_the_releases(self) -> None:
        """The ConfigMap of the inference frameworks' tags holds what helm was given last."""
        if not self.release.helm.known:
            self.trial.note(f"the frameworks' tags are not compared: {self.release.helm}")
        if cause := frameworks.trouble(self.kube, self.release):
            raise Unhealthy(cause)

    def brokers_agree(self) -> None:
        """Helm, gateway, builder, autoscaler and forwarders go by one broker."""
        found = Configuration.of_release(self.kube, self.release.components["gateway"], self.release.helm.values)
        self.trial.note(f"the broker is {agreement.require(self.kube, self.release, found)}")

    def redis_lets_the_cacher_in(self) -> None:
        """A pod of ours in the cacher's place reads its URL, logs in, and writes a key that ends by itself."""
        place = places.of_component(self.release, "cacher")
        found = Configuration.of_release(self.kube, self.release.components["gateway"])
        found.require()
        cache = found.cache_redis
        if cache is None or not cache.key:
            raise NotApplicable(f"{found.source} has no address of Redis that a probe could use as it is")
        reference = {"configMapKeyRef": {"name": found.config_map, "key": LAUNCH}}
        place = replace(place, env=(*place.env, {"name": LAUNCH.upper(), "valueFrom": reference}))
        key = f"launch-k8s-cache:{self.trial.run.name('probe')}"  # rights may be given by the beginning of a key
        commands = [["PING"], ["SET", key, "1", "EX", "5"]]
        ask = {"yaml_env": LAUNCH.upper(), "keys": [cache.key], "commands": commands}
        probe = Prober(self.trial, self.kube).start("cacher-redis", place, "redis_ask", (ask,))
        said = probe.result()
        if not said["ok"]:
            policies.refuse_doubt(self.kube, place.namespace, probe.labels, said)
            evidence = (f"{said.get('step') or 'connect'}: {said.get('said')}", f"seen from {place.seen_from}")
            raise Unhealthy(redis.replied(str(said["code"]), str(said["at"]), evidence))
        self.trial.note(f"Redis at {said['at']} takes the cacher's URL, seen from {place.seen_from}")

    def counts(self) -> Restarts:
        """How often the components' own containers have been restarted, by pod and container."""
        return {place: one.get("restartCount", 0) for place, (_, one) in self.statuses().items()}

    def statuses(self) -> Mapping[tuple[str, str], tuple[str, Object]]:
        """Of the components' own containers, by pod and container: the component and the container's status."""
        return {
            (pod["metadata"]["name"], one["name"]): (component, one)
            for component in self.release.components
            for pod in words.pods(self.kube, self.release, component)
            for one in pod.get("status", {}).get("containerStatuses") or []
            if one["name"] == self.release.container(component)
        }

    def no_restarts(self) -> None:
        """None of those counts has grown since the first look, some seconds ago at least, and none waits to."""
        window = WATCHED * self.trial.settings.timeout_factor

        def probe() -> None:
            for place, (component, status) in self.statuses().items():
                waits = (status.get("state", {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff"
                if waits or status.get("restartCount", 0) > self.restarts.get(place, 0):
                    raise Unhealthy(self.restarted(component, place, status.get("restartCount", 0)))
            left = window - (time.monotonic() - self.began)
            assert left <= 0, f"watched for {WATCHED:g} s"

        self.trial.wait.until(probe, 2 * WATCHED, what="restarts")
        self.trial.note(f"no restart of a component in {time.monotonic() - self.began:.0f} s")

    def restarted(self, component: str, place: tuple[str, str], count: int) -> Cause:
        """Why, by the last words of what ended."""
        (pod, container), namespace = place, self.release.namespace
        before = self.restarts.get(place, 0)
        evidence = f"pod {namespace}/{pod}, container {container}: {count} restarts, {before} at the first look"
        if cause := workload.dying(self.kube, self.release, component):
            return replace(cause, evidence=(*cause.evidence, evidence), settle=0.0)
        return Cause(
            f"{component}.restarts/{namespace}",
            f"the {component} is restarted during the run",
            evidence=(evidence,),
            settle=0.0,
            do="see what its last run said",
            look=f"{self.kube.kubectl} -n {namespace} logs {pod} -c {container} --previous",
        )
