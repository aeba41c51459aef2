"""Each fault as anybody would see it: the sign, what the product then does, and that it heals."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import sandboxes
from model_engine_sandbox import ENDPOINT

pytestmark = pytest.mark.prove  # test_faults.py breaks and heals them all, and judges by what the suite makes of it
ROOT = Path(__file__).parents[1]
MODULE = "model_engine_server.inference.forwarding.echo_server"


def sandbox(*words):
    """Run the command; what it printed."""
    command = [sys.executable, "-m", "sandbox", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class Deployment:
    """A sandbox, spoken to from outside."""

    def __init__(self, printed):
        self.__dict__.update(printed)
        headers = {"Authorization": f"Bearer {self.token}"}
        # A connection that is open goes on to the pod it led to, as through kube-proxy: a new one for each request.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.gateway = httpx.Client(base_url=self.gateway_url, headers=headers, timeout=20, limits=limits)
        bearer = {"Authorization": f"Bearer {self.kube_token}"}
        self.kube = httpx.Client(base_url=self.kube_url, headers=bearer, verify=False, timeout=20)
        self.seen = 0

    def create(self, name):
        """A sync echo endpoint's id."""
        repository, _, tag = self.image.rpartition(":")
        command = ["dumb-init", "--", "python", "-m", MODULE, "--port", "5005"]
        flavor = {
            "flavor": "runnable_image",
            "repository": repository,
            "tag": tag,
            "command": command,
            "env": {},
            "protocol": "http",
            "readiness_initial_delay_seconds": 1,
        }
        bundle = {"name": name, "schema_location": "TBA", "metadata": {}, "flavor": flavor}
        made = self.gateway.post("/v2/model-bundles", json=bundle).raise_for_status().json()
        body = {**ENDPOINT, "name": name, "model_bundle_id": made["model_bundle_id"]}
        self.gateway.post("/v1/model-endpoints", json=body).raise_for_status()
        query = {"name": name, "order_by": "newest"}
        return self.gateway.get("/v1/model-endpoints", params=query).json()["model_endpoints"][0]["id"]

    def state(self, endpoint_id):
        """(status, available workers), None of an endpoint that is gone."""
        answer = self.gateway.get(f"/v1/model-endpoints/{endpoint_id}")
        if answer.status_code == 404:
            return None
        shown = answer.json()
        return shown["status"], (shown["deployment_state"] or {}).get("available_workers")

    def objects(self, endpoint_id):
        """The names of the endpoint's Deployments."""
        path = f"/apis/apps/v1/namespaces/{self.endpoint_namespace}/deployments"
        items = self.kube.get(path, params={"labelSelector": f"endpoint_id={endpoint_id}"}).json()["items"]
        return [item["metadata"]["name"] for item in items]

    def pod(self, endpoint_id):
        """The endpoint's pod."""
        path = f"/api/v1/namespaces/{self.endpoint_namespace}/pods"
        return self.kube.get(path, params={"labelSelector": f"endpoint_id={endpoint_id}"}).json()["items"][0]

    def sign(self, name):
        """The line of `signs.jsonl` with this sign, among those not asked for yet."""
        lines = [json.loads(line) for line in Path(self.directory, "signs.jsonl").read_text().splitlines()]
        fitting = [line for line in lines if line["sign"] == name and line["time"] > self.seen]
        return fitting[0] if fitting else None

    def log(self, component):
        """What the newest pod of the Deployment with this name says."""
        pods = self.kube.get(f"/api/v1/namespaces/{self.namespace}/pods", params={"labelSelector": f"app={component}"})
        newest = max(pods.json()["items"], key=lambda pod: pod["metadata"]["creationTimestamp"])
        return self.kube.get(f"/api/v1/namespaces/{self.namespace}/pods/{newest['metadata']['name']}/log").text

    def remove(self, endpoint_id):
        assert self.gateway.delete(f"/v1/model-endpoints/{endpoint_id}").json() == {"deleted": True}


