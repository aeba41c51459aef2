"""What the logs of Model Engine's parts tell: recorded ones first, then what facts say of the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logged import CONFIG, ENDPOINTS, NAMESPACE, REDIS, Logged, line, recorded
from recordings import until

from seatrial import outlived
from seatrial.model_engine import discovery
from seatrial.model_engine.discovery import Release
from seatrial.model_engine.health import autoscaler, builder, cacher, config, gateway, images, kubeconfig, workload
from seatrial.model_engine.infra import Infra
from seatrial.record import Record
from seatrial.resources import CONFIG_MAPS, DEPLOYMENTS
from seatrial.run import Run, new_id
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import Cause, NotApplicable, NotJudged, Unhealthy


@pytest.fixture
def release(logged: Logged) -> Release:
    """The release with nothing said, all of it running."""
    for component in ("gateway", "builder", "cacher", "autoscaler"):
        logged.say(component)
        logged.say(component, previous=True)
        logged.status(component)
    found = discovery.autoscaler(logged.kube, logged.release)
    assert found is not None
    return replace(logged.release, components={**logged.release.components, "autoscaler": found})


@pytest.fixture
def infra(logged: Logged, release: Release, tmp_path: Path) -> Iterator[Infra]:
    """Its waits are over soon."""
    settings, run = Settings.load({"timeout_factor": "0.05"}, {}, tmp_path), Run("t5k2m9x7qd", tmp_path / "run")
    record = Record(run)
    yield Infra(Trial(run, settings, record), logged.kube, release)
    record.close()


CRASHED = {"ready": False, "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
CRASHED |= {"lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}


def key(cause: Cause | None) -> str:
    return cause.key if cause else ""


# -- gateway -------------------------------------------------------------------------------------------------------

TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1, in asyncpg_or_redis\n'


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (
            "sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) <class "
            "'asyncpg.exceptions.UndefinedTableError'>: relation \"hosted_model_inference.endpoints\" does not exist\n"
            "[SQL: SELECT 1]",
            "database.not-migrated/models/llm",
        ),
        ("OSError: [Errno 111] Connect call failed ('10.0.0.7', 5432)", "database.refused/10.0.0.7:5432"),
        ("asyncpg.exceptions.InvalidPasswordError: password authentication failed", "database.auth/models/llm"),
        (
            "redis.exceptions.ConnectionError: Error 111 connecting to r.example:6380. 111.",
            "redis.refused/r.example:6380",
        ),
        ("redis.exceptions.AuthenticationError: Authentication required.", f"redis.noauth/{REDIS}"),
        ("redis.exceptions.NoPermissionError: this user has no permissions to run 'set'", f"redis.noperm/{REDIS}"),
        ("redis.exceptions.ReadOnlyError: You can't write against a read only replica.", f"redis.readonly/{REDIS}"),
        ("InvalidRequestException: No checkpoint path found for model m", "gateway.checkpoint-unsent/models"),
        ("KeyError: 'nobody knows'", ""),
    ],
)
def test_a_500_is_explained_by_its_request(logged: Logged, release: Release, exception: str, expected: str) -> None:
    structured = {"error": "x", "request_id": "7f3a", "traceback": f"{TRACE}{exception}\n"}
    other = {**structured, "request_id": "another", "traceback": f"{TRACE}redis.exceptions.TimeoutError: Timeout\n"}
    name = "model_engine_server.api.app"
    said = [line(f"Unhandled exception: {one}", name, "ERROR") for one in (structured, other)]
    logged.say("gateway", "INFO:     127.0.0.1 - GET /healthz 7f3a", *said)
    cause = gateway.failed(logged.kube, release, "7f3a")
    assert key(cause) == expected
    assert cause is None or "7f3a" in " ".join(cause.evidence)
    assert gateway.failed(logged.kube, release, "never-logged") is None


def test_a_task_that_could_not_be_sent(logged: Logged, release: Release) -> None:
    text = "An error occurred (AccessDenied) when calling the SendMessage operation: no identity-based policy"
    structured = {
        "request_id": "7f3a",
        "traceback": f"{TRACE}  celery send_task\nbotocore.exceptions.ClientError: {text}\n",
    }
    queue = f"Error sending task to queue model-engine-service-builder: {text}"
    logged.say("gateway", line(queue, "gw", "ERROR"), line(f"Unhandled exception: {structured}", "app", "ERROR"))
    assert key(gateway.failed(logged.kube, release, "7f3a")) == "broker.denied/sqs"


def test_a_gateway_that_hangs_is_only_suspected_of_redis(logged: Logged, release: Release) -> None:
    cause = gateway.hangs(logged.kube, release)
    assert (cause.key, cause.certain) == (f"redis.noauth/{REDIS}", False)


def test_a_gateway_that_hangs_while_the_builder_knows_why(logged: Logged, release: Release) -> None:
    error = "redis.exceptions.AuthenticationError: Authentication required."
    failed = line("Task build_endpoint[1] raised unexpected: …", "celery.app.trace", "ERROR", f"{TRACE}{error}")
    logged.say("builder", failed)
    cause = gateway.hangs(logged.kube, release)
    assert (cause.key, cause.certain) == (f"redis.noauth/{REDIS}", True)
    logged.say("builder", failed, line("Task build_endpoint[2] succeeded in 1s", "celery.app.trace"))
    assert not gateway.hangs(logged.kube, release).certain


# -- builder -------------------------------------------------------------------------------------------------------


def test_a_healthy_builder_with_errors_that_are_noise(logged: Logged, release: Release) -> None:
    logged.say("builder", *recorded("logs_healthy_builder"))
    assert builder.trouble(logged.kube, release) is None
    word = builder.last_word(logged_lines(logged, release, "builder"))
    assert word is not None
    assert word[1]
    assert "succeeded" in word[0].message


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        ("logs_broken_builder_sqs_down", "broker.refused/sqs"),
        ("logs_broken_builder_redis_noauth", "redis.noauth/127.0.0.1:56379"),
    ],
)
def test_a_builder_without_its_broker(logged: Logged, release: Release, recording: str, expected: str) -> None:
    ready = line("celery@host ready.", "celery.apps.worker")
    logged.say("builder", ready, *recorded(recording))
    assert key(builder.trouble(logged.kube, release)) == expected
    logged.say("builder", *recorded(recording), ready)
    assert builder.trouble(logged.kube, release) is None, "it is connected again"


def test_the_released_builder_does_not_start_on_prem(logged: Logged, release: Release) -> None:
    logged.status("builder", **CRASHED)
    logged.say("builder", *recorded("logs_broken_onprem_builder"), previous=True)
    cause = builder.trouble(logged.kube, release)
    assert cause is not None
    assert (cause.key, cause.settle) == ("builder.s3-session/models", 0.0)
    assert "Missing boto3 session" in cause.line
    assert "patched" in cause.do


FORBIDDEN = (
    'HTTP response body: {"message":"deployments.apps is forbidden: User \\"system:serviceaccount:models:llm\\" cannot '
    'create resource \\"deployments\\" in API group \\"apps\\" in the namespace \\"endpoints\\"","code":403}'
)


def test_a_builder_that_may_not_make_deployments(logged: Logged, release: Release) -> None:
    def lines(task: str, trace: str) -> list[Any]:
        return [
            line(f"Task build_endpoint[{task}] received", "celery.worker.strategy"),
            line(
                "K8s resource update failed",
                "builder",
                "ERROR",
                f"Traceback\nkubernetes.client.exceptions.ApiException: {trace}",
            ),
            line("Failed endpoint build process!", "builder", "ERROR", "EndpointResourceInfraException"),
            line(
                f"Task build_endpoint[{task}] raised unexpected: EndpointResourceInfraException()",
                "celery.app.trace",
                "ERROR",
            ),
        ]

    logged.say("builder", *lines("other", "(500)"), *lines("mine", FORBIDDEN))
    cause = builder.trouble(logged.kube, release, "mine")
    assert cause is not None
    assert (cause.key, cause.line) == (
        "builder.forbidden/models",
        "the builder may not create deployments in namespace endpoints",
    )
    assert "system:serviceaccount:models:llm" in cause.do
    assert key(builder.trouble(logged.kube, release, "other")) == "builder.failed/models"
    assert builder.trouble(logged.kube, release) is None, "nobody's endpoint is asked about"


def test_a_build_that_was_refused_before_it_began(logged: Logged, release: Release) -> None:
    why = "ValueError('Runnable image endpoints cannot set the following env vars: DD_ENV')"
    logged.say(
        "builder",
        line("Task build_endpoint[mine] received", "celery.worker.strategy"),
        line(f"Task build_endpoint[mine] raised unexpected: {why}", "celery.app.trace", "ERROR", f"Traceback\n{why}"),
    )
    cause = builder.trouble(logged.kube, release, "mine")
    assert cause is not None
    assert "cannot set the following env vars: DD_ENV" in cause.line


READY = line("celery@host ready.", "celery.apps.worker")
START = line("Using config file path: `x`", "model_engine_server.core.config")
NOISE = [line("Found endpoint for sqs via: environment_global.", "botocore.configprovider")] * 1500


def test_a_builder_whose_ready_has_scrolled_away(logged: Logged, infra: Infra) -> None:
    logged.say("builder", START, READY, *NOISE)
    infra.builder_is_connected()
    logged.say("builder", *NOISE)
    with pytest.raises(NotJudged, match="has been rotated and says nothing of its worker any more"):
        infra.builder_is_connected()
    logged.say("builder", START, *NOISE)
    with pytest.raises(Unhealthy, match="the builder's worker: not within"):
        infra.builder_is_connected()


def test_a_builder_whose_whole_log_was_rotated_is_known_by_what_it_has_built(logged: Logged, infra: Infra) -> None:
    """Since its start, and for somebody else than us."""
    logged.say("builder", *NOISE)
    labels = {"app": "e"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, "replicas": 0}
    infra.trial.settings = infra.trial.settings.discovered({"endpoint_namespace": (ENDPOINTS, "here")})
    for owner, began, proves in (
        ("theirs", "2020-01-01T00:00:00Z", True),
        ("theirs", "2090-01-01T00:00:00Z", False),
        (f"seatrial-echo-sync-{new_id()}", "2020-01-01T00:00:00Z", False),
    ):
        logged.status("builder", state={"running": {"startedAt": began}})
        metadata = {"name": "e", "labels": {"endpoint_name": owner}}
        made = logged.kube.create(DEPLOYMENTS, {"metadata": metadata, "spec": spec}, ENDPOINTS)
        if proves:
            infra.builder_is_connected()
        else:
            with pytest.raises(NotJudged, match="has been rotated"):
                infra.builder_is_connected()
        logged.kube.delete(DEPLOYMENTS, made)
        until(lambda: not logged.kube.list(DEPLOYMENTS, ENDPOINTS, empty_ok=True), 5)


def test_a_new_line_is_told_from_an_old_one(logged: Logged, infra: Infra) -> None:
    """By the line itself: a pod's clock may say anything."""
    first, second = (line("Loop took 0.1 seconds", "k8s_cache", time=time) for time in ("2030", "1999"))
    logged.say("cacher", first)
    with pytest.raises(Unhealthy, match="a cycle of the cacher: not within"):
        infra.cacher_cycles()
    talking = threading.Timer(0.3, lambda: logged.say("cacher", first, second))
    talking.start()
    infra.cacher_cycles()
    talking.join()


