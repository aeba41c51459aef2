"""Asks SQS, as the product does.

Argument: {"do": list, round, find, depth or delete; "queue", "prefix", "tags", "region"; "every": seconds, for ever}.
The code is the service's own error code; what lies before it has words: no-credentials, unreachable, no-region.
"""

import os

from common import tell

SECONDS = 10


def main(ask):
    import boto3
    from botocore import exceptions
    from botocore.config import Config

    # The product asks in the region of this variable, and in us-west-2 without it.
    region = ask.get("region") or os.environ.get("AWS_REGION") or "us-west-2"
    limits = Config(connect_timeout=SECONDS, read_timeout=SECONDS + 20, retries={"total_max_attempts": 2})
    at, done = f"SQS in {region}", []

    def fail(code, said):
        return dict(ok=False, code=code, at=at, said=str(said)[:300], region=region, done=done)

    def step(name):
        done.append(name)

    try:
        sqs = boto3.client("sqs", region_name=region, config=limits)
        at = f"SQS in {region} ({sqs.meta.endpoint_url})"
        answer = ACTIONS[ask["do"]](sqs, ask, step)
    except exceptions.ClientError as error:
        said = error.response["Error"]
        return fail(said.get("Code", "ClientError"), f"{error.operation_name}: {said.get('Message', error)}")
    except (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError, exceptions.ProfileNotFound) as error:
        return fail("no-credentials", error)
    except exceptions.PartialCredentialsError as error:
        return fail("no-credentials", error)
    except (exceptions.NoRegionError, exceptions.InvalidRegionError) as error:
        return fail("no-region", error)
    except (exceptions.ConnectTimeoutError, exceptions.EndpointConnectionError) as error:
        code = "timeout" if isinstance(error, exceptions.ConnectTimeoutError) else "unreachable"
        return {**fail(code, error), "sent": False}
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        return fail("timeout", error)
    return dict(ok=True, at=at, region=region, done=done, **answer)


def list_queues(sqs, ask, step):
    found = sqs.list_queues(QueueNamePrefix=ask.get("prefix", ""), MaxResults=1000)
    return {"queues": [url.rpartition("/")[2] for url in found.get("QueueUrls", [])]}


def round_trip(sqs, ask, step):
    """A queue of ours from its creation to its deletion, with one message through it."""
    url = sqs.create_queue(QueueName=ask["queue"], tags=ask["tags"])["QueueUrl"]
    step("created")
    try:
        sqs.send_message(QueueUrl=url, MessageBody=os.environ.get("SEATRIAL_NONCE", ""))
        step("sent")
        got = None
        for _ in range(3):
            got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=SECONDS).get("Messages")
            if got:
                break
        step("received" if got else "received nothing")
    finally:
        sqs.delete_queue(QueueUrl=url)
        step("deleted")
    return {"body": got[0]["Body"] if got else None}


def url_of(sqs, queue):
    try:
        return sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return None


def find(sqs, ask, step):
    return {"exists": url_of(sqs, ask["queue"]) is not None}


def depth(sqs, ask, step):
    url = url_of(sqs, ask["queue"])
    if url is None:
        return {"exists": False}
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    try:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    except sqs.exceptions.QueueDoesNotExist:  # it has gone since
        return {"exists": False}
    return {"exists": True, "waiting": int(found[names[0]]), "taken": int(found[names[1]])}


def delete(sqs, ask, step):
    url = url_of(sqs, ask["queue"])
    if url is not None:
        sqs.delete_queue(QueueUrl=url)
    return {"existed": url is not None}


ACTIONS = {"list": list_queues, "round": round_trip, "find": find, "depth": depth, "delete": delete}
tell(main)
