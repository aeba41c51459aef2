"""Phase 1: what must hold before the product can work, seen from where the product is."""

from seatrial.permissions import Permissions


def test_permissions(permissions: Permissions) -> None:
    """The runner has the permissions that the selected checks need.

    Runbook: beyond R0
    Hint: bind the runner to the roles that python -m seatrial rbac prints; docs/rbac.yaml has those of a full run.
    """
    assert permissions.require() > 0, "no right was asked for"
