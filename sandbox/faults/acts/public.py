"""Write down that a trouble is public now, where no object of the Kubernetes API shows it."""

from pathlib import Path

from sandbox import signs
from sandbox.handle import Sandbox


def public(sandbox: Sandbox, sign: str, obj: str, message: str) -> None:
    """One line of signs.jsonl; `message`: what anybody would be told who asks `obj`."""
    signs.write(Path(sandbox.directory) / signs.FILE, sign, obj, message)
