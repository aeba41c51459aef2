"""An endpoint's objects in Kubernetes: what the builder creates, what a delete removes, what the cache says of them."""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sandbox.client import ApiError, Client
from sandbox.model_engine import config
from sandbox.model_engine.endpoint_queues import queue_name
from sandbox.model_engine.quantity import number

Object = dict[str, Any]

FORWARDER_PORT, USER_PORT, FORWARDER_WORKERS = 5000, 5005, 2
CONCURRENT_REQUESTS_PER_WORKER = 200
MAX_CONCURRENCY = "max_concurrency="
ACCELERATOR = "k8s.amazonaws.com/accelerator"  # the label that GPU nodes are chosen by, on every cloud
AUTOSCALER = "celery.scaleml.autoscaler/"  # begins the annotations of an async endpoint's Deployment

# Which template of the service-template ConfigMap makes which object, in the order the product creates them.
# An async endpoint is asked through its queue and scaled by the Celery autoscaler: it has neither of `HTTP`.
COLLECTIONS = {
    "deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "user-config": "/api/v1/namespaces/{namespace}/configmaps",
    "endpoint-config": "/api/v1/namespaces/{namespace}/configmaps",
    "horizontal-pod-autoscaler": "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
    "pod-disruption-budget": "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
    "service": "/api/v1/namespaces/{namespace}/services",
}
HTTP = {"horizontal-pod-autoscaler", "service"}
CUSTOM = {  # of the product's optional parts: a cluster without their definitions answers 404
    "vertical-pod-autoscaler": "/apis/autoscaling.k8s.io/v1/namespaces/{namespace}/verticalpodautoscalers",
    "keda-scaled-object": "/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects",
}


def resource_name(endpoint_id: str) -> str:
    """``launch-endpoint-id-end-…``: the name that all objects of an endpoint share."""
    return f"launch-endpoint-id-{endpoint_id.replace('_', '-')}"


def legacy_name(owner: str, name: str) -> str:
    """What the product's log lines call a Deployment; the object itself has `resource_name`."""
    digest = hashlib.md5((owner + name).encode(), usedforsecurity=False).hexdigest()
    return f"launch-{owner}-{name[:8]}-{digest[:8]}"


def render(task: Object, image: str, git_tag: str, queue_url: str) -> Iterator[tuple[str, Object]]:
    """Collection path and object, from the mounted templates. `task`: see `builder`; `image`: what `main` runs."""
    values = template_values(task, image, git_tag) | {"SQS_QUEUE_URL": queue_url}
    kind = task["record"]["endpoint_type"]
    for name, path in COLLECTIONS.items():
        if kind == "async" and name in HTTP:
            continue
        flavour = f"-runnable-image-{kind}-{'gpu' if task['gpus'] else 'cpu'}" if name == "deployment" else ""
        obj = config.parse(string.Template(config.template(f"{name}{flavour}.yaml")).substitute(values))
        if name == "deployment" and task["forwarder_max_concurrency"]:
            forwarder = obj["spec"]["template"]["spec"]["containers"][0]
            forwarder["command"] += ["--set", f"{MAX_CONCURRENCY}{task['forwarder_max_concurrency']}"]
        yield path.format(namespace=values["NAMESPACE"]), obj


