"""Every JSON answer of the API ends in its middle.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("gateway-truncated-json")
