"""The product's log lines: one JSON object per line on standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
import types
from datetime import UTC, datetime

from sandbox.model_engine import config

# What `logging` itself puts on a record; anything else came with `extra=` and becomes a field of the line.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

BROKER_TYPES = ("redis", "redis", "sqs", "servicebus")
BROKERS = ("redis", "redis_24h", "sqs", "servicebus")


class JsonFormatter(logging.Formatter):
    """``{"message", "time", "level", "name", "lineno", "pathname", ...}``; `time` is UTC without an offset."""

    def format(self, record: logging.LogRecord) -> str:
        """The line without its newline; a traceback is the field `exc_info`."""
        line = {
            **{name: value for name, value in vars(record).items() if name not in STANDARD},
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None).isoformat(),
        }
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        line |= {"level": record.levelname, "name": record.name, "lineno": record.lineno, "pathname": record.pathname}
        line |= {"dd.trace_id": 0, "dd.span_id": 0}
        for field in ("service", "env", "version"):
            if value := os.environ.get(f"DD_{field.upper()}"):
                line[f"dd.{field}"] = value
        return json.dumps(line, default=str)


def make_logger(name: str) -> logging.Logger:
    """The logger of one of the product's modules; `name` is that module's in the product, e.g. ``k8s_cache``."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger


def log_uncaught(name: str) -> None:
    """Have what ends this program logged as ``Uncaught exception`` by the logger `name`, as the product does."""

    def hook(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        make_logger(name).error("Uncaught exception", exc_info=(kind, error, trace))

    sys.excepthook = hook


def log_start() -> None:
    """The lines every program of the product begins with."""
    for name, variable in (("common", "DEPLOY_SERVICE_CONFIG_PATH"), ("core", "ML_INFRA_SERVICES_CONFIG_PATH")):
        make_logger(f"model_engine_server.{name}.config").info(f"Using config file path: `{os.environ[variable]}`")
    app = make_logger("model_engine_server.core.celery.app")
    for broker in BROKER_TYPES:
        app.info(f"Using broker type {broker}")
        if broker == "redis":  # named whether it is used or not
            app.info(f"Using Redis host and port: {config.redis_host()}")
