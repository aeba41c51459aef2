"""Redis, the database and the broker, asked from where the product asks them, and what their answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from seatrial import policies
from seatrial.journal import Entry
from seatrial.model_engine import places
from seatrial.model_engine.configuration import (
    BROKER_DATABASES,
    DEFAULT_SQS_REGION,
    LAUNCH,
    REDIS,
    SERVICE_BUS,
    SQS,
    Redis,
)
from seatrial.model_engine.ground import Ground
from seatrial.model_engine.health import database, redis, service_bus
from seatrial.model_engine.health.signs import Sign, by_code
from seatrial.model_engine.queue_services import QUEUE_SERVICES, QueueService
from seatrial.probe import Place
from seatrial.secret import Secret
from seatrial.settings import how_to_give
from seatrial.verdict import BadSettings, Blocked, Cause, NotApplicable, NotJudged, Reason, Unhealthy, Unreachable

QUEUE = "queue"
"""Kind of the journal's entries for queues of ours."""
PREFIX = "launch-endpoint-id-"
"""What the names of the product's queues begin with: rights may end there."""
CACHE_PREFIX = "launch-k8s-cache:"
"""What the keys of the product's cache begin with."""
DATABASE_URL, CLOUD_SECRET, TOKEN = "ML_INFRA_DATABASE_URL", "DB_SECRET_NAME", "REDIS_AUTH_TOKEN"
"""Variables of the product's pods."""
SETTINGS = {"cache": ("redis_host", "redis_port"), "broker": ("broker_redis_host", "broker_redis_port")}
"""What users say of a Redis: the settings of its host and port."""
_OURS = "SEATRIAL_URL"
_CONFIG = "SEATRIAL_CONFIG"
SQLSTATES = {
    "28P01": "auth",
    "28000": "auth",
    "3D000": "no-database",
    "53300": "too-many",
    "57P03": "loading",
    "42501": "denied",
    "25006": "readonly",
}
"""What PostgreSQL's codes are called in causes."""


@dataclass
class Answer:
    """What one service was asked: `result` gives the answer, or raises what it means."""

    ground: Ground
    service: str
    probe: Any
    place: Place
    look: str = ""

    def result(self) -> dict[str, Any]:
        """The program's line; `Unhealthy` with its cause, *error* for a time-out that may be the probe's own."""
        said: dict[str, Any] = self.probe.result()
        if self.service in QUEUE_SERVICES and not self.place.namespace:
            self._as_somebody_else(QUEUE_SERVICES[self.service], said)
        if said["ok"]:
            note = f" ({self.place.note})" if self.place.note else ""
            self.ground.trial.note(f"{said['at']} answers {self._seen_from()}{note}")
            return said
        if self.ground.kube is not None and self.place.namespace:
            policies.refuse_doubt(self.ground.kube, self.place.namespace, self.probe.labels, said)
        raise Unhealthy(self._cause(said))

    def _as_somebody_else(self, asked: QueueService, said: Mapping[str, Any]) -> None:
        """Asked from this machine it is not the release's role that was let in, or was not."""
        line = f"{asked.title} was asked with this machine's own credentials, not as the release's service account"
        if not said["ok"] and asked.called(str(said["code"])) in ("auth", "denied"):
            raise NotJudged(
                Reason.PERMISSION,
                f"{line}: {said['said']}",
                source=self.ground.trial.settings.source("probe_from"),
                do="let a pod ask (probe_from: pod), or give this machine the role's credentials",
            )
        self.ground.trial.warn(line)

    @property
    def region(self) -> str:
        """The one that SQS was asked in, whatever came of it."""
        return str(self.probe.result()["region"])

    def remove(self) -> None:
        """Remove what asks."""
        self.probe.remove()

    def _seen_from(self) -> str:
        return f"to {self.place.seen_from}" if self.place.namespace else "to this machine"

    def _cause(self, said: Mapping[str, Any]) -> Cause:
        quoted = (f"{said['at']}: {said['said']}", f"asked from {self.place.seen_from}" if self.place.namespace else
                  "asked from this machine")  # fmt: skip
        return cause(self.service, str(said["code"]), str(said["at"]), quoted, self.look)


def cause(service: str, code: str, at: str, evidence: tuple[str, ...] = (), look: str = "") -> Cause:
    """What a program's `code` means: for ``redis``, ``database``, ``sqs`` or ``servicebus``."""
    match service:
        case "database":
            name = SQLSTATES.get(code, code)
            sign = by_code(database.SIGNS, name) or Sign(name.lower(), (), f"the database {{at}} answers {code}", "")
            return sign.cause("database", at, evidence, look)
        case _ if service in QUEUE_SERVICES:
            asked = QUEUE_SERVICES[service]
            name = asked.called(code)
            sign = by_code(asked.signs, name) or Sign(name.lower(), (), f"the broker {{at}} answers {code}", "")
            return sign.cause(asked.component, service, evidence, look)
        case _:
            return redis.replied(code, at, evidence, look)


