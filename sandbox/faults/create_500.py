"""POST /v1/model-endpoints answers 500, as an unhandled exception in the gateway does.

Sign: the first 500.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("create-500")
