"""What the gateway answers when something it does not expect happens."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from sandbox.model_engine.loggers import make_logger


async def answer_unhandled(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Middleware: HTTP 500 and a log line, both with the same ``request_id``."""
    try:
        return await call_next(request)
    except Exception as error:
        request_id = str(uuid.uuid4())
        trace = "".join(traceback.format_exception(error))
        line = {"error": str(error), "request_id": request_id, "traceback": trace}
        make_logger("model_engine_server.api.app").error("Unhandled exception: %s", line)
        body = {
            "error": "Internal error occurred. Our team has been notified.",
            "timestamp": datetime.now(ZoneInfo("US/Pacific")).strftime("%Y-%m-%d %H:%M:%S %Z"),
            "request_id": request_id,
        }
        return JSONResponse(body, status_code=500)
