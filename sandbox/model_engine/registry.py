"""The registry as the gateway asks it: by the file that the node pulls from, which lies beside that of the Services."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sandbox.model_engine import config


def has(image: str) -> bool:
    """Whether the registry lists `image`, be it for others to pull. The product looks into none on-prem."""
    if config.cloud() == "onprem":
        return True
    listed = json.loads(Path(os.environ["SANDBOX_SERVICES"]).with_name("images.json").read_text())
    return image in listed and listed[image].get("code") != "NotFound"
