"""Who a request is from: users with fixed tokens, and service accounts with the tokens they were given."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.kube.errors import unauthorized
from sandbox.kube.objects import Object, name_of
from sandbox.kube.resources import SERVICE_ACCOUNTS
from sandbox.kube.store import Store

MASTERS, NODES = "system:masters", "system:nodes"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
SERVICE_ACCOUNT, ALL_SERVICE_ACCOUNTS = "system:serviceaccount", "system:serviceaccounts"
# A real server, too, accepts a pod's token for a year, so that clients that never read it again keep working; it knows
# such a token by this lifetime, which only the kubelet asks for.
POD_TOKEN_SECONDS = 3607


@dataclass(frozen=True)
class User:
    """A name and the groups beside those that everybody gets."""

    name: str
    groups: tuple[str, ...] = ()


def service_account(namespace: str, name: str) -> User:
    """A service account as a user."""
    groups = (ALL_SERVICE_ACCOUNTS, f"{ALL_SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)
    return User(f"{SERVICE_ACCOUNT}:{namespace}:{name}", groups)


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


@dataclass(frozen=True)
class _Issued:
    """A service account's token: for the very account of that uid, until `end` (epoch seconds)."""

    namespace: str
    name: str
    uid: str
    end: float


class Tokens:
    """Every bearer token that is accepted."""

    def __init__(self, store: Store, users: Mapping[str, User]) -> None:
        """`users`: by token."""
        self._store = store
        self._users = {token: User(user.name, (*user.groups, AUTHENTICATED)) for token, user in users.items()}
        self._issued: dict[str, _Issued] = {}

    def user(self, token: str) -> User:
        """Whose token it is; nobody's without one; 401 when it is not known (any more)."""
        if not token:
            return ANONYMOUS
        if token in self._users:
            return self._users[token]
        issued = self._issued.get(token)
        if issued is None or time.time() >= issued.end or not self._stands(issued):
            raise unauthorized()
        return service_account(issued.namespace, issued.name)

    def _stands(self, issued: _Issued) -> bool:
        account = self._store.get(SERVICE_ACCOUNTS.key, issued.namespace, issued.name)
        return account is not None and account["metadata"]["uid"] == issued.uid

    def issue(self, account: Object, seconds: int) -> str:
        """A new token of a service account, accepted for so many seconds."""
        token = secrets.token_urlsafe(24)
        lifetime = float("inf") if seconds == POD_TOKEN_SECONDS else seconds
        self._issued[token] = _Issued(*name_of(account), account["metadata"]["uid"], time.time() + lifetime)
        return token
