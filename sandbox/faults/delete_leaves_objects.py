"""DELETE of an endpoint removes its row in the database and leaves all of it in Kubernetes.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("delete-leaves-objects")
