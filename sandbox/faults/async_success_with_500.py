"""An async task that succeeded is told with status_code 500, as when the worker answered with an error.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("async-success-with-500")
