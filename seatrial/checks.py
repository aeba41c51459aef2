"""A check as the reports name it: its id and what its docstring says."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

import pytest

_FIELD = re.compile(r"^(Runbook|Hint):\s*(.*)$")


@dataclass(frozen=True)
class Check:
    """`id` is ``<phase>/<function name without test_>``; `claim` the docstring's first line, as every report prints it;
    `runbook` the step it automates (``R0 4.3``); `hint` what to do when it fails, in the operator's words."""

    nodeid: str
    id: str
    phase: str
    claim: str = ""
    runbook: str = ""
    hint: str = ""

    @classmethod
    def of(cls, item: pytest.Item) -> Check:
        """The check that a collected item is."""
        return cls.documented(item.nodeid, inspect.getdoc(getattr(item, "obj", None)) or "")

    @classmethod
    def documented(cls, nodeid: str, doc: str) -> Check:
        """The check with this node id and docstring."""
        fields = _fields(doc)
        claim = doc.split("\n\n", 1)[0].replace("\n", " ").strip()
        phase, name = _names(nodeid)
        return cls(nodeid, f"{phase}/{name}", phase, claim, fields.get("Runbook", ""), fields.get("Hint", ""))


def phase_of(nodeid: str) -> str:
    """The phase a check belongs to: its module's name without ``test_``."""
    return _names(nodeid)[0]


def _names(nodeid: str) -> tuple[str, str]:
    path, _, name = nodeid.partition("::")
    module = path.rpartition("/")[2].removesuffix(".py")
    return module.removeprefix("test_"), name.rpartition("::")[2].removeprefix("test_")


def _fields(doc: str) -> dict[str, str]:
    """``Runbook:`` and ``Hint:`` with the indented or following lines that continue them."""
    found: dict[str, str] = {}
    field = ""
    for line in doc.splitlines():
        if match := _FIELD.match(line):
            field = match[1]
            found[field] = match[2].strip()
        elif not line.strip():
            field = ""
        elif field:
            found[field] += " " + line.strip()
    return found
