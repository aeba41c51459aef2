"""A chat completion is answered without a text, whole and as a stream.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("chat-empty")
