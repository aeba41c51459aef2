"""SQS and S3 on the real wire, spoken to by boto3."""

import asyncio
import contextlib
import http.client
import json
import threading
import time

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox.backends.operator import Operator
from sandbox.backends.s3 import S3
from sandbox.backends.sqs import Sqs


@contextlib.contextmanager
def serving(*parts):
    """`parts` started, on an event loop in a thread, for boto3 blocks; the last of them."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    for part in parts:
        asyncio.run_coroutine_threadsafe(part.start(), loop).result(10)
    try:
        yield parts[-1]
    finally:
        for part in parts:
            asyncio.run_coroutine_threadsafe(part.stop(), loop).result(10)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), loop).result(10)  # what was just accepted is closed, too
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def client(service, part, key="key"):
    """A boto3 client that tries once."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)
    made = boto3.client(
        service,
        endpoint_url=part.url,
        region_name="us-west-2",
        aws_access_key_id=key,
        aws_secret_access_key="s",
        config=config,
    )
    yield made
    made.close()


@pytest.fixture
def sqs():
    with serving(Sqs("127.0.0.1")) as part:
        yield part


def test_its_operator_stops_and_starts_it_and_denies_what_nobody_may_do():
    sqs = Sqs("127.0.0.1")
    with serving(sqs, Operator("127.0.0.1", {"sqs": sqs}, sqs)) as operator, client("sqs", sqs) as boto:
        boto.create_queue(QueueName="kept")
        httpx.put(f"{operator.url}/sqs", json={"running": False}).raise_for_status()
        with pytest.raises(EndpointConnectionError):
            boto.list_queues()
        httpx.put(f"{operator.url}/sqs", json={"running": True}).raise_for_status()
        httpx.put(f"{operator.url}/sqs/deny", json=[["*", "DeleteQueue"]]).raise_for_status()
        [url] = boto.list_queues()["QueueUrls"]
        with pytest.raises(ClientError, match="AccessDenied"):
            boto.delete_queue(QueueUrl=url)


def test_a_message_is_sent_received_once_and_deleted(sqs):
    with client("sqs", sqs) as boto:
        assert "QueueUrls" not in boto.list_queues()
        url = boto.create_queue(QueueName="launch-x", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
        assert boto.list_queues(QueueNamePrefix="launch")["QueueUrls"] == [url]
        assert boto.get_queue_url(QueueName="launch-x")["QueueUrl"] == url
        attributes = {"kind": {"DataType": "String", "StringValue": "v"}}
        boto.send_message(QueueUrl=url, MessageBody="grüße", MessageAttributes=attributes)
        first = boto.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"][0]
        assert (first["Body"], first["MessageAttributes"]["kind"]["StringValue"]) == ("grüße", "v")
        counts = boto.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert counts["ApproximateNumberOfMessages"] == "0"
        assert counts["ApproximateNumberOfMessagesNotVisible"] == "1"
        again = boto.receive_message(QueueUrl=url, WaitTimeSeconds=3)["Messages"][0]  # once its second is over
        assert again["Attributes"]["ApproximateReceiveCount"] == "2"
        boto.change_message_visibility(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=0)
        third = boto.receive_message(QueueUrl=url)["Messages"][0]
        boto.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
        assert "Messages" not in boto.receive_message(QueueUrl=url)
        boto.delete_queue(QueueUrl=url)
        assert "QueueUrls" not in boto.list_queues()


def test_a_long_poll_wakes_when_a_message_arrives(sqs):
    with client("sqs", sqs) as boto, client("sqs", sqs) as sender:
        url = boto.create_queue(QueueName="q")["QueueUrl"]
        later = threading.Timer(0.3, lambda: sender.send_message(QueueUrl=url, MessageBody="now"))
        later.start()
        begun = time.monotonic()
        received = boto.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10)["Messages"]
        later.join()
        assert [message["Body"] for message in received] == ["now"]
        assert time.monotonic() - begun < 2
        batch = [{"Id": "1", "ReceiptHandle": received[0]["ReceiptHandle"]}]
        assert boto.delete_message_batch(QueueUrl=url, Entries=batch)["Successful"] == [{"Id": "1"}]


