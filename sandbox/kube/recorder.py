"""Events about objects, as controllers and the scheduler record them."""

from __future__ import annotations

from sandbox.kube.cluster import Cluster
from sandbox.kube.objects import Object, get, random_suffix, timestamp
from sandbox.kube.resources import EVENTS


def record(cluster: Cluster, component: str, obj: Object, kind: str, reason: str, message: str) -> None:
    """Record an event; the same again only counts up. `kind`: Normal or Warning."""
    metadata = obj["metadata"]
    involved = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }
    namespace = metadata.get("namespace") or "default"
    now = timestamp()
    for event in cluster.list(EVENTS, namespace):
        same = (event["reason"], event["message"]) == (reason, message)
        if same and get(event, "involvedObject.uid") == metadata["uid"]:
            again = {**event, "count": event["count"] + 1, "lastTimestamp": now}
            cluster.update(EVENTS, event, again)
            return
    event = {
        "metadata": {"name": f"{metadata['name']}.{random_suffix(16)}"},
        "involvedObject": involved,
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "eventTime": None,
    }
    cluster.create(EVENTS, namespace, event)
