"""API errors in kube-apiserver's words (compared with recorded answers of 1.36)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.kube.resources import Resource


class PathNotFound(Exception):
    """No such path or API group: a real server answers text/plain ``404 page not found``."""


class StatusError(Exception):
    """An answer of kind Status. `details`: None leaves the field out, {} sends it empty (real answers have both)."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def body(self) -> dict[str, Any]:
        """The Status object."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = {key: value for key, value in self.details.items() if value not in ("", None)}
        return {**status, "code": self.code}


@dataclass(frozen=True)
class Cause:
    """One reason why an object is invalid: the field's path, a FieldValue* reason, the message."""

    field: str
    reason: str
    message: str


def _about(resource: Resource, name: str | None) -> dict[str, Any]:
    return {"name": name, "group": resource.group, "kind": resource.plural}


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: the token is not known."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str | None, message: str) -> StatusError:
    """403 about an object or a collection."""
    subject = f'{resource.qualified} "{name}" is' if name else f"{resource.qualified} is"
    return StatusError(403, "Forbidden", f"{subject} forbidden: {message}", _about(resource, name))


def not_found(resource: Resource, name: str) -> StatusError:
    """404 of an object."""
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', _about(resource, name))


def no_such_resource() -> StatusError:
    """404 of a resource type in a served group, or of a subresource."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """405."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_acceptable() -> StatusError:
    """406."""
    kinds = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    return StatusError(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {kinds}", {})


def already_exists(resource: Resource, name: str) -> StatusError:
    """409 on create."""
    return StatusError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _about(resource, name))


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    """409 on update: a stale resourceVersion or another uid."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, _about(resource, name))


def precondition_failed(resource: Resource, name: str, why: str) -> StatusError:
    """409 on delete; unlike other conflicts it names the kind."""
    message = f'Operation cannot be fulfilled on {resource.kind} "{name}": {why}'
    return StatusError(409, "Conflict", message, {"name": name, "kind": resource.kind})


def expired(message: str) -> StatusError:
    """410: a resourceVersion or continue token that is no longer held."""
    return StatusError(410, "Expired", message)


def unsupported_media_type(message: str, details: dict[str, Any] | None = None) -> StatusError:
    """415."""
    return StatusError(415, "UnsupportedMediaType", message, details)


def _invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> StatusError:
    parts = [f"{cause.field}: {cause.message}" for cause in causes]
    # The list is shortened to distinct texts in the message (not in the causes), as the real aggregate does.
    distinct = list(dict.fromkeys(parts))
    text = f"[{', '.join(distinct)}]" if len(distinct) > 1 else distinct[0]
    listed = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    details = {"name": name, "group": group, "kind": kind, "causes": listed}
    qualified = f"{kind}.{group}" if group else kind
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details)


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> StatusError:
    """422 of an object."""
    return _invalid(resource.kind, resource.group, name, causes)


def invalid_options(kind: str, field: str, reason: str, message: str) -> StatusError:
    """422 of query parameters or options such as DeleteOptions."""
    return _invalid(kind, "meta.k8s.io", "", [Cause(field, reason, message)])


def invalid_request(group: str, cause: Cause) -> StatusError:
    """422 of a review or a patch, which name no kind."""
    return _invalid("", group, "", [cause])


def rejected_patch() -> StatusError:
    """422 of a JSON patch that cannot be applied; the real server does not say why either."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def not_served(what: str) -> StatusError:
    """501: a real server has this route, nothing here needed it yet."""
    return StatusError(501, "NotImplemented", f"this Kubernetes API does not serve {what}")