# -- cacher --------------------------------------------------------------------------------------------------------


def test_a_healthy_cacher(logged: Logged, release: Release) -> None:
    logged.say("cacher", *recorded("logs_healthy_cacher"))
    assert cacher.trouble(logged.kube, release) is None
    assert len(cacher.cycles(logged_lines(logged, release, "cacher"))) == 4


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        ("logs_broken_onprem_cacher", "cacher.image-tags/models"),
        ("logs_broken_aws_cacher_nobatch", "cacher.batch-image/models"),
    ],
)
def test_a_cacher_that_does_not_start(logged: Logged, release: Release, recording: str, expected: str) -> None:
    logged.status("cacher", **CRASHED)
    logged.say("cacher", *recorded(recording), previous=True)
    assert key(cacher.trouble(logged.kube, release)) == expected


def uncaught(exception: str) -> dict[str, Any]:
    return line("Uncaught exception", "k8s_cache", "ERROR", f"{TRACE}{exception}")


READ = line("Got data for ['launch-endpoint-id-end-1'] and []", "delegate")


def test_a_cacher_that_redis_does_not_let_in(logged: Logged, release: Release) -> None:
    logged.status("cacher", restartCount=1)
    died = uncaught("redis.exceptions.AuthenticationError: Authentication required.")
    logged.say("cacher", died, previous=True)
    logged.say("cacher", READ)
    cause = cacher.trouble(logged.kube, release)
    assert cause is not None
    assert (cause.key, cause.certain) == (f"redis.noauth/{REDIS}", True)
    logged.say("cacher", READ, line("Loop took 0.1 seconds", "k8s_cache"))
    assert cacher.trouble(logged.kube, release) is None, "a blip that has healed explains nothing any more"


