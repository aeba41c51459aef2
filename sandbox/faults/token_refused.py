"""The API answers 401 to every token; the health routes go on.

Sign: the first 401.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("token-refused")
