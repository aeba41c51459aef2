"""``python -m seatrial images``: every image that a run needs and why, one a line; before an install from values.

For mirrors: the first column is the image. What cannot be found out is said on stderr, and the exit code is not 0.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from seatrial import connect
from seatrial.mask import masked
from seatrial.model_engine import ground as grounds
from seatrial.model_engine.images import reasons
from seatrial.record import Record
from seatrial.run import Run, new_id
from seatrial.settings import Settings
from seatrial.trial import Trial
from seatrial.verdict import NotJudged

ALL, INCOMPLETE = 0, 3
"""Exit codes; wrong settings are 4."""


def _complain(line: str) -> None:
    print(line, file=sys.stderr)


def listed(
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    cwd: Path,
    say: Callable[[str], None] = print,
    complain: Callable[[str], None] = _complain,
) -> int:
    """Say it all and return the exit code; `BadSettings` for what is known to be wrong before anything is asked."""
    settings = Settings.load(options, environ, cwd)
    with tempfile.TemporaryDirectory(prefix="seatrial-images-") as directory, ExitStack() as stack:
        run = Run(new_id(), Path(directory))
        record = Record(run)
        stack.callback(record.close)
        trial = Trial(run, settings, record)
        target = connect.target(trial)
        kube = stack.enter_context(connect.kube(settings, target, record)) if target.has_cluster else None
        try:
            found, unknown = reasons(grounds.stand(trial, target, kube))
        except (NotJudged, AssertionError) as error:
            complain(masked(str(error).splitlines()[0]))
            return INCOMPLETE
    width = max((len(image) for image in found), default=0)
    for image, why in sorted(found.items()):
        say(f"{image:<{width}}  {', '.join(dict.fromkeys(why))}")
    for line in unknown:
        complain(masked(line))
    return INCOMPLETE if unknown or not found else ALL
