"""A streaming task is answered with 200 and a stream without an event.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("streaming-answers-nothing")
