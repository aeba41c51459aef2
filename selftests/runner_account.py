"""A service account for the suite's own runs, with the rights that a test gives it and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dummies import ROOT
from sandboxes import Sandbox

RBAC = ROOT / "docs" / "rbac.yaml"
NAME = "seatrial"
_GROUP = "/apis/rbac.authorization.k8s.io/v1"
_PLURAL = {"Role": "roles", "RoleBinding": "rolebindings", "ClusterRole": "clusterroles"}
_PLURAL |= {"ClusterRoleBinding": "clusterrolebindings"}

Document = dict[str, Any]


@contextmanager
def runner(
    sandbox: Sandbox, path: Path, keep: Callable[[Document], bool] = lambda document: True, without: str = ""
) -> Iterator[dict[str, str]]:
    """The environment of a run with the roles of docs/rbac.yaml that `keep` lets through; its kubeconfig is `path`.

    `without`: a resource that no rule is for.
    """
    namespace = sandbox.up["namespace"]
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    documents = [one for one in yaml.safe_load_all(RBAC.read_text()) if keep(one)]
    for rule in [rule for one in documents for rule in one.get("rules") or ()]:
        rule["resources"] = [one for one in rule["resources"] if one != without] or ["nothing"]
    made = []
    with sandbox.kube() as kube:
        try:
            for url, body in [(accounts, {"metadata": {"name": NAME}}), *((_url(one), one) for one in documents)]:
                kube.post(url, json=body).raise_for_status()
                made.append(f"{url}/{body['metadata']['name']}")
            answer = kube.post(f"{accounts}/{NAME}/token", json={"spec": {"expirationSeconds": 3600}})
            config = yaml.safe_load(Path(sandbox.up["kubeconfig"]).read_text())
            config["users"][0]["user"] = {"token": answer.raise_for_status().json()["status"]["token"]}
            path.write_text(yaml.safe_dump(config))
            yield sandbox.environment() | {"KUBECONFIG": str(path)}
        finally:
            for url in made:
                kube.delete(url)


def _url(document: Document) -> str:
    namespace = document["metadata"].get("namespace")
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"{_GROUP}{within}/{_PLURAL[document['kind']]}"
