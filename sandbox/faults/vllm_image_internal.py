"""The release names the vLLM image in its maker's own registry: the gateway sees that it is there, no node may pull it.

Sign: ErrImagePull of any pod that runs it.
"""

import yaml

from sandbox.client import Client
from sandbox.faults.acts import images
from sandbox.faults.acts.kept import change, change_back
from sandbox.faults.acts.release import config_map
from sandbox.faults.acts.restart import restart
from sandbox.faults.acts.scale import GATEWAY
from sandbox.faults.acts.until import until
from sandbox.faults.ingress.front import answers
from sandbox.handle import Sandbox

INTERNAL = "123456789012.dkr.ecr.us-west-2.amazonaws.com/vllm"
DENIED = (
    "pull access denied, repository does not exist or may require authorization: authorization failed:"
    " no basic auth credentials"
)
STARTED = "Application startup complete."


async def break_(sandbox: Sandbox) -> None:
    image = f"{INTERNAL}:{sandbox.vllm_image.rpartition(':')[2]}"
    images.change(sandbox, lambda listed: listed.update({image: {"error": DENIED, "code": "Unknown"}}))
    for namespace in (sandbox.namespace, sandbox.endpoint_namespace):
        path = await config_map(sandbox, "-service-config", namespace)
        async with Client.from_kubeconfig(sandbox.kubeconfig) as client:
            config = yaml.safe_load((await client.get(path))["data"]["launch_service_config"])
        edited = yaml.safe_dump(config | {"vllm_repository": INTERNAL})
        await change(sandbox, f"vllm-image-internal-{namespace}", path, {"data": {"launch_service_config": edited}})
    await start_anew(sandbox)


async def heal(sandbox: Sandbox) -> None:
    for namespace in (sandbox.namespace, sandbox.endpoint_namespace):
        await change_back(sandbox, f"vllm-image-internal-{namespace}")
    await start_anew(sandbox)


async def start_anew(sandbox: Sandbox) -> None:
    """A gateway that has read the configuration answers at the known address."""
    await restart(sandbox, GATEWAY, STARTED)
    await until(lambda: answers(sandbox, "/healthz", 200), "the gateway answers")
