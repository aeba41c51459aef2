"""The gateway takes every request and never answers.

Sign: the first request that hangs.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("gateway-hangs")
