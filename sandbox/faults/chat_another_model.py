"""A chat completion is answered in the name of another model: somebody else has answered.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("chat-another-model")