def template_values(task: Object, image: str, git_tag: str) -> dict[str, str]:
    """The ``${NAMES}`` of the templates; JSON where a template takes more than a word (JSON is YAML)."""
    record, flavor, labels = task["record"], task["bundle"]["flavor"], task["labels"]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    endpoint_config = {
        "endpoint_name": record["name"],
        "bundle_name": task["bundle"]["name"],
        "endpoint_type": record["endpoint_type"],
        "endpoint_id": record["id"],
        "user_id": record["owner"],
        "post_inference_hooks": task["post_inference_hooks"],
        "default_callback_url": task["default_callback_url"],
        "default_callback_auth": task["default_callback_auth"],
    }
    return {
        "RESOURCE_NAME": resource_name(record["id"]),
        "NAMESPACE": config.service_config()["endpoint_namespace"],
        "ENDPOINT_ID": record["id"],
        "ENDPOINT_NAME": record["name"],
        "OWNER": record["owner"],
        "CREATED_BY": record["created_by"],
        "TEAM": labels["team"],
        "PRODUCT": labels["product"],
        "GIT_TAG": git_tag,
        "IMAGE": image,
        "IMAGE_HASH": hashlib.md5(image.encode(), usedforsecurity=False).hexdigest(),
        "CHANGE_CAUSE_MESSAGE": (
            f"Deployment at {now}. Using deployment constructed from model bundle ID {task['bundle']['id']}, "
            f"model bundle name {task['bundle']['name']}, endpoint ID {record['id']}"
        ),
        "COMMAND": json.dumps(flavor["streaming_command" if record["endpoint_type"] == "streaming" else "command"]),
        "QUEUE": queue_name(record["id"]),
        "PER_WORKER": str(task["per_worker"]),
        "MAIN_ENV": json.dumps(main_env(task, git_tag)),
        "PREDICT_ROUTE": flavor["predict_route"],
        "STREAMING_PREDICT_ROUTE": flavor.get("streaming_predict_route", ""),
        "SYNC_ROUTES": str([flavor["predict_route"], *flavor["routes"]]),
        "STREAM_ROUTES": str([flavor.get("streaming_predict_route", ""), *flavor["routes"]]),
        "HEALTHCHECK_ROUTE": flavor["healthcheck_route"],
        "READINESS_INITIAL_DELAY": str(flavor["readiness_initial_delay_seconds"]),
        "AWS_ROLE": task["aws_role"],
        "RESULTS_S3_BUCKET": task["results_s3_bucket"],
        "PRIORITY": f"model-engine-{'high' if task['high_priority'] else 'default'}-priority",
        "FORWARDER_PORT": str(FORWARDER_PORT),
        "USER_CONTAINER_PORT": str(USER_PORT),
        "FORWARDER_WORKERS": str(FORWARDER_WORKERS),
        "GPUS": str(task["gpus"]),
        "GPU_TYPE": str(task["gpu_type"]),
        "CPUS": json.dumps(task["cpus"]),
        "MEMORY": json.dumps(task["memory"]),
        "STORAGE": json.dumps(task["storage"]),
        "MIN_WORKERS": str(task["min_workers"]),
        "MAX_WORKERS": str(task["max_workers"]),
        "CONCURRENCY": f"{task['per_worker'] * 500}m",  # half of what a worker takes at once
        # A YAML string in a YAML string: the ConfigMaps hold JSON text.
        "CONFIG_DATA_SERIALIZED": json.dumps(json.dumps(None)),
        "ENDPOINT_CONFIG_SERIALIZED": json.dumps(json.dumps(endpoint_config)),
    }


def main_env(task: Object, git_tag: str) -> list[Object]:
    """The environment of the user's container: the bundle's, then what the product adds."""
    plain = {
        **(task["bundle"]["flavor"]["env"] or {}),
        "AWS_PROFILE": task["aws_role"],
        "AWS_CONFIG_FILE": "/opt/.aws/config",
        "DD_TRACE_ENABLED": "false",
        "DD_SERVICE": task["record"]["name"],
        "DD_ENV": config.infra_config()["env"],
        "DD_VERSION": git_tag,
    }
    fields = {
        "DD_AGENT_HOST": "status.hostIP",
        "POD_UID": "metadata.uid",
        "POD_NAME": "metadata.name",
        "NODE_NAME": "spec.nodeName",
    }
    env: list[Object] = [{"name": name, "value": value} for name, value in plain.items()]
    return env + [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]


async def apply(client: Client, path: str, obj: Object) -> None:
    """Create `obj`, or make what is there like it."""
    try:
        await client.create(path, obj)
    except ApiError as error:
        if error.status != 409:
            raise
        await client.patch(f"{path}/{obj['metadata']['name']}", obj)


async def delete(client: Client, endpoint_id: str) -> None:
    """Remove an endpoint's objects; what is not there is gone already. ApiError for any other refusal."""
    name, namespace = resource_name(endpoint_id), config.service_config()["endpoint_namespace"]
    for kind, collection in (COLLECTIONS | CUSTOM).items():
        suffix = "-endpoint-config" if kind == "endpoint-config" else ""
        try:
            await client.delete(f"{collection.format(namespace=namespace)}/{name}{suffix}")
        except ApiError as error:
            if error.status != 404:
                raise


