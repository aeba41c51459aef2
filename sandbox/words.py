"""The words of ``up``: what the sandbox *is*, never what a suite expects of it."""

CONTRACTS = {"released", "documented"}
DEFAULT_CONTRACT = "released"

WORDS = ("documented", "released")


def contract(words: tuple[str, ...]) -> str:
    """Which of the two contracts the gateway honours. ValueError for both."""
    named = CONTRACTS.intersection(words) or {DEFAULT_CONTRACT}
    if len(named) > 1:
        raise ValueError("a sandbox is either documented or released")
    return named.pop()
