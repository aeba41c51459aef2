"""A streaming task is answered with another caller's arguments.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("streaming-someone-elses-body")
