"""The image is from before June 2026: its gateway tells no ``status_reason``."""

from sandbox.faults.ingress.front import lie

break_, heal = lie("without-status-reason")