def test_a_cacher_that_hangs_without_a_word(logged: Logged, release: Release) -> None:
    logged.say("cacher", READ)
    assert cacher.trouble(logged.kube, release) is None
    cause = cacher.silent(logged.kube, release)
    assert cause is not None
    assert (cause.key, cause.certain) == (f"redis.noauth/{REDIS}", False)


def test_a_program_that_is_not_in_the_image(logged: Logged, release: Release) -> None:
    logged.status("cacher", **CRASHED)
    logged.say("cacher", "/usr/bin/python: No module named model_engine_server.entrypoints.k8s_cache", previous=True)
    cause = cacher.trouble(logged.kube, release)
    assert cause is not None
    assert "No module named" in " ".join(cause.evidence)
    again = workload.dying(logged.kube, release, "cacher")
    assert again is not None
    assert (again.key, again.line) == (cause.key, cause.line), "one cause, whoever meets it"
    logged.status("cacher", restartCount=1)
    assert workload.dying(logged.kube, release, "cacher") is None, "it was started anew once, and runs"


# -- autoscaler ----------------------------------------------------------------------------------------------------


def test_the_autoscalers_loop(logged: Logged, release: Release) -> None:
    done, failed = line("Iteration length: 0.2 seconds."), line("Error in deployment loop: (403) no", level="ERROR")
    logged.say("autoscaler", failed, done)
    assert autoscaler.trouble(logged.kube, release) is None
    logged.say("autoscaler", done, failed)
    cause = autoscaler.trouble(logged.kube, release)
    assert cause is not None
    assert (cause.key, cause.line) == (
        "autoscaler.loop-error/models",
        "the autoscaler's loop ends with an error each time: (403) no",
    )
    logged.status("autoscaler", ready=False)
    assert key(autoscaler.trouble(logged.kube, release)) == "statefulset.not-ready/models/celery-autoscaler-sqs"


