"""Whatever async task is asked for, one that nobody sent too, it is a SUCCESS.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("async-success-to-everything")
