"""An image on Azure: it trusts who signs for Azure's names here, and finds the file of its identity's token."""

import os
import sys
import types

TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"


def install() -> None:
    """Have the package of certificates name the sandbox's."""
    certifi = types.ModuleType("certifi")
    vars(certifi)["where"] = lambda: os.environ["SANDBOX_AUTHORITY"]
    sys.modules["certifi"] = certifi
    identify()


def identify() -> None:
    """Be the pod of the environment: its token is below its root."""
    root, path = os.environ.get("POD_ROOT", ""), os.environ.get(TOKEN_FILE)
    if path and not path.startswith(root):  # a child of one that has done so already
        os.environ[TOKEN_FILE] = root + path