# -- all of them ---------------------------------------------------------------------------------------------------


def test_a_sidecar_is_not_judged(logged: Logged, release: Release) -> None:
    assert workload.rollout(logged.kube, release, "gateway") is None
    logged.status("gateway", ready=False)
    assert key(workload.rollout(logged.kube, release, "gateway")) == "deployment.not-ready/models/llm"


def test_a_part_that_is_not_there(logged: Logged, release: Release) -> None:
    less = replace(release, components={"gateway": release.components["gateway"]})
    assert key(workload.rollout(logged.kube, less, "cacher")) == "cacher.missing/models"


def test_two_image_tags(logged: Logged, release: Release) -> None:
    assert images.trouble(logged.kube, release) is None
    template = {"spec": {"containers": [{"name": "main", "image": "me:2"}]}}
    other = {"spec": {"template": template, "selector": {"matchLabels": {"app": "nobody"}}}}
    cause = images.trouble(logged.kube, replace(release, components={**release.components, "builder": other}))
    assert cause is not None
    assert "builder: 2" in cause.evidence


# -- restarts ------------------------------------------------------------------------------------------------------


def ran(seconds: int, code: int = 1, again: str = "2026-11-21T10:01:00Z") -> dict[str, Any]:
    """The status of a container that ended with `code` after so many seconds, and runs again since."""
    last = {"exitCode": code, "startedAt": "2026-11-21T10:00:00Z", "finishedAt": f"2026-11-21T10:00:{seconds:02}Z"}
    return {"restartCount": 1, "lastState": {"terminated": last}, "state": {"running": {"startedAt": again}}}


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        pytest.param(ran(3), 5, id="short"),
        pytest.param(ran(40), 0, id="long"),
        pytest.param(ran(3, code=0), 0, id="ended-well"),
        pytest.param({"state": {"running": {}}}, 0, id="first-run"),
        pytest.param(ran(3) | {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, 0, id="does-not-run"),
    ],
)
def test_how_long_a_restarted_container_must_run(status: dict[str, Any], seconds: float) -> None:
    assert outlived.needed(status) == seconds


