"""Somebody has followed old advice and set the size of Celery's pool of connections to 0 for the gateway.

Sign: the gateway's variable.
"""

from sandbox.faults.acts.public import public
from sandbox.faults.acts.scale import GATEWAY
from sandbox.faults.acts.templates import edit, set_variable, undo
from sandbox.handle import Sandbox

FAULT, VARIABLE = "broker-pool-limit-zero", "CELERY_BROKER_POOL_LIMIT"


async def break_(sandbox: Sandbox) -> None:
    await edit(sandbox, FAULT, (GATEWAY,), lambda template: set_variable(template, VARIABLE, "0"))
    public(sandbox, FAULT, f"deployment/{sandbox.namespace}", f"{VARIABLE}=0")


async def heal(sandbox: Sandbox) -> None:
    await undo(sandbox, FAULT)