# -- asking ---------------------------------------------------------------------------------------------------------


def cache(ground: Ground) -> Answer:
    """Redis that holds the cache: PING, and a write, since the product writes there."""
    settings, configuration = ground.trial.settings, ground.configuration
    ground.configuration.require()
    found = configuration.cache_redis
    if found is None and settings.redis_host is None:
        if ground.kube is None and not configuration.source:
            raise NotApplicable("nothing says where Redis is, and the run goes without the cluster (--no-cluster)")
        secret = configuration.cache_secret
        where = f"its address is in the cloud's secret {secret}" if secret else "nothing says where the cache is"
        raise BadSettings(f"{where}", source=configuration.source, do=how_to_give("redis_host"))
    place = _with(ground.place("cacher" if ground.release else "gateway"))
    ask: dict[str, Any] = {"commands": [["PING"], _write(ground, CACHE_PREFIX)]}
    return _redis(ground, place, ask, found, "cache")


def redis_broker(ground: Ground) -> Answer:
    """The Redis broker: PING, and a write in each database of the product's. `NotApplicable` where it is another."""
    settings = ground.trial.settings
    ground.configuration.require()
    ground.trial.scope.require_clouds(ground.configuration.cloud, ground.configuration.source)
    if ground.configuration.broker != REDIS and (ground.release or settings.broker_redis_host is None):
        raise _another_broker(ground)
    place = _with(ground.place("builder" if ground.release else "gateway"), TOKEN)
    found = ground.configuration.broker_redis(places.plain_env(place))
    if found is None and settings.broker_redis_host is None:
        raise BadSettings("nothing says where the Redis broker is", do=how_to_give("broker_redis_host"))
    each = [one for database in BROKER_DATABASES for one in (["SELECT", database], _write(ground, PREFIX))]
    ask: dict[str, Any] = {"commands": [["PING"], *each], "token_env": TOKEN}
    return _redis(ground, place, ask, found, "broker")


def database_answers(ground: Ground) -> Answer:
    """The database: a connection and ``SELECT 1``."""
    settings = ground.trial.settings
    place = _with(ground.place("gateway"), DATABASE_URL)
    secrets: dict[str, Secret] = {}
    ask = {"env": DATABASE_URL}
    if settings.db_url is not None:
        ask, secrets = {"env": _OURS}, {_OURS: settings.db_url}
        if ground.release is not None:
            ground.trial.note(f"asked at db_url ({settings.source('db_url')}), which need not be what the release has")
    elif ground.kube is None:
        raise NotApplicable("nothing says where the database is, and the run goes without the cluster (--no-cluster)")
    elif DATABASE_URL not in {one["name"] for one in place.env}:
        cloud = places.plain_env(place).get(CLOUD_SECRET)
        where = f"the database's address is in the cloud's secret {cloud}" if cloud else "nothing says where it is"
        raise BadSettings(where, source=ground.configuration.source, do=how_to_give("db_url"))
    probe = ground.prober.start("database", place, "database_ask", (ask,), secrets)
    return Answer(ground, "database", probe, _seen(ground, place), _look(ground, "gateway"))


def sqs_lists(ground: Ground) -> Answer:
    """SQS: the list of queues, as the release's service account."""
    return _queue_service(ground, QUEUE_SERVICES[SQS], "list", {})


def sqs_goes_round(ground: Ground) -> RoundTrip:
    """A message through a queue of ours in SQS; the queue is in the journal before it is made."""
    return _goes_round(ground, QUEUE_SERVICES[SQS])


def service_bus_goes_round(ground: Ground) -> RoundTrip:
    """The same in Service Bus: a sender opens, and the message comes out at a receiver."""
    return _goes_round(ground, QUEUE_SERVICES[SERVICE_BUS])


def _goes_round(ground: Ground, asked: QueueService) -> RoundTrip:
    run = ground.trial.run
    name = f"{PREFIX}{run.name('probe')}"
    answer = _queue_service(ground, asked, "round", {"queue": name, "tags": {"seatrial-run": run.id}}, journaled=name)
    return RoundTrip(answer, name)


