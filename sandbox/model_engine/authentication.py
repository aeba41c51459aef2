"""Who asks: the product without an authentication plug-in takes any Basic user name or Bearer token for a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials, OAuth2PasswordBearer


@dataclass(frozen=True)
class User:
    """Its repr stands in the gateway's log lines."""

    user_id: str
    team_id: str
    is_privileged_user: bool = True


def verify_authentication(
    credentials: Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False))],
    token: Annotated[str | None, Depends(OAuth2PasswordBearer(tokenUrl="token", auto_error=False))],
) -> User:
    """A Basic user name goes before a token; HTTP 401 with neither."""
    name = credentials.username if credentials else token
    if name is None:
        raise HTTPException(401, "No authentication was passed in", headers={"WWW-Authenticate": "Bearer"})
    return User(user_id=name, team_id=name)


Authenticated = Annotated[User, Depends(verify_authentication)]
