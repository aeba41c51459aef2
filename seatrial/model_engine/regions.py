"""In which AWS region a release asks SQS, and whether that is where its queues are."""

from __future__ import annotations

from seatrial.model_engine import places
from seatrial.model_engine.configuration import DEFAULT_SQS_REGION
from seatrial.model_engine.ground import Ground
from seatrial.verdict import Cause, Unhealthy

VARIABLE = "AWS_REGION"


def require_one(ground: Ground, asked: str) -> None:
    """`asked`: the region that a pod of ours in the builder's place asks in. `Unhealthy` where another one is meant.

    Celery's clients of the product go by AWS_REGION of their pods; the builder makes the endpoints' queues in the
    region that is configured, and gives the forwarders their addresses.
    """
    said = {f"{VARIABLE} of the builder's pods": asked}
    if ground.release is not None:
        env = places.plain_env(ground.place("gateway"))
        said[f"{VARIABLE} of the gateway's pods"] = env.get(VARIABLE) or asked
    if ground.configuration.region:
        said[f"default_region in {ground.configuration.source}"] = ground.configuration.region
    if told := ground.trial.settings.aws_region:
        source = ground.trial.settings.source("aws_region")
        if not source.endswith("(environment)"):  # a variable that is set for other programs, too, is doubt
            said[f"aws_region ({source})"] = told
    if wrong := differing(said):
        kube = ground.kube
        raise Unhealthy(
            Cause(
                "broker.wrong-region/sqs",
                wrong,
                evidence=tuple(f"{who}: {region}" for who, region in said.items()),
                do=f"set {VARIABLE} for the release's pods (extraEnvVars; {DEFAULT_SQS_REGION} without it), "
                "or correct default_region",
                look=f"{kube.kubectl} -n {ground.namespace} get deployments -o yaml | grep -A1 {VARIABLE}"
                if kube
                else "",
            )
        )
    ground.trial.note(f"SQS is asked in {asked}, by {', '.join(said)}")


def differing(said: dict[str, str]) -> str:
    """What is wrong, as a sentence; empty where all say one region."""
    if len(set(said.values())) <= 1:
        return ""
    return "the release means different regions of SQS: " + "; ".join(
        f"{region} by {who}" for who, region in said.items()
    )
