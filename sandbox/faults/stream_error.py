"""A stream of a chat completion ends in its middle, with an error after HTTP 200.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("stream-error")