def eventually(look, seconds=30.0):
    """What `look()` returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (answer := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def deployed():
    with sandboxes.sandbox(scale="0.05") as one:
        made = Deployment(one.up)
        yield made
        made.gateway.close()
        made.kube.close()


@pytest.fixture
def broken(request, deployed):
    """The sandbox with the fault of the test's parameter; healed at the end, or by the test."""
    fault = request.param
    deployed.seen = time.time()
    deployed.fault = fault
    deployed.heal = lambda: sandbox("heal", fault, deployed.name)
    sandbox("break", fault, deployed.name)
    assert f"BROKEN      {fault}" in sandbox("status")
    yield deployed
    if Path(deployed.directory, "broken", fault).exists():
        deployed.heal()


@pytest.mark.parametrize(
    ("broken", "sign", "message"),
    [
        ("echo-image-missing", "ErrImagePull", "not found"),
        ("echo-crash-loop", "CrashLoopBackOff", "back-off "),
        ("no-node-fits", "FailedScheduling", "0/1 nodes are available: 1 node(s) had untolerated taint"),
    ],
    indirect=["broken"],
)
def test_an_endpoint_whose_pod_cannot_run_says_why_and_recovers(broken, sign, message):
    endpoint_id = broken.create(f"endpoint-{sign.lower()}")
    seen = eventually(lambda: broken.sign(sign))
    assert message in seen["message"]
    assert seen["object"] == f"pod/{broken.endpoint_namespace}/{broken.pod(endpoint_id)['metadata']['name']}"
    assert eventually(lambda: broken.state(endpoint_id) == ("READY", 0))
    if sign == "CrashLoopBackOff":
        path = f"/api/v1/namespaces/{broken.endpoint_namespace}/pods/{seen['object'].rpartition('/')[2]}/log"
        log = broken.kube.get(path, params={"container": "main", "previous": "true"}).text
        assert "No module named 'model_engine_server'" in log
    broken.heal()
    assert eventually(lambda: broken.state(endpoint_id) == ("READY", 1))
    broken.remove(endpoint_id)


@pytest.mark.parametrize("broken", ["builder-scaled-to-zero"], indirect=True)
def test_without_a_builder_an_endpoint_stays_pending(broken):
    assert broken.sign("ScaledToZero")["object"].startswith("deployment/model-engine/")
    endpoint_id = broken.create("endpoint-unbuilt")
    time.sleep(1)
    assert broken.state(endpoint_id) == ("UPDATE_PENDING", None)
    broken.heal()
    assert eventually(lambda: broken.state(endpoint_id) == ("READY", 1))
    broken.remove(endpoint_id)


@pytest.mark.parametrize("broken", ["gateway-down"], indirect=True)
def test_a_gateway_that_is_down_refuses_connections(broken):
    assert broken.sign("ScaledToZero")["object"] == "deployment/model-engine/model-engine"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{broken.gateway_url}/healthz")
    broken.heal()
    assert broken.gateway.get("/v1/model-endpoints").status_code == 200


