"""The ingress gives requests without credentials its own: the gateway is open to everybody.

Sign: the first request without credentials that is let in.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("gateway-open")