def test_a_long_poll_whose_client_has_gone_hands_out_nothing(sqs):
    """Otherwise a killed consumer takes the next message along for its visibility timeout: 12 h in the product."""
    with client("sqs", sqs) as boto:
        url = boto.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "43200"})["QueueUrl"]
        for _ in range(20):
            host, _, port = sqs.url.removeprefix("http://").partition(":")
            poll = http.client.HTTPConnection(host, int(port))
            headers = {"X-Amz-Target": "AmazonSQS.ReceiveMessage", "Authorization": "AWS4 Credential=key/x"}
            poll.request("POST", "/", json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}), headers)
            boto.list_queues()
            poll.close()
            boto.send_message(QueueUrl=url, MessageBody="task")
            got = boto.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"][0]
            boto.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])


def test_it_stops_at_once_while_somebody_polls():
    with serving(Sqs("127.0.0.1")) as part, client("sqs", part) as boto:
        url = boto.create_queue(QueueName="q")["QueueUrl"]
        poll = http.client.HTTPConnection(*part.url.removeprefix("http://").split(":"))
        headers = {"X-Amz-Target": "AmazonSQS.ReceiveMessage", "Authorization": "AWS4 Credential=key/x"}
        poll.request("POST", "/", json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}), headers)
        boto.list_queues()
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    poll.close()


def refused(call, **arguments):
    """The HTTP status and the error code of a call that is refused."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return raised.value.response["ResponseMetadata"]["HTTPStatusCode"], raised.value.response["Error"]["Code"]


def test_refusals_have_the_codes_of_sqs(sqs):
    sqs.deny |= {("sender", "CreateQueue"), ("nobody", "*")}
    with client("sqs", sqs) as boto, client("sqs", sqs, "sender") as sender, client("sqs", sqs, "nobody") as nobody:
        url = boto.create_queue(QueueName="q")["QueueUrl"]
        missing = refused(boto.send_message, QueueUrl=f"{url}-no", MessageBody="x")
        assert missing == (400, "AWS.SimpleQueueService.NonExistentQueue")
        assert refused(boto.delete_message, QueueUrl=url, ReceiptHandle="no") == (400, "ReceiptHandleIsInvalid")
        assert refused(sender.create_queue, QueueName="p") == (403, "AccessDeniedException")
        assert refused(nobody.list_queues) == (403, "AccessDeniedException")
        assert sender.list_queues()["QueueUrls"] == [url]
        assert refused(boto.purge_queue, QueueUrl=url) == (501, "UnsupportedOperation")
    unsigned = http.client.HTTPConnection(*sqs.url.removeprefix("http://").split(":"))
    unsigned.request("POST", "/", "{}", {"X-Amz-Target": "AmazonSQS.ListQueues"})
    assert unsigned.getresponse().status == 403
    unsigned.close()


def test_s3_keeps_objects_as_the_result_backend_uses_it():
    with serving(S3("127.0.0.1")) as part, client("s3", part) as boto:
        boto.put_object(Bucket="b", Key="tmp/celery/celery-task-meta-1", Body=b'{"status": "SUCCESS"}')
        head = boto.head_object(Bucket="b", Key="tmp/celery/celery-task-meta-1")
        assert head["ContentLength"] == 21
        body = boto.get_object(Bucket="b", Key="tmp/celery/celery-task-meta-1")["Body"]
        assert body.read() == b'{"status": "SUCCESS"}'
        boto.delete_object(Bucket="b", Key="tmp/celery/celery-task-meta-1")
        assert refused(boto.head_object, Bucket="b", Key="tmp/celery/celery-task-meta-1") == (404, "404")
        assert refused(boto.get_object, Bucket="b", Key="tmp/celery/celery-task-meta-1") == (404, "NoSuchKey")


def test_s3_lists_what_is_in_a_bucket_and_keeps_to_its_policy():
    with (
        serving(S3("127.0.0.1", {"/b/models/m/one": b"1", "/b/models/m/two": b"2"})) as part,
        client("s3", part) as boto,
    ):
        listed = boto.list_objects_v2(Bucket="b", Prefix="models/")["Contents"]
        assert [one["Key"] for one in listed] == ["models/m/one", "models/m/two"]
        assert "Contents" not in boto.list_objects_v2(Bucket="b", Prefix="nothing/")
        assert refused(boto.list_objects_v2, Bucket="none") == (404, "NoSuchBucket")
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::b/models/*",
        }
        boto.put_bucket_policy(Bucket="b", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        assert refused(boto.get_object, Bucket="b", Key="models/m/one") == (403, "AccessDenied")
        assert len(boto.list_objects_v2(Bucket="b")["Contents"]) == 2
        boto.delete_bucket_policy(Bucket="b")
        assert boto.get_object(Bucket="b", Key="models/m/one")["Body"].read() == b"1"
