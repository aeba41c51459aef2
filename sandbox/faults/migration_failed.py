"""The database migration of the last upgrade failed: its Job is still there, with a pod that ended with an error.

Sign: the Job's condition Failed.
"""

from sandbox.client import Client
from sandbox.faults.acts.release import fullname
from sandbox.faults.acts.scale import GATEWAY, running
from sandbox.faults.acts.until import pods_gone, until
from sandbox.handle import Sandbox

NOWHERE = "postgresql://postgres:postgres@127.0.0.1:1/postgres"


async def break_(sandbox: Sandbox) -> None:
    jobs = f"/apis/batch/v1/namespaces/{sandbox.namespace}/jobs"
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        gateway = await running(client, sandbox.namespace, GATEWAY)
        labels = {key: value for key, value in gateway["metadata"]["labels"].items() if key != "app"}
        name = f"{await fullname(client, sandbox)}-database-migration"
        container = {
            "name": "migration",
            "image": sandbox.image,
            "command": ["dumb-init", "--"],
            "args": ["bash", "model_engine_server/db/migrations/run_database_migration.sh"],
            "env": [{"name": "ML_INFRA_DATABASE_URL", "value": NOWHERE}],
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": labels, "annotations": {"helm.sh/hook": "pre-install,pre-upgrade"}},
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": 600,
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"restartPolicy": "Never", "containers": [container]},
                },
            },
        }
        await client.create(jobs, job)

        async def failed() -> bool:
            conditions = (await client.get(f"{jobs}/{name}")).get("status", {}).get("conditions", [])
            return any(one["type"] == "Failed" and one["status"] == "True" for one in conditions)

        await until(failed, f"the Job {name} has failed")


async def heal(sandbox: Sandbox) -> None:
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        name = f"{await fullname(client, sandbox)}-database-migration"
        path = f"/apis/batch/v1/namespaces/{sandbox.namespace}/jobs/{name}"
        await client.delete(path, propagationPolicy="Background")
        await pods_gone(client, sandbox.namespace, f"job-name={name}")