@dataclass
class RoundTrip:
    """The way of one message through a queue of ours."""

    answer: Answer
    name: str

    def result(self) -> dict[str, Any]:
        """The program's line; the journal's entry is settled when the queue is gone, or was never made."""
        journal = self.answer.ground.trial.journal
        try:
            said = self.answer.probe.result()
        except (Blocked, NotJudged):
            if not self.answer.probe.began:
                journal.settled(Entry(QUEUE, self.name), "never made")
            raise
        if "deleted" in said["done"]:
            journal.settled(Entry(QUEUE, self.name))
        elif "created" not in said["done"] and (said["code"] != "timeout" or not said.get("sent", True)):
            journal.settled(Entry(QUEUE, self.name), "never made")
        return self.answer.result()

    @property
    def sdk(self) -> str:
        """The version of the broker's SDK in the release's own image, whatever came of the message.

        `NotApplicable` where this machine or another image has asked, `NotJudged` where the image does not say.
        """
        settings, asked = self.answer.ground.trial.settings, self.answer.probe.image
        said = self.answer.probe.result()
        if not asked or asked != self.answer.place.image:
            by = "probe_image" if settings.probe_image else "overlays"
            by = "probe_from" if settings.probe_from == "runner" else by
            who = f"the image {asked}" if asked else "this machine"
            raise NotApplicable(
                f"{who} has asked ({by}: {settings.source(by)}): the SDK in the release's own image was not seen"
            )
        if not (found := str(said.get("sdk") or "")):
            raise NotJudged(Reason.TOOL, f"the image {asked} does not say which version of the broker's SDK it has")
        return found

    def remove(self) -> None:
        """Remove what asks; a queue that it left stays in the journal."""
        self.answer.remove()


def queue(ground: Ground, do: str, name: str) -> dict[str, Any]:
    """``depth`` or ``delete`` the queue `name` of the release's queue service: the program's line."""
    return _queue_service(ground, _its_own(ground), do, {"queue": name}).result()


def queues(ground: Ground, prefix: str) -> list[str]:
    """The names of its queues that begin with `prefix`."""
    return [str(one) for one in _queue_service(ground, _its_own(ground), "list", {"prefix": prefix}).result()["queues"]]


def _its_own(ground: Ground) -> QueueService:
    """`NotApplicable` where the broker is none."""
    ground.configuration.require()
    if ground.configuration.broker not in QUEUE_SERVICES:
        raise _another_broker(ground)
    return QUEUE_SERVICES[ground.configuration.broker]


def _queue_service(
    ground: Ground, asked: QueueService, do: str, more: Mapping[str, Any], journaled: str = ""
) -> Answer:
    configuration = ground.configuration
    ground.configuration.require()
    ground.trial.scope.require_cloud(asked.cloud, configuration.cloud, configuration.source)
    if configuration.broker != asked.name:
        raise _another_broker(ground)
    place = _with(ground.identity("builder" if ground.release else "gateway"), *asked.variables)
    own, where = WHERE[asked.name](ground, place)
    ask: dict[str, Any] = {"do": do, **more, **own}
    if journaled:
        ground.trial.journal.intend(QUEUE, journaled, where=where, by_pod=True, type=asked.deletes(journaled, where))
    try:
        probe = ground.prober.start(f"{asked.name}-{do}", place, asked.program, (ask,))
    except Unreachable:
        raise  # the pod may be there
    except Exception:
        if journaled:
            ground.trial.journal.settled(Entry(QUEUE, journaled), "never made")
        raise
    return Answer(ground, asked.name, probe, _seen(ground, place), _look(ground, "builder"))


def _region(ground: Ground, place: Place) -> tuple[dict[str, str], str]:
    """What SQS is asked with, and in which region."""
    settings = ground.trial.settings
    theirs = places.plain_env(place).get("AWS_REGION") or DEFAULT_SQS_REGION
    if settings.aws_region and ground.release is None:
        return {"region": settings.aws_region}, settings.aws_region
    if settings.aws_region and settings.aws_region != theirs:
        _another(ground, SQS, "wrong-region", ("AWS_REGION", theirs), ("aws_region", settings.aws_region))
    return {}, theirs


def _namespace(ground: Ground, place: Place) -> tuple[dict[str, str], str]:
    """What Service Bus is asked with, and in which of its namespaces."""
    theirs = places.plain_env(place).get("SERVICEBUS_NAMESPACE") or ""
    told, own = (
        one.lower().removesuffix(service_bus.SUFFIX) for one in (ground.trial.settings.asb_namespace or "", theirs)
    )
    if told and (ground.release is None or not theirs):
        return {"namespace": told}, told
    if told and told != own:
        _another(ground, SERVICE_BUS, "wrong-namespace", ("SERVICEBUS_NAMESPACE", theirs), ("asb_namespace", told))
    return {}, theirs


WHERE = {SQS: _region, SERVICE_BUS: _namespace}
"""What each queue service is asked with beside the pods' own variables, and where: its region or namespace."""


