"""What a deployment on Azure asks beside Service Bus: Entra ID for tokens, Blob Storage, and the cluster's webhook that
gives pods their workload identity. All of it is reached by its real name, from inside pods."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from sandbox.backends.ports import free_port
from sandbox.backends.service_bus import Idle, ServiceBus

NAMESPACE, ACCOUNT = "sandbox", "sandbox"
SERVICE_BUS, BLOBS, LOGIN = (
    f"{NAMESPACE}.servicebus.windows.net",
    f"{ACCOUNT}.blob.core.windows.net",
    ("login.microsoftonline.com"),
)
TENANT = "22222222-2222-2222-2222-222222222222"
TOKENS = "/var/run/secrets/azure/tokens"
TOKEN_FILE = "azure-identity-token"
CLIENT_SECRET = "sandbox"  # the application's own
FEDERATED = (  # the service accounts that Entra ID takes for the application
    "system:serviceaccount:model-engine:model-engine",
    "system:serviceaccount:model-engine-endpoints:model-engine",
)
LIFETIME = 86400  # seconds that a token lets in
INJECTED = {
    "AZURE_TENANT_ID": TENANT,
    "AZURE_FEDERATED_TOKEN_FILE": f"{TOKENS}/{TOKEN_FILE}",
    "AZURE_AUTHORITY_HOST": f"https://{LOGIN}/",
}
USES_IDENTITY = "azure.workload.identity/use"

Object = dict[str, Any]


class Azure:
    """``await Azure(...).start()``, then `webhook` and, in `directory`, ``names.json`` and the authority's certificate.

    `address` gives addresses of one's own; `subject` says whose token of the cluster's one is, None for nobody's.
    """

    def __init__(
        self,
        directory: Path,
        address: Callable[[int], str],
        subject: Callable[[str], str | None],
    ) -> None:
        self._directory, self._subject = directory, subject
        self._bus_host, self._host = address(1), address(2)
        authority = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(SERVICE_BUS, BLOBS, LOGIN, self._host).configure_cert(tls)
        self._tls, self.ca_pem = tls, authority.cert_pem.bytes()
        self._tokens: set[str] = set()
        self._blobs: dict[str, bytes] = {}
        self.bus = ServiceBus(self._bus_host, SERVICE_BUS, tls, self._tokens.__contains__, Idle.scaled())
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", _endpoints)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        app.router.add_post("/mutate", self._mutate)
        app.router.add_route("*", "/{container}/{blob:.+}", self._blob)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    @property
    def authority(self) -> Path:
        """The certificate of who signs for these names."""
        return self._directory / "authority.pem"

    async def start(self) -> None:
        """Listen on free ports, and tell the pods' resolver."""
        await self.bus.start()
        port = free_port(self._host)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, port, ssl_context=self._tls).start()
        here: Object = {"address": self._host, "ports": {"443": port}}
        ports = {"443": self.bus.https_port, "5671": self.bus.amqp_port}
        names = {SERVICE_BUS: {"address": self._bus_host, "ports": ports}, BLOBS: here, LOGIN: here}
        (self._directory / "names.json").write_text(json.dumps(names))
        self.authority.write_bytes(self.ca_pem)
        self._mutate_url = f"https://{self._host}:{port}/mutate"

    async def stop(self) -> None:
        """Close."""
        await self.bus.stop()
        await self._runner.cleanup()

    def webhook(self) -> Object:
        """The cluster's object that has it called for pods which say that they use an identity."""
        client = {"url": self._mutate_url, "caBundle": base64.b64encode(self.ca_pem).decode()}
        rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "azure-wi-webhook-mutating-webhook-configuration"},
            "webhooks": [
                {
                    "name": "mutation.azure-workload-identity.io",
                    "clientConfig": client,
                    "rules": [rule],
                    "objectSelector": {"matchLabels": {USES_IDENTITY: "true"}},
                    "failurePolicy": "Fail",
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }

    async def _token(self, request: web.Request) -> web.Response:
        """A token for the application: by its secret, or by the cluster's word for a service account."""
        form = await request.post()
        assertion, secret = str(form.get("client_assertion", "")), form.get("client_secret")
        if assertion and self._subject(assertion) not in FEDERATED:
            return _no_token(
                "AADSTS700213: No matching federated identity record found for presented assertion subject"
            )
        if not assertion and secret != CLIENT_SECRET:
            return _no_token("AADSTS7000215: Invalid client secret provided.")
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return web.json_response({"token_type": "Bearer", "expires_in": LIFETIME, "access_token": token})

    async def _blob(self, request: web.Request) -> web.Response:
        """Put, get or delete one."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            return web.Response(status=401)
        path = request.path
        if request.method == "PUT":
            self._blobs[path] = await request.read()
            return web.Response(status=201)
        if path not in self._blobs:
            return web.Response(status=404, headers={"x-ms-error-code": "BlobNotFound"})
        return web.Response(body=self._blobs.pop(path) if request.method == "DELETE" else self._blobs[path])

    async def _mutate(self, request: web.Request) -> web.Response:
        """Give the pod a token of its service account, and the variables that the SDK looks at."""
        asked = (await request.json())["request"]
        spec = asked["object"]["spec"]
        source = {"audience": "api://AzureADTokenExchange", "expirationSeconds": 3600, "path": TOKEN_FILE}
        volume = {"name": TOKEN_FILE, "projected": {"sources": [{"serviceAccountToken": source}]}}
        patches = [{"op": "add", "path": "/spec/volumes", "value": [*(spec.get("volumes") or []), volume]}]
        env = [{"name": name, "value": value} for name, value in INJECTED.items()]
        mount = {"name": TOKEN_FILE, "mountPath": TOKENS, "readOnly": True}
        for number, container in enumerate(spec["containers"]):
            for key, more in (("env", env), ("volumeMounts", [mount])):
                value = [*(container.get(key) or []), *more]
                patches.append({"op": "add", "path": f"/spec/containers/{number}/{key}", "value": value})
        patch = base64.b64encode(json.dumps(patches).encode()).decode()
        response = {"uid": asked["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


async def _endpoints(request: web.Request) -> web.Response:
    """Where tokens are had, which the SDK asks before it shows a secret."""
    here = f"https://{LOGIN}/{request.match_info['tenant']}"
    names = {"token_endpoint": f"{here}/oauth2/v2.0/token", "authorization_endpoint": f"{here}/oauth2/v2.0/authorize"}
    return web.json_response({**names, "issuer": f"{here}/v2.0"})


def _no_token(description: str) -> web.Response:
    return web.json_response({"error": "invalid_client", "error_description": description}, status=401)
