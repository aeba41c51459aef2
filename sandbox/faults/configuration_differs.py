"""The endpoint namespace's copy of the configuration names another bucket: it was edited by hand.

Sign: the two ConfigMaps' data.
"""

import yaml

from sandbox.client import Client
from sandbox.faults.acts.kept import change, change_back
from sandbox.faults.acts.public import public
from sandbox.faults.acts.release import config_map
from sandbox.handle import Sandbox


async def break_(sandbox: Sandbox) -> None:
    path = await config_map(sandbox, "-service-config", sandbox.endpoint_namespace)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        config = yaml.safe_load((await client.get(path))["data"]["infra_service_config"])
    edited = yaml.safe_dump(config | {"s3_bucket": "a-bucket-of-before"})
    await change(sandbox, "configuration-differs", path, {"data": {"infra_service_config": edited}})
    public(sandbox, "configuration-differs", path, "s3_bucket: a-bucket-of-before")


async def heal(sandbox: Sandbox) -> None:
    await change_back(sandbox, "configuration-differs")