def _another(ground: Ground, broker: str, code: str, theirs: tuple[str, str], told: tuple[str, str]) -> None:
    """The pods' variable says another place than the user's setting: one that is set for other programs, too, is doubt.

    `theirs`, `told`: name and value.
    """
    asked, (variable, there), (setting, elsewhere) = QUEUE_SERVICES[broker], theirs, told
    source = ground.trial.settings.source(setting)
    line = f"the release's pods ask {asked.title} in {there}, and {setting} is {elsewhere} ({source})"
    if source.endswith("(environment)"):
        ground.trial.warn(line)
        return
    raise Unhealthy(
        Cause(
            f"{asked.component}.{code}/{broker}",
            line,
            evidence=(f"{variable} of the builder's pods: {there}",),
            do=f"set {variable} for the release's pods, or correct {setting}",
            look=_look(ground, "builder"),
        )
    )


def _redis(
    ground: Ground,
    place: Place,
    ask: dict[str, Any],
    found: Redis | None,
    what: str,
) -> Answer:
    """Its address by the configuration, host and port by the settings where they are given; no password of the release
    leaves the cluster, and none is in an argument."""
    host, port = _told(ground, found, what)
    secrets: dict[str, Secret] = {}
    if found is None:
        ask["url"] = "redis://"  # host and port are beside it
    elif not found.secret:
        ask["url"] = found.url
    elif ground.configuration.config_map:
        reference = {"name": ground.configuration.config_map, "key": LAUNCH}
        place = replace(place, env=(*place.env, {"name": _CONFIG, "valueFrom": {"configMapKeyRef": reference}}))
        ask |= {"yaml_env": _CONFIG, "keys": [found.key]}
    else:
        ask["env"], secrets = _OURS, {_OURS: Secret(found.url)}
    if host:
        ask["host"] = host
    if port:
        ask["port"] = port
    probe = ground.prober.start(f"redis-{what}", place, "redis_ask", (ask,), secrets)
    return Answer(
        ground, "redis", probe, _seen(ground, place), _look(ground, "cacher" if what == "cache" else "builder")
    )


def _told(ground: Ground, found: Redis | None, what: str) -> tuple[str | None, int | None]:
    """Host and port by the user's settings, None for what is not given; what the release goes by is in doubt beside it.

    Variables that are set for other programs, too, do not lead away from the release's own Redis.
    """
    settings, names = ground.trial.settings, SETTINGS[what]
    host, port = (getattr(settings, name) for name in names)
    if found is None or ground.release is None or settings.probe_from == "runner":
        return host, port
    differ = [
        name
        for name, given, theirs in zip(names, (host, port), (found.host, found.port), strict=True)
        if given and str(given).lower() != str(theirs).lower()  # DNS knows no case
    ]
    if not differ:
        return host, port
    sources = [settings.source(name) for name in differ]
    astray = all(one.endswith("(environment)") for one in sources)
    told = f"{host or found.host}:{port or found.port}"
    ground.trial.warn(
        f"the release goes by Redis at {found.at}, the settings say {told} ({', '.join(sources)}): "
        f"{found.at if astray else told} was asked"
    )
    return (None, None) if astray else (host, port)


def _with(place: Place, *wanted: str) -> Place:
    """With those Secrets alone that a program needs, by the beginnings of their variables' names."""
    env = (
        one for one in place.env if "secretKeyRef" not in (one.get("valueFrom") or {}) or one["name"].startswith(wanted)
    )
    volumes = (one for one in place.volumes if "secret" not in one)
    return replace(place, env=tuple(env), volumes=tuple(volumes))


def _write(ground: Ground, prefix: str) -> list[Any]:
    """A key of ours among the product's, for a moment: a replica, or a user who may only read, refuses it."""
    return ["SET", f"{prefix}{ground.trial.run.name('probe')}", "1", "PX", 1000]


def _another_broker(ground: Ground) -> NotApplicable:
    configuration = ground.configuration
    if not configuration.source:
        return NotApplicable("nothing says which broker the release has")
    return NotApplicable(f"the broker is {configuration.broker} ({configuration.source})")


def _seen(ground: Ground, place: Place) -> Place:
    """Where it is seen from: a place without a namespace is this machine."""
    return place if ground.kube is not None and ground.trial.settings.probe_from == "pod" else Place("", "", "")


def _look(ground: Ground, part: str) -> str:
    if ground.kube is None:
        return ""
    if ground.release is None or part not in ground.release.components:
        return f"{ground.kube.kubectl} -n {ground.namespace} get secrets,pods"
    return f"{ground.kube.kubectl} -n {ground.namespace} logs deployment/{ground.release.name(part)} --tail 50"
