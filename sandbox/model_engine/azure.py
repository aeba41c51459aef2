"""The product's clients on Azure: a credential of the environment, Service Bus' management, results in Blob Storage."""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from celery.backends.base import KeyValueStoreBackend

VERSION = "2021-12-02"  # of the Blob service's protocol
CONTENT = {"x-ms-version": VERSION, "x-ms-blob-type": "BlockBlob", "Content-Type": "application/json"}


@functools.cache
def credential() -> Any:
    """One for the process: it keeps its tokens."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def service_bus() -> str:
    """The name of the Service Bus."""
    return f"{os.environ['SERVICEBUS_NAMESPACE']}.servicebus.windows.net"


@functools.cache
def queues() -> Any:
    """A client of the queues' management that lives as long as the process."""
    from azure.servicebus.management import ServiceBusAdministrationClient

    return ServiceBusAdministrationClient(service_bus(), credential())


class BlobBackend(KeyValueStoreBackend):  # type: ignore[misc]
    """Celery's results as blobs, as Celery's own backend names them: that one wants a package more than this."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        account, container = os.environ["ABS_ACCOUNT_NAME"], os.environ["ABS_CONTAINER_NAME"]
        self._container = f"https://{account}.blob.core.windows.net/{container}"

    def get(self, key: Any) -> bytes | None:
        """The result, or None."""
        try:
            return self._ask("GET", key)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def set(self, key: Any, value: str | bytes) -> None:
        """Keep it."""
        self._ask("PUT", key, value.encode() if isinstance(value, str) else value)

    def delete(self, key: Any) -> None:
        """Forget it."""
        self._ask("DELETE", key)

    def _ask(self, method: str, key: Any, body: bytes | None = None) -> bytes:
        import ssl

        import certifi

        name = urllib.parse.quote(key.decode() if isinstance(key, bytes) else key)
        token = credential().get_token("https://storage.azure.com/.default").token
        headers = CONTENT | {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{self._container}/{name}", body, headers, method=method)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=certifi.where())) as answer:
            return bytes(answer.read())
