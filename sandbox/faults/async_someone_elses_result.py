"""An async task's result is another task's.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("async-someone-elses-result")
