"""What is wrong with Azure Service Bus, by what its SDK and Celery's transport say."""

from __future__ import annotations

from seatrial.model_engine.health.signs import Sign

SUFFIX = ".servicebus.windows.net"
"""What a namespace's address ends with."""
AT = "servicebus"
"""As messages, and the keys of causes, name it."""
_WHERE = (
    "see SERVICEBUS_NAMESPACE of the pods, and whether a firewall or NetworkPolicy stands before ports 5671 and 443"
)
_LOGIN = "see the service account's client id, its federated credential, and the label azure.workload.identity/use"
SIGNS = (
    Sign(
        "denied",
        ("ServiceBusAuthorizationError", "claim(s) are required", "claim is empty or token is invalid"),
        "the release's identity has not the rights to the broker {at}",
        "give it the role Azure Service Bus Data Owner on the namespace: the product makes and deletes queues",
    ),
    Sign(
        "auth",
        (
            *("ServiceBusAuthenticationError", "amqp:unauthorized-access", "CredentialUnavailable", "AADSTS"),
            *("ClientAuthenticationError", "DefaultAzureCredential failed to retrieve a token", "MalformedToken"),
        ),
        "the release has no credentials that the broker {at} takes",
        _LOGIN,
    ),
    Sign(
        "no-such-queue",
        ("MessagingEntityNotFoundError", "messaging entity", "amqp:not-found"),
        "a queue of the broker {at} does not exist",
        "see whether SERVICEBUS_NAMESPACE is the same for all of the release's pods",
    ),
    Sign(
        "dns",
        ("Name or service not known", "Temporary failure in name resolution", "Failed to resolve"),
        "the broker's name {at} does not resolve",
        _WHERE,
    ),
    Sign("refused", ("Connection refused", "ECONNREFUSED"), "the broker {at} cannot be reached", _WHERE),
    Sign("timeout", ("timed out", "OperationTimeoutError"), "the broker {at} does not answer", _WHERE),
    Sign(
        "closed",
        ("amqp:connection:forced", "amqp:link:detach-forced", "amqp:socket-error", "ServiceBusConnectionError"),
        "the broker {at} has closed an idle connection, and the release did not open it anew",
        "run an image that keeps it alive and tries again (azure-servicebus 7.14.3, the product's commit 9deb59f1)",
    ),
    Sign("broken", (), "the connection to the broker {at} breaks off", _WHERE),
    Sign(
        "no-namespace",
        (),
        "nothing says which namespace of {at} the release uses",
        "set azure.servicebus_namespace in the helm values, then helm upgrade",
    ),
)
