"""The clouds' queue services, as data: what asks each of them, what its codes mean, what deletes a queue by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.model_engine.configuration import SERVICE_BUS, SQS
from seatrial.model_engine.health import broker, service_bus
from seatrial.model_engine.health.signs import Sign

_AWS_CODES = {
    "no-credentials": "auth",
    "InvalidClientTokenId": "auth",
    "SignatureDoesNotMatch": "auth",
    "ExpiredToken": "auth",
    "UnrecognizedClientException": "auth",
    "InvalidIdentityToken": "auth",
    "QueueDoesNotExist": "no-queue",
    "AWS.SimpleQueueService.NonExistentQueue": "no-queue",
    "unreachable": "refused",
    "no-region": "wrong-region",
}
_FIND_SQS = "$(aws sqs get-queue-url{where} --queue-name {queue} --query QueueUrl --output text)"


@dataclass(frozen=True)
class QueueService:
    """`name`: as the configuration has it; `title`: as sentences do. `cloud`: whose. `program`: what asks it, with the
    Secrets that variables named like `variables` come from. `component`: what its causes' keys begin with.

    `codes`: what the program's codes are called in causes, where they are called otherwise. `delete`: the command, with
    ``{queue}`` and ``{where}``, which `where` makes of a region or namespace; `find`: what shows whether it is there.
    """

    name: str
    title: str
    cloud: str
    program: str
    variables: tuple[str, ...]
    component: str
    signs: tuple[Sign, ...]
    codes: Mapping[str, str]
    delete: str
    find: str
    where: str

    def called(self, code: str) -> str:
        """What a code of the program is called in causes."""
        return "denied" if "AccessDenied" in code else self.codes.get(code, code)

    def deletes(self, queue: str, where: str = "") -> str:
        """What deletes a queue by hand."""
        return self.delete.format(queue=queue, where=self.where.format(where) if where else "")

    def finds(self, queue: str) -> str:
        """What shows whether it is there."""
        return self.find.format(queue=queue, where="")


QUEUE_SERVICES = {
    one.name: one
    for one in (
        QueueService(
            SQS,
            "SQS",
            "aws",
            "sqs_ask",
            ("AWS_",),
            "broker",
            broker.SIGNS,
            _AWS_CODES,
            f"aws sqs delete-queue{{where}} --queue-url {_FIND_SQS}",
            "aws sqs get-queue-url{where} --queue-name {queue}",
            " --region {}",
        ),
        QueueService(
            SERVICE_BUS,
            "Service Bus",
            "azure",
            "servicebus_ask",
            ("AZURE_",),
            "servicebus",
            service_bus.SIGNS,
            {"closed": "broken"},  # the program's connection was new: it is not idleness that ended it
            "az servicebus queue delete --resource-group RESOURCE_GROUP{where} --name {queue}",
            "az servicebus queue show --resource-group RESOURCE_GROUP{where} --name {queue}",
            " --namespace-name {}",
        ),
    )
}
"""Where the product makes a queue for each async endpoint, and nobody but it deletes it."""