async def infra_state(client: Client, endpoint_id: str) -> Object | None:
    """What the cache keeps of one endpoint, None without a Deployment."""
    name, namespace = resource_name(endpoint_id), config.service_config()["endpoint_namespace"]
    try:
        deployment = await client.get(f"{COLLECTIONS['deployment'].format(namespace=namespace)}/{name}")
        autoscaler = None
        if not is_async(deployment):
            collection = COLLECTIONS["horizontal-pod-autoscaler"].format(namespace=namespace)
            autoscaler = await client.get(f"{collection}/{name}")
        settings = await client.get(
            f"{COLLECTIONS['endpoint-config'].format(namespace=namespace)}/{name}-endpoint-config"
        )
    except ApiError as error:
        if error.status != 404:
            raise
        return None
    return describe(deployment, autoscaler, settings)


def is_async(deployment: Object) -> bool:
    """Whether an endpoint's Deployment is that of an async one."""
    return f"{AUTOSCALER}queue" in deployment["metadata"].get("annotations", {})


async def infra_states(client: Client) -> dict[str, Object]:
    """The same of all endpoints in the endpoint namespace, by endpoint id."""
    namespace = config.service_config()["endpoint_namespace"]
    found = {}
    for deployment in await client.list(COLLECTIONS["deployment"].format(namespace=namespace)):
        endpoint_id = deployment["metadata"].get("labels", {}).get("endpoint_id")
        state = await infra_state(client, endpoint_id) if endpoint_id else None
        if state is not None:
            found[endpoint_id] = state
    return found


def scaling(deployment: Object, autoscaler: Object | None) -> Object:
    """How far the endpoint may grow, and how much a worker takes at once: `autoscaler` is None for an async one."""
    if autoscaler is None:
        own = {key.removeprefix(AUTOSCALER): value for key, value in deployment["metadata"]["annotations"].items()}
        low, high, each = (int(own[name]) for name in ("minWorkers", "maxWorkers", "perWorker"))
        at_once = each
    else:
        spec = autoscaler["spec"]
        low, high = spec["minReplicas"], spec["maxReplicas"]
        each = round(2 * number(spec["metrics"][0]["pods"]["target"]["averageValue"]))
        at_once = CONCURRENT_REQUESTS_PER_WORKER
    return {"min_workers": low, "max_workers": high, "per_worker": each, "concurrent_requests_per_worker": at_once}


def describe(deployment: Object, autoscaler: Object | None, settings: Object) -> Object:
    """The state of one endpoint from its Deployment, HorizontalPodAutoscaler and endpoint-config ConfigMap."""
    pod, status = deployment["spec"]["template"]["spec"], deployment.get("status", {})
    containers = {container["name"]: container for container in pod["containers"]}
    main, forwarder = containers["main"], containers["celery-forwarder" if autoscaler is None else "http-forwarder"]
    requests = main["resources"]["requests"]
    env = {pair["name"]: pair.get("value") for pair in forwarder["env"]}
    command = forwarder["command"]
    limits = [int(word.removeprefix(MAX_CONCURRENCY)) for word in command if word.startswith(MAX_CONCURRENCY)]
    return {
        "deployment_name": deployment["metadata"]["name"],
        "aws_role": env["AWS_PROFILE"],
        "results_s3_bucket": env["RESULTS_S3_BUCKET"],
        "labels": deployment["metadata"]["labels"],
        "deployment_state": {
            **scaling(deployment, autoscaler),
            "forwarder_max_concurrency": next(iter(limits), None),
            "available_workers": status.get("availableReplicas", 0),
            "unavailable_workers": status.get("unavailableReplicas", 0),
        },
        "resource_state": {
            "cpus": str(requests["cpu"]),
            "gpus": sum(int(amount) for name, amount in requests.items() if name.endswith("/gpu")),
            "memory": str(requests["memory"]),
            "gpu_type": pod.get("nodeSelector", {}).get(ACCELERATOR),
            "storage": str(requests["ephemeral-storage"]),
            "nodes_per_worker": 1,
            "optimize_costs": False,
        },
        "user_config_state": {"app_config": None, "endpoint_config": json.loads(settings["data"]["raw_data"])},
        "num_queued_items": None,
        "image": main["image"],
    }
