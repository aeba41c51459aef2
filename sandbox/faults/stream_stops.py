"""A stream of a chat completion ends in its middle, without an error and without a finish_reason.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("stream-stops")
