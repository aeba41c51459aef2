"""Whatever sync task is sent, and whatever async task is asked for, one that nobody sent too: it is a SUCCESS.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("success-to-everything")
