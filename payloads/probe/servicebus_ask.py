"""Asks Azure Service Bus, as the product does: with what the environment has for a credential.

Argument: {"do": list, round, depth or delete; "queue", "prefix"; "namespace": instead of the environment's;
"longest": seconds that the SDK gets; "every": seconds, for ever}.
Codes: refused, dns, timeout, unreachable, auth, denied, no-such-queue, closed, no-namespace, or an HTTP status.
"""

import os
import threading

from common import connected, tell

SECONDS = 10
LONGEST = 45
SUFFIX = ".servicebus.windows.net"
AMQPS, HTTPS = 5671, 443


def main(ask):
    """What came of it. The SDK waits for ever for a peer that accepts and stays silent: this does not wait for it."""
    namespace = ask.get("namespace") or os.environ.get("SERVICEBUS_NAMESPACE", "")
    host = namespace if "." in namespace else namespace + SUFFIX
    at, done = f"{host}:{AMQPS}", []

    sdk = version_of("azure-servicebus")

    def fail(code, said):
        return dict(ok=False, code=code, at=at, said=" ".join(str(said).split())[:300], done=list(done), sdk=sdk)

    if not namespace:
        return fail("no-namespace", "SERVICEBUS_NAMESPACE is not set in the release's pods")
    for port in (AMQPS, HTTPS):
        connection, code, why = connected(host, port, SECONDS)
        if connection is None:
            return fail(code, f"port {port}: {why}")
        connection.close()
    found, broken = [], []

    def work():
        try:
            found.append(asked_by_sdk(host, ask, done, fail))
        except Exception as error:  # no SDK in this image, say: that is no answer of the service's
            broken.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    longest = ask.get("longest", LONGEST)
    thread.join(longest)
    if broken:
        raise broken[0]
    if not found:
        return fail("timeout", f"it accepts the connection and does not answer within {longest} s")
    return dict(found[0], at=at, sdk=sdk)


def version_of(package):
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:  # an old Python
        return ""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def asked_by_sdk(host, ask, done, fail):
    from azure.core import exceptions as core
    from azure.identity import CredentialUnavailableError, DefaultAzureCredential
    from azure.servicebus import exceptions as bus
    from azure.servicebus.management import ServiceBusAdministrationClient

    try:
        credential = DefaultAzureCredential()
        with ServiceBusAdministrationClient(host, credential, retry_total=0) as queues:
            answer = ACTIONS[ask["do"]](queues, host, credential, ask, done)
        return dict(ok=True, done=done, **answer)
    except (CredentialUnavailableError, bus.ServiceBusAuthenticationError) as error:
        return fail("auth", error)
    except bus.ServiceBusAuthorizationError as error:
        return fail("denied", error)
    except core.ClientAuthenticationError as error:
        # The service answers 401 to who may not, too: it knows the caller, and names the claim that is missing.
        return fail("denied" if "claim" in str(error).lower() else "auth", error)
    except (bus.MessagingEntityNotFoundError, core.ResourceNotFoundError) as error:
        return fail("no-such-queue", error)
    except core.HttpResponseError as error:
        return fail("denied" if error.status_code == 403 else str(error.status_code or "closed"), error)
    except (core.ServiceRequestError, core.ServiceResponseError, bus.ServiceBusError, OSError) as error:
        return fail("closed", error)


def round_trip(queues, host, credential, ask, done):
    """A queue of ours from its creation to its deletion, with one message through it."""
    from azure.servicebus import ServiceBusClient, ServiceBusMessage

    name, body = ask["queue"], None
    queues.create_queue(name)
    done.append("created")
    try:
        with ServiceBusClient(host, credential, retry_total=0) as bus:
            with bus.get_queue_sender(name, keep_alive=0) as sender:
                sender.send_messages(ServiceBusMessage(os.environ.get("SEATRIAL_NONCE", "")))
                done.append("sent")
            with bus.get_queue_receiver(name, keep_alive=0) as receiver:
                for message in receiver.receive_messages(max_wait_time=SECONDS):
                    body = str(message)
                    receiver.complete_message(message)
                done.append("received" if body is not None else "received nothing")
    finally:
        queues.delete_queue(name)
        done.append("deleted")
    return {"body": body}


def list_queues(queues, host, credential, ask, done):
    return {"queues": [one.name for one in queues.list_queues() if one.name.startswith(ask.get("prefix", ""))]}


def depth(queues, host, credential, ask, done):
    """Service Bus counts a message until it is done with, whether somebody has taken it or not."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        found = queues.get_queue_runtime_properties(ask["queue"])
    except ResourceNotFoundError:
        return {"exists": False}
    return {"exists": True, "waiting": found.active_message_count}


def delete(queues, host, credential, ask, done):
    from azure.core.exceptions import ResourceNotFoundError

    try:
        queues.delete_queue(ask["queue"])
    except ResourceNotFoundError:
        return {"existed": False}
    return {"existed": True}


ACTIONS = {"list": list_queues, "round": round_trip, "depth": depth, "delete": delete}
tell(main)
os._exit(0)  # whatever the SDK still waits for
