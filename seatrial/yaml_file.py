"""A YAML file that a user wrote: read, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seatrial.verdict import BadSettings

_QUICK = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Where PyYAML came with its C part."""


def mapping(path: Path, source: str) -> dict[str, Any]:
    """The mapping that the file holds, empty for an empty file; `BadSettings` says what is wrong, and where."""
    try:
        found = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        line = f"{path} cannot be read: {error.strerror}"
        raise BadSettings(line, source=source, do="name a file that this user can read") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{path} is no text", source=source, do="name a YAML file in UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadSettings(f"{path} is no YAML: {_where(error)}", source=source, do="mend the file") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadSettings(f"{path} holds no mapping", source=source, do="write it as 'name: value' lines")
    return found


def _parsed(text: str) -> Any:
    """Quickly; what is wrong, and where, the slow loader says better."""
    try:
        return yaml.load(text, Loader=_QUICK)
    except yaml.YAMLError:
        return yaml.safe_load(text)


def _where(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return str(error).splitlines()[0]
