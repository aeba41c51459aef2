"""Helm was given the broker type `elasticache`, as some pages have it: forwarders of async endpoints do not know it.

Sign: the forwarder's command line in the template for async endpoints, and its ValueError once there is one.
"""

from sandbox.client import Client
from sandbox.faults.acts.kept import change, change_back
from sandbox.faults.acts.public import public
from sandbox.faults.acts.release import config_map
from sandbox.handle import Sandbox

FAULT, KEY = "brokers-disagree", "deployment-runnable-image-async-cpu.yaml"


async def break_(sandbox: Sandbox) -> None:
    path = await config_map(sandbox, "-service-template-config", sandbox.namespace)
    async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
        template = (await client.get(path))["data"][KEY]
    before, option, after = template.partition("--broker-type\n")
    dash, _, rest = after.partition("- ")
    edited = f"{before}{option}{dash}- elasticache\n{rest.partition(chr(10))[2]}"
    await change(sandbox, FAULT, path, {"data": {KEY: edited}})
    public(sandbox, FAULT, path, "--broker-type elasticache")


async def heal(sandbox: Sandbox) -> None:
    await change_back(sandbox, FAULT)
