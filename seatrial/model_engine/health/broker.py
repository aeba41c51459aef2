"""What is wrong with the broker, by what Celery's clients and workers say."""

from __future__ import annotations

import re
from collections.abc import Iterable

from seatrial.model_engine.health import redis, service_bus
from seatrial.model_engine.health.signs import Sign, first
from seatrial.verdict import Cause

_WHERE = "see whether its address is right, and whether a firewall or NetworkPolicy stands before it"
SIGNS = (
    Sign(
        "denied",
        ("AccessDenied", "UnauthorizedOperation", "not authorized to perform"),
        "the release's role has not the rights to the broker {at}",
        "give the role that its service account assumes the rights to list, create, send, receive and delete",
    ),
    Sign(
        "auth",
        (
            *("NoCredentialsError", "Unable to locate credentials", "InvalidClientTokenId", "SignatureDoesNotMatch"),
            *("ExpiredToken", "UnrecognizedClientException", "InvalidIdentityToken", "ProfileNotFound"),
        ),
        "the release has no credentials that the broker {at} takes",
        "see the service account's role annotation, and the profile in the aws ConfigMap",
    ),
    Sign(
        "no-queue",
        ("NonExistentQueue", "QueueDoesNotExist", "specified queue does not exist"),
        "a queue of the broker {at} does not exist",
        "see whether the region is the one that the queues are in: AWS_REGION of the pods",
    ),
    Sign(
        "refused",
        ("Could not connect to the endpoint URL", "Connection refused", "EndpointConnectionError", "ECONNREFUSED"),
        "the broker {at} cannot be reached",
        _WHERE,
    ),
    Sign(
        "dns",
        ("Name or service not known", "Temporary failure in name resolution", "nodename nor servname"),
        "the broker's name {at} does not resolve",
        _WHERE,
    ),
    Sign("timeout", ("timed out", "ConnectTimeout", "Timeout"), "the broker {at} does not answer", _WHERE),
    Sign(
        "tls",
        ("CERTIFICATE_VERIFY_FAILED", "SSL:"),
        "no TLS connection to the broker {at} comes about",
        "see the CA certificates in the image, and proxies in between",
    ),
)
_TRANSPORT = re.compile(r"Cannot connect to (\w+)://")
_OF_AZURE = re.compile(r"azureservicebus|servicebus\.windows\.net|azure\.(servicebus|identity|core)|amqp:|AADSTS", re.I)


def told(text: str, at: str, redis_at: str, evidence: Iterable[str] = (), look: str = "") -> Cause | None:
    """The cause that `text`, which is of the broker, tells of: of Redis or Service Bus, where that is the broker, else
    by `SIGNS`.

    `at` names the broker where the text has no transport: ``sqs``.
    """
    quoted = tuple(evidence)
    if cause := redis.told(text, redis_at, quoted, look):
        return cause
    if _OF_AZURE.search(text):
        known = first(service_bus.SIGNS, text)
        return known.cause("servicebus", service_bus.AT, quoted, look) if known else None
    sign = first(SIGNS, text)
    found = _TRANSPORT.search(text)
    return sign.cause("broker", found[1] if found else at, quoted, look) if sign else None
