"""An async task is taken by the worker, which then is busy with it for ever.

Sign: the first such task.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("async-never-done")
