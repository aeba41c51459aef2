"""What each fault does to a run of the suite, as data: one module a subject, with `ROWS`, `NOT_APPLICABLE` or both.

Every module of this package counts; there is no list to enter one in.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from rows.row import NotApplicable, Row

_SUBJECTS = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]

ROWS: list[Row] = [row for subject in _SUBJECTS for row in getattr(subject, "ROWS", ())]
NOT_APPLICABLE: list[NotApplicable] = [one for subject in _SUBJECTS for one in getattr(subject, "NOT_APPLICABLE", ())]


def not_applicable(row: Row) -> set[str]:
    """The checks that there is nothing to judge by in the row's sandbox, with the row's options."""
    anyhow = {name for one in NOT_APPLICABLE if one.holds(row.words) for name in one.checks}
    return (anyhow | set(row.unjudged)) - set(row.judged)
