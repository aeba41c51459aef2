"""Celery's results in S3, as the product has them: with a session that its AWS code alone makes."""

from __future__ import annotations

from typing import Any

from celery.backends import s3
from celery.exceptions import ImproperlyConfigured


class S3Backend(s3.S3Backend):  # type: ignore[misc]
    """ImproperlyConfigured where nobody made a session: on-prem, in the released product."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.app.conf.get("s3_boto3_session"):
            raise ImproperlyConfigured("Missing boto3 session")