def test_a_part_that_was_restarted_long_ago_runs(logged: Logged, infra: Infra) -> None:
    logged.status("cacher", **ran(19))
    began = time.monotonic()
    infra.runs("cacher")
    assert time.monotonic() - began < 5


def test_a_part_that_was_restarted_just_now_is_looked_at_for_as_long_as_it_ran_before(
    logged: Logged, infra: Infra
) -> None:
    """Whatever clock its node goes by."""
    logged.status("cacher", **ran(0, again="2999-01-01T00:00:00Z"))
    began = time.monotonic()
    infra.runs("cacher")
    assert time.monotonic() - began >= outlived.ROUNDED


def test_a_part_that_crashes_again_while_it_is_looked_at_does_not_run(logged: Logged, infra: Infra) -> None:
    logged.status("cacher", **ran(3, again="2999-01-01T00:00:00Z"))
    crashes = threading.Timer(0.5, lambda: logged.status("cacher", **CRASHED))
    crashes.start()
    with pytest.raises(Unhealthy, match="crashes again and again"):
        infra.runs("cacher")
    crashes.join()


# -- configuration -------------------------------------------------------------------------------------------------


def test_configuration(logged: Logged, release: Release) -> None:
    name = "llm-service-config"
    assert config.mounted(release) == (name,)

    def given(namespace: str = NAMESPACE, **data: Any) -> None:
        patch = {"data": {**dict.fromkeys(CONFIG), **data} if data else None}
        logged.kube.patch(CONFIG_MAPS, name, namespace, patch)

    given(**CONFIG)
    cause = config.complete(logged.kube, release, name)
    assert cause is not None
    assert cause.line.startswith("the ConfigMap models/llm-service-config has no gateway_namespace, ")
    assert config.differing(logged.kube, release, ENDPOINTS) is None
    given(**CONFIG | {"launch_service_config": CONFIG["launch_service_config"].replace("15", "14")})
    cause = config.differing(logged.kube, release, ENDPOINTS)
    assert cause is not None
    assert cause.line.endswith("is not the same as in namespace models: launch_service_config.cache_redis_aws_url")
    assert REDIS not in str(cause)
    given(**CONFIG | {"infra_service_config": "a: [1,"})
    assert key(config.complete(logged.kube, release, name)) == f"config.malformed/models/{name}"
    given(launch_service_config="")
    assert key(config.complete(logged.kube, release, name)) == f"config.empty/models/{name}"
    assert key(config.complete(logged.kube, release, "gone")) == "config.missing/models/gone"
    given(**CONFIG)


def test_an_embedded_kubeconfig(logged: Logged, release: Release) -> None:
    with pytest.raises(NotApplicable, match="there is no ConfigMap llm-config with a kubeconfig"):
        kubeconfig.trouble(logged.kube, release, expected=False)
    assert kubeconfig.trouble(logged.kube, release, expected=True) is not None
    whole = "clusters: [{name: c}]\nusers: [{name: u}]\n"
    logged.kube.create(CONFIG_MAPS, {"metadata": {"name": "llm-config"}, "data": {"kubeconfig": whole}}, NAMESPACE)
    assert kubeconfig.trouble(logged.kube, release, expected=False) is None
    logged.kube.patch(CONFIG_MAPS, "llm-config", NAMESPACE, {"data": {"kubeconfig": "clusters: []\nusers: []\n"}})
    cause = kubeconfig.trouble(logged.kube, release, expected=False)
    assert cause is not None
    assert cause.line == "the kubeconfig in ConfigMap models/llm-config has no clusters and no users"


def logged_lines(logged: Logged, release: Release, component: str) -> list[Any]:
    from seatrial.model_engine.health import words

    return [one for said in words.said(logged.kube, release, component) for one in said.lines]
