"""DELETE of an endpoint answers ``{"deleted": true}`` and nothing happens.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("delete-not-performed")
