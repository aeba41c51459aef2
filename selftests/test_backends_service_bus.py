"""Service Bus on the real wire, spoken to by azure-servicebus."""

import contextlib
import time
import warnings
from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import (
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusConnectionError,
)
from test_backends_aws import serving

from sandbox.backends import amqp
from sandbox.backends.service_bus import Idle, Queue, ServiceBus

NEVER = 60.0
AT_EASE = Idle(NEVER, NEVER, NEVER)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """The SDK leaves connections to the garbage collector when they broke."""
    warnings.simplefilter("ignore", ResourceWarning)


@contextlib.contextmanager
def bus(idle: Idle = AT_EASE, *, known: bool = True) -> Iterator[ServiceBus]:
    """With one queue, ``q``; without TLS, which the SDK has for local ones."""
    one = ServiceBus("127.0.0.1", "sandbox.servicebus.windows.net", None, lambda _: known, idle)
    one.queues["q"] = Queue("q")
    with serving(one):
        yield one


def client(one: ServiceBus, **options: object) -> ServiceBusClient:
    address = f"Endpoint=sb://127.0.0.1:{one.amqp_port};SharedAccessKeyName=x;SharedAccessKey=y"
    retries = {"retry_total": 0, "retry_backoff_factor": 0.05} | options
    return ServiceBusClient.from_connection_string(f"{address};UseDevelopmentEmulator=true", **retries)


def test_a_message_goes_round_and_one_that_is_not_settled_comes_again() -> None:
    with bus() as one, client(one) as sdk:
        with sdk.get_queue_sender("q", keep_alive=0) as sender:
            sender.send_messages(ServiceBusMessage("hello", application_properties={"a": 1}))
        with sdk.get_queue_receiver("q", keep_alive=0) as receiver:
            (first,) = receiver.receive_messages(max_wait_time=5)
            assert (str(first), first.delivery_count, first.application_properties) == ("hello", 0, {b"a": 1})
        with sdk.get_queue_receiver("q", keep_alive=0) as receiver:
            (again,) = receiver.receive_messages(max_wait_time=5)
            assert again.delivery_count == 1
            receiver.complete_message(again)
            assert receiver.receive_messages(max_wait_time=0.5) == []
        assert (one.queues["q"].ready, one.queues["q"].locked) == ([], {})


def test_a_queue_that_is_not_there_and_a_token_that_nobody_knows_are_told_apart() -> None:
    with (
        bus() as one,
        client(one) as sdk,
        pytest.raises(MessagingEntityNotFoundError, match="could not be found"),
        sdk.get_queue_sender("nope", keep_alive=0),
    ):
        pass
    with (
        bus(known=False) as one,
        client(one) as sdk,
        pytest.raises(ServiceBusAuthenticationError),
        sdk.get_queue_sender("q", keep_alive=0),
    ):
        pass


@pytest.mark.parametrize(
    ("idle", "keep_alive", "said"),
    [
        (Idle(0.6, NEVER, NEVER), 0, "amqp:(connection:forced|socket-error)"),
        (Idle(NEVER, NEVER, 0.6), 1, "amqp:link:detach-forced"),
    ],
)
def test_who_does_nothing_is_parted_with_and_a_second_try_mends_it(idle: Idle, keep_alive: int, said: str) -> None:
    with bus(idle) as one:
        for tries in (0, 2):
            with client(one, retry_total=tries) as sdk, sdk.get_queue_sender("q", keep_alive=keep_alive) as sender:
                sender.send_messages(ServiceBusMessage("first"))
                time.sleep(1.5)
                lost = pytest.raises(ServiceBusConnectionError, match=said) if not tries else contextlib.nullcontext()
                with lost:
                    sender.send_messages(ServiceBusMessage("second"))
        assert one.queues["q"].sent == 3


def test_what_amqp_says_is_read_as_it_was_written() -> None:
    value = [None, True, False, amqp.Uint(7), amqp.Ulong(1 << 40), -5, "t" * 300, amqp.Symbol("s"), b"b", {"k": [1]}]
    assert amqp.decode(amqp.encode(value)) == (value, len(amqp.encode(value)))
    with pytest.raises(amqp.MalformedError, match="not part of the sandbox"):
        amqp.decode(b"\x82" + bytes(8))
    with pytest.raises(amqp.MalformedError, match="malformed"):
        amqp.decode(b"\x70\x00")
