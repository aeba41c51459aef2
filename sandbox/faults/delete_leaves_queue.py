"""DELETE removes an async endpoint and its objects; its queue is there again afterwards.

Sign: the first such delete.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("delete-leaves-queue")
