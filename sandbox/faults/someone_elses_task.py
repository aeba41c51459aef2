"""Tasks of all kinds are done with another caller's arguments.

Sign: the first such task.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("someone-elses-task")
