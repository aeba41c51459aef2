"""GET /v1/model-endpoints answers 200 with an object where the list should be.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("list-not-a-list")
