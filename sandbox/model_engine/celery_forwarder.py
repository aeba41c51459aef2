"""The forwarder beside an async endpoint's worker, a Celery worker: ``…inference.forwarding.celery_forwarder``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import urllib.error
import urllib.request
from typing import Any

from celery import Task, states
from celery.signals import after_setup_logger, after_setup_task_logger

from sandbox import clock
from sandbox.model_engine import config, task_queue, user_service
from sandbox.model_engine.loggers import JsonFormatter, make_logger

BROKERS = {
    "redis": task_queue.Broker.REDIS_24H,
    "sqs": task_queue.Broker.SQS,
    "servicebus": task_queue.Broker.SERVICE_BUS,
}
RETRY = 180.0  # seconds, as Celery has it

logger = make_logger("model_engine_server.inference.forwarding.celery_forwarder")
forward_logger = make_logger("model_engine_server.inference.forwarding.forwarding")


@after_setup_logger.connect  # type: ignore[untyped-decorator]
@after_setup_task_logger.connect  # type: ignore[untyped-decorator]
def format_as_json(logger: logging.Logger, **_: Any) -> None:
    """Celery's own lines in the product's format."""
    for handler in logger.handlers:
        handler.setFormatter(JsonFormatter())


def forward(url: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The worker's answer as a string, and its status beside it: whatever that is, the task succeeds."""
    forward_logger.info(f"Unwrapping json_payload.keys()={payload.keys()}")
    args = payload["args"]
    if args is None:
        raise TypeError("argument of type 'NoneType' is not iterable")  # newer Pythons say it in other words
    forward_logger.info(f"Accepted request, forwarding json_payload_repr={args.keys()}")
    request = urllib.request.Request(url, json.dumps(args).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            status, response = answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        status, response = error.code, json.load(error)
    except urllib.error.URLError as error:
        forward_logger.exception(
            f"Failed to get response for request ({args.keys()}) from user-defined inference service."
        )
        raise ConnectionError(str(error)) from error
    forward_logger.info(
        f"Got response from user-defined service: response.keys()={response.keys()}, response_raw.status_code={status}"
    )
    return {"result": json.dumps(response), "status_code": status}


class ErrorHandlingTask(Task):  # type: ignore[misc]
    """A failure's record carries the error's text, and no traceback."""

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Overwrite what Celery has stored of a failure."""
        if status == states.FAILURE and isinstance(retval, Exception):
            logger.warning(f"Setting custom error response for failed task {task_id}")
            stored = json.loads(self.backend.get(self.backend.get_key_for_task(task_id)))["result"]
            custom = json.dumps({"error": str(retval), "error_metadata": "Internal failure"})
            meta = {"exc_type": stored["exc_type"], "exc_message": stored["exc_message"], "custom": custom}
            self.update_state(state=states.FAILURE, meta=meta)


def main(options: argparse.Namespace) -> None:
    """Work, once the worker serves."""
    os.environ["AWS_CONFIG_FILE"] = str(config.mounted(os.environ["AWS_CONFIG_FILE"]))
    settings = dict(setting.split("=", 1) for setting in options.set)
    user = f"localhost:{user_service.PORT}"
    predict = f"http://{user}{settings['forwarder.async.predict_route']}"
    health = f"http://{user}{settings['forwarder.async.healthcheck_route']}"
    for line in (f"Forwarding to user-defined service at: {user}", f"Prediction endpoint:  {predict}"):
        forward_logger.info(line)
    forward_logger.info(f"Healthcheck endpoint: {health}")
    user_service.await_ready(health, forward_logger)
    if options.broker_type not in BROKERS:
        raise ValueError(
            "Only 'redis', 'sqs', and 'servicebus' are supported values for broker_type, "
            f"got value {options.broker_type}"
        )
    broker = BROKERS[options.broker_type]
    app = task_queue.celery_app(broker, options.backend_protocol, queue_url=options.sqs_url)

    @app.task(  # type: ignore[untyped-decorator]
        base=ErrorHandlingTask,
        name=task_queue.PREDICT_TASK,
        track_started=True,
        autoretry_for=(ConnectionError,),  # the worker ends before its forwarder: another pod may have more luck
        default_retry_delay=clock.scaled(RETRY),
    )
    def exec_func(payload: dict[str, Any], arrival_timestamp: str, *ignored: Any) -> dict[str, Any]:
        try:
            return forward(predict, payload)
        except Exception:
            logger.exception("Celery service failed to respond to request.")
            raise

    worker = app.Worker(queues=[options.queue], concurrency=options.num_workers, loglevel="INFO", optimization="fair")
    worker.start()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)  # a file of the image: its settings are the defaults here
    parser.add_argument("--queue", required=True)
    parser.add_argument("--task-visibility", required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--num-workers", type=int, required=True)
    parser.add_argument("--broker-type", required=True)
    parser.add_argument("--backend-protocol", default="s3")
    parser.add_argument("--sqs-url", default="")
    main(parser.parse_args())
