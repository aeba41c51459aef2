"""What logs the release in to Service Bus is gone: the documented contract's Secret, the released pods' identity.

What runs with the Secret has read it before; pods that do not ask for an identity are given none.

Sign: there is no such Secret; the pods' template has lost its label.
"""

from sandbox.client import Object
from sandbox.faults.acts.kept import put_back, remove
from sandbox.faults.acts.public import public
from sandbox.faults.acts.scale import BUILDER, GATEWAY
from sandbox.faults.acts.templates import edit, undo
from sandbox.handle import Sandbox

FAULT = "service-bus-secret-gone"
SECRET = "model-engine-servicebus"
LABEL = "azure.workload.identity/use"


async def break_(sandbox: Sandbox) -> None:
    if sandbox.contract == "documented":
        path = f"/api/v1/namespaces/{sandbox.namespace}/secrets/{SECRET}"
        await remove(sandbox, FAULT, [path])
        public(sandbox, FAULT, path, "not found")
        return

    def unlabel(template: Object) -> None:
        del template["metadata"]["labels"][LABEL]

    await edit(sandbox, FAULT, (GATEWAY, BUILDER), unlabel)
    public(sandbox, FAULT, f"deployment/{sandbox.namespace}", f"no {LABEL}")


async def heal(sandbox: Sandbox) -> None:
    await (put_back if sandbox.contract == "documented" else undo)(sandbox, FAULT)
