"""The release's service account is no cluster-admin any more: it may do all that it must, but not create Deployments.

Sign: the builder's log says that it "cannot create resource" once something is asked for.
"""

from sandbox.client import Client
from sandbox.faults.acts.kept import put_back, remove
from sandbox.faults.acts.public import public
from sandbox.faults.acts.release import fullname
from sandbox.handle import Sandbox

RBAC = "/apis/rbac.authorization.k8s.io/v1"
NAME = "model-engine-narrowed"
EVERYTHING = ("", "autoscaling", "policy", "batch", "autoscaling.k8s.io", "keda.sh", "networking.istio.io")
RULES = [
    {"apiGroups": list(EVERYTHING), "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": ["apps"], "resources": ["daemonsets", "statefulsets", "replicasets"], "verbs": ["*"]},
    {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "verbs": ["get", "list", "watch", "update", "patch", "delete"],
    },
]


async def break_(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        binding = f"{RBAC}/clusterrolebindings/{await fullname(client, sandbox)}"
        subjects = (await client.get(binding))["subjects"]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
        await client.create(f"{RBAC}/clusterroles", {"metadata": {"name": NAME}, "rules": RULES})
        narrowed = {"metadata": {"name": NAME}, "roleRef": role, "subjects": subjects}
        await client.create(f"{RBAC}/clusterrolebindings", narrowed)
    await remove(sandbox, "builder-forbidden", [binding])
    public(sandbox, "builder-forbidden", binding, "not found")


async def heal(sandbox: Sandbox) -> None:
    await put_back(sandbox, "builder-forbidden")
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        for kind in ("clusterrolebindings", "clusterroles"):
            await client.delete(f"{RBAC}/{kind}/{NAME}")
