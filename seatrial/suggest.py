"""The nearest right word for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def instead(wrong: str, right: Iterable[str]) -> str:
    """What to do about a wrong word: the nearest right one, or all of them, where none is near."""
    choices = sorted(right)
    if not choices:
        return "there is none to choose from"
    near = difflib.get_close_matches(wrong.lower().replace("-", "_"), [one.lower() for one in choices], n=1)
    found = next((one for one in choices if near and one.lower() == near[0]), "")
    if not found and len(choices) > 1:
        found = _by_words(wrong, choices)
    return f"did you mean {found}?" if found else f"choose one of: {', '.join(choices)}"


def _by_words(wrong: str, choices: list[str]) -> str:
    """The choice that shares the most words with the wrong one, as token_command does with auth_token_command."""
    words = set(wrong.lower().replace("-", "_").split("_"))
    shared = {one: len(words & set(one.lower().split("_"))) for one in choices}
    best = max(shared.values())
    nearest = [one for one, count in shared.items() if count == best]
    return nearest[0] if best and len(nearest) == 1 else ""
