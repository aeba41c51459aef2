"""GET /openapi.json answers 404, as where an ingress lets only the product's own routes through.

Sign: the first 404. Nothing that a user needs is broken.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("no-openapi")
