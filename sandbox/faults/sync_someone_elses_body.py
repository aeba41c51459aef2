"""A sync task is done with the arguments of somebody else's request.

Sign: the first such task.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("sync-someone-elses-body")
