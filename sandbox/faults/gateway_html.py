"""An ingress answers 200 with its own HTML page to everything.

Sign: the first such answer.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("gateway-html")
