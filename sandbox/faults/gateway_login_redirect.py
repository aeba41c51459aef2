"""An ingress redirects everything to a login page.

Sign: the first redirect.
"""

from sandbox.faults.ingress.front import lie

break_, heal = lie("gateway-login-redirect")
