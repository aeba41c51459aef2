"""One file per fault: its docstring says what breaks and what the first public sign is; `break_` and `heal` do it.

They act as anybody could: through the Kubernetes API, the databases' addresses, and the registry, which is images.json.
"""


class FaultError(Exception):
    """The fault cannot be there now; one line says why."""
