"""A proxy before the gateway holds streams back until they are whole.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("stream-in-one-chunk")
