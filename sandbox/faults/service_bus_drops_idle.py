"""The release did not keep its connections to Service Bus alive yet: one that idles is dropped, the next task lost.

The namespace parts with the idle sooner than a real one does, so that nobody has to wait for four minutes.

Sign: the image's tag; Service Bus says amqp:connection:forced to whoever was idle.
"""

from sandbox.client import Object
from sandbox.faults.acts import images
from sandbox.faults.acts.outside import idle
from sandbox.faults.acts.public import public
from sandbox.faults.acts.scale import BUILDER, CACHER, GATEWAY
from sandbox.faults.acts.templates import edit, set_variable, undo
from sandbox.handle import Sandbox

FAULT, UNFIXED = "service-bus-drops-idle", "-unfixed"
SECONDS = 8.0  # more than Celery's workers wait for a message before they ask again


async def break_(sandbox: Sandbox) -> None:
    older = f"{sandbox.image}{UNFIXED}"
    tag = older.rpartition(":")[2]
    images.change(sandbox, lambda listed: listed.update({older: listed[sandbox.image] | {"id": f"sha256:{'8' * 64}"}}))
    await idle(sandbox, SECONDS)

    def age(template: Object) -> None:
        template["spec"]["containers"][0]["image"] = older
        for name in ("GIT_TAG", "DD_VERSION"):
            set_variable(template, name, tag)

    await edit(sandbox, FAULT, (GATEWAY, BUILDER, CACHER), age)
    public(sandbox, FAULT, f"deployment/{sandbox.namespace}", older)


async def heal(sandbox: Sandbox) -> None:
    await idle(sandbox, None)
    await undo(sandbox, FAULT)
