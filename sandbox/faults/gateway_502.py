"""An ingress answers 502 with an HTML page to everything.

Sign: the first 502.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("gateway-502")
