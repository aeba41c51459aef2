"""A sync task is answered with HTTP 200 and ``status: FAILURE``.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("sync-failure-with-200")
