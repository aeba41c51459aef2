"""Every sync task is answered with SUCCESS and its own arguments, whether an endpoint exists or not.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("sync-success-to-everything")
