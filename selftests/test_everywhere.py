"""Every cloud with GPUs of every vendor, under both contracts, with a patched product: nothing turns red."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from rows.row import Row
from sandboxes import sandbox
from test_faults import LONGEST_RUN, as_told, run_of

pytestmark = [pytest.mark.prove, pytest.mark.timeout(LONGEST_RUN + 200)]

CLOUDS, VENDORS, CONTRACTS = ("aws", "azure", "gcp", "onprem"), ("nvidia", "amd"), ("released", "documented")


@pytest.mark.parametrize("words", list(product(CLOUDS, VENDORS, CONTRACTS)), ids="+".join)
def test_patched(tmp_path: Path, words: tuple[str, ...]) -> None:
    row = Row((), {}, words=(*words, "patched"))
    with sandbox(*row.words) as one:
        as_told(row, run_of(one, tmp_path, row))