@pytest.mark.parametrize("broken", ["gateway-open"], indirect=True)
def test_an_open_gateway_lets_everybody_in(broken):
    url = f"{broken.gateway_url}/v1/model-endpoints"
    assert httpx.get(url).status_code == 200
    assert broken.sign("gateway-open")["message"] == "GET /v1/model-endpoints"
    broken.heal()
    assert httpx.get(url).status_code == 401


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("database-gone", "Connect call failed"),
        ("database-not-migrated", 'relation "hosted_model_inference.endpoints" does not exist'),
        ("database-missing", 'database "postgres" does not exist'),
        ("database-wrong-password", 'password authentication failed for user "postgres"'),
    ],
    indirect=["broken"],
)
def test_without_its_database_the_gateway_answers_500_and_says_why(broken, error):
    listed = f"/v1/model-endpoints?name=nobody-{len(error)}"  # one that the gateway does not remember
    assert broken.gateway.get(listed).status_code == 500
    assert json.dumps(error)[1:-1] in broken.log("model-engine")
    broken.heal()
    assert broken.gateway.get(listed).status_code == 200


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("redis-gone", "redis.exceptions.ConnectionError: Error 111 connecting to"),
        ("redis-wants-a-password", "redis.exceptions.AuthenticationError: Authentication required."),
        ("redis-readonly", "redis.exceptions.ReadOnlyError"),
        ("cacher-without-redis-rights", "redis.exceptions.NoPermissionError"),
    ],
    indirect=["broken"],
)
def test_a_broken_redis_kills_the_cacher_once_there_is_an_endpoint(broken, said):
    broken.heal()  # so far the cacher has not touched it
    endpoint_id = broken.create(f"endpoint-{broken.fault}")
    assert eventually(lambda: broken.state(endpoint_id) == ("READY", 1))
    sandbox("break", broken.fault, broken.name)
    assert eventually(lambda: said in broken.log("model-engine-cacher"))
    # One that asks anew for what wants a password hangs: it does not crash again.
    assert eventually(lambda: broken.sign("Error"))["object"].startswith("pod/model-engine/model-engine-cac")
    broken.heal()
    assert eventually(lambda: broken.state(endpoint_id) == ("READY", 1))
    broken.remove(endpoint_id)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("broker-unreachable", "Cannot connect to sqs://localhost//: Could not connect to the endpoint URL"),
        ("sqs-denied", "Unrecoverable error: ClientError('An error occurred (AccessDeniedException)"),
    ],
    indirect=["broken"],
)
def test_a_broken_broker_is_told_by_a_builder_that_starts(broken, said):
    assert said in broken.log("model-engine-endpoint-builder")
    broken.heal()
    assert broken.log("model-engine-endpoint-builder").splitlines()[-1].count("ready.")
    endpoint_id = broken.create(f"endpoint-{broken.fault}")
    assert eventually(lambda: broken.state(endpoint_id) == ("READY", 1))
    broken.remove(endpoint_id)


@pytest.mark.parametrize("broken", ["delete-leaves-objects"], indirect=True)
def test_a_delete_that_leaves_the_objects(broken):
    endpoint_id = broken.create("endpoint-leftover")
    assert eventually(lambda: broken.objects(endpoint_id))
    broken.remove(endpoint_id)
    assert broken.sign("delete-leaves-objects")
    assert eventually(lambda: broken.state(endpoint_id) is None)
    [name] = broken.objects(endpoint_id)
    broken.kube.delete(f"/apis/apps/v1/namespaces/{broken.endpoint_namespace}/deployments/{name}").raise_for_status()


@pytest.mark.parametrize("broken", ["delete-not-performed"], indirect=True)
def test_a_delete_that_does_nothing(broken):
    endpoint_id = broken.create("endpoint-undead")
    assert eventually(lambda: broken.state(endpoint_id) == ("READY", 1))
    broken.remove(endpoint_id)
    assert broken.state(endpoint_id) == ("READY", 1)
    broken.heal()
    broken.remove(endpoint_id)
    assert eventually(lambda: broken.state(endpoint_id) is None)
    assert broken.objects(endpoint_id) == []


@pytest.mark.parametrize("broken", ["create-500"], indirect=True)
def test_faults_stand_once_and_lies_beside_each_other(broken):
    def refused(*words):
        command = [sys.executable, "-m", "sandbox", *words, broken.name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
        return done.returncode, done.stderr.removeprefix("python -m sandbox: ").strip()

    assert refused("break", "create-500") == (4, f"{broken.name} has the fault create-500 already")
    assert refused("heal", "gateway-down") == (4, f"{broken.name} has no fault gateway-down")
    assert broken.gateway.get("/openapi.json").status_code == 200
    sandbox("break", "no-openapi", broken.name)
    assert broken.gateway.get("/openapi.json").status_code == 404
    assert broken.gateway.post("/v1/model-endpoints", json={}).status_code == 500
    sandbox("heal", "no-openapi", broken.name)
    assert broken.gateway.get("/openapi.json").status_code == 200
    assert broken.gateway.post("/v1/model-endpoints", json={}).status_code == 500
