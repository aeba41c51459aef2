"""Others use the GPUs: nobody is to blame, and nothing can be judged."""

from __future__ import annotations

import re

from seatrial.gpu.free import UNSEEN
from seatrial.gpu.vendors import TABLE, Vendors
from seatrial.verdict import Cause, NotJudged, Reason

KEY = "gpu.busy/"
"""How the keys of such causes begin."""
_INSUFFICIENT = re.compile(r"\d+ Insufficient ([^\s,]+?)(?=[.,](?:\s|$))")
"""As the scheduler has it; the names of resources have dots in them."""


def error(cause: Cause, waited: str = "") -> NotJudged:
    """What a check becomes by such a cause; `waited` is put behind its line."""
    return NotJudged(
        Reason.BUSY,
        f"{cause.line}{waited}",
        source="; ".join(cause.evidence),
        do=f"{cause.do or 'add a node'}; --gpu-wait SECONDS waits for one",
    )


def told(cause: Cause, table: Vendors = TABLE) -> NotJudged | None:
    """The error where a Pending pod's `cause` is that others use the GPUs; also where we may not see who does.

    Ask it of a pod whose nodes were seen to be sound: the scheduler says the same of a resource that nobody offers.
    """
    if cause.key.startswith(KEY):
        return error(cause)
    if not cause.key.startswith("pod.unschedulable/"):
        return None
    lacking = next((one for one in _INSUFFICIENT.findall(cause.line) if table.of_resource(one)), "")
    if not lacking:
        return None
    line = f"all {lacking} that would do are in use, {UNSEEN}"
    return NotJudged(Reason.BUSY, line, source=cause.line, do="wait until one is free (--gpu-wait), or add a node")
