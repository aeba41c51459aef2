"""The programs that probes run, as processes against real services: each code that they tell, once."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from sandbox.backends.postgres import Postgres
from sandbox.backends.redis import Redis
from sandbox.backends.sqs import Sqs
from seatrial import payloads

NOWHERE = "redis://nowhere.invalid:6379/0"
PASSWORD = "swordfish-of-the-cache"


@dataclass
class Backends:
    """The sandbox's own, on a loop in a thread."""

    loop: asyncio.AbstractEventLoop
    redis: Redis
    postgres: Postgres
    sqs: Sqs

    def run(self, job: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(job, self.loop).result(30)


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    folder, pid = tmp_path_factory.mktemp("backends"), os.getpid()
    host = f"127.250.{pid >> 8 & 255}.{pid & 255}"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    found = Backends(loop, Redis(folder, host), Postgres(folder, host), Sqs(host))
    parts = (found.redis, found.postgres, found.sqs)
    for part in parts:
        found.run(part.start())
    yield found
    for part in parts:
        found.run(part.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def said(program: str, ask: dict[str, Any], **environment: str) -> dict[str, Any]:
    """The one line that a program prints, without its nonce, which must be ours."""
    command = [sys.executable, "-c", payloads.program(program), json.dumps(ask)]
    env = {"PATH": os.environ["PATH"], "SEATRIAL_NONCE": "n", **environment}
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert PASSWORD not in line
    found: dict[str, Any] = json.loads(line)
    assert found.pop("nonce") == "n"
    assert found.pop("clock") > 0
    return found


def code(found: dict[str, Any]) -> str:
    assert not found["ok"]
    assert found["said"]
    return str(found["code"])


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """An address that answers whoever connects with `answer`, or closes at once without one."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if answer is not None:
                    connection.recv(4096)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def unused() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# -- Redis ----------------------------------------------------------------------------------------------------------


def ask_redis(url: str, *commands: list[Any], **more: Any) -> dict[str, Any]:
    return said("redis_ask", {"url": url, "commands": list(commands) or [["PING"]], **more})


@pytest.fixture
def server(backends: Backends) -> Iterator[redis.Redis]:
    """The real server's client; users and replication are as before afterwards."""
    if backends.redis.program is None:
        pytest.skip("Redis is a stand-in here: it has neither users nor replicas")
    with redis.Redis.from_url(backends.redis.url) as client:
        client.acl_setuser("admin", enabled=True, nopass=True, keys=["*"], commands=["+@all"])
    with redis.Redis.from_url(backends.redis.url, username="admin", password="x") as client:
        yield client
        client.config_set("requirepass", "")
        client.replicaof("NO", "ONE")
        client.acl_deluser("reader")


def test_redis_answers(backends: Backends) -> None:
    answer = ask_redis(backends.redis.url.replace("/0", "/15"), ["PING"], ["SET", "k", "1", "PX", 1000], ["LLEN", "q"])
    assert answer == {"ok": True, "at": backends.redis.url[8:-2], "replies": ["PONG", "OK", 0]}
    config = f"a: 1\ncache_redis_aws_url: {backends.redis.url}\n"
    ask = {"yaml_env": "C", "keys": ["absent", "cache_redis_aws_url"], "commands": [["PING"]]}
    assert said("redis_ask", ask, C=config)["replies"] == ["PONG"]
    host, _, port = backends.redis.url[8:-2].rpartition(":")
    assert ask_redis("redis://elsewhere:1/0", host=host, port=int(port))["ok"]


def test_redis_wants_a_password(backends: Backends, server: redis.Redis) -> None:
    server.config_set("requirepass", PASSWORD)
    url = backends.redis.url
    assert code(ask_redis(url)) == "NOAUTH"
    assert code(ask_redis(url.replace("//", "//:no@"))) == "WRONGPASS"
    assert ask_redis(url.replace("//", f"//:{PASSWORD}@"))["ok"]
    by_variable = {"env": "URL", "commands": [["PING"]]}
    assert said("redis_ask", by_variable, URL=url.replace("//", f"//:{PASSWORD}@"))["ok"]


def test_redis_has_no_password(backends: Backends) -> None:
    assert code(ask_redis(backends.redis.url.replace("//", f"//:{PASSWORD}@"))) == "auth"


def test_redis_lacks_a_right(backends: Backends, server: redis.Redis) -> None:
    server.acl_setuser("reader", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], commands=["+ping"])
    refused = ask_redis(backends.redis.url.replace("//", f"//reader:{PASSWORD}@"), ["PING"], ["SET", "k", "1"])
    assert (code(refused), refused["step"]) == ("NOPERM", "SET")


def test_redis_is_a_replica(backends: Backends, server: redis.Redis) -> None:
    server.replicaof("127.0.0.1", "1")
    assert code(ask_redis(backends.redis.url, ["PING"], ["SET", "k", "1"])) == "READONLY"


def test_redis_is_loading() -> None:
    with listening(b"-LOADING Redis is loading the dataset in memory\r\n") as at:
        assert code(ask_redis(f"redis://{at}/0")) == "LOADING"


@pytest.mark.parametrize(("url", "expected"), [("redis://127.0.0.1:{}/0", "refused"), (NOWHERE, "dns")])
def test_nobody_is_there(url: str, expected: str) -> None:
    assert code(ask_redis(url.format(unused()))) == expected


def test_what_answers_is_no_redis() -> None:
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as at:
        assert code(ask_redis(f"redis://{at}/0")) == "closed"
    with listening(None) as at:
        assert code(ask_redis(f"redis://{at}/0")) == "closed"


def test_no_tls_comes_about() -> None:
    with listening(b"-ERR unknown command\r\n") as at:
        assert code(ask_redis(f"rediss://{at}/0?ssl_cert_reqs=none")) == "tls"
    with listening(b"-ERR unknown command\r\n") as at:
        ask = {"url": f"redis://{at}/0", "commands": [], "token_env": "T"}
        assert code(said("redis_ask", ask, T="with a token the product speaks TLS")) == "tls"


@pytest.mark.prove
def test_redis_waits_for_something_else_than_tls(backends: Backends) -> None:
    assert code(ask_redis(backends.redis.url.replace("redis:", "rediss:"))) == "tls"


@pytest.mark.prove
def test_redis_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert code(ask_redis(f"redis://127.0.0.1:{server.getsockname()[1]}/0")) == "timeout"


# -- the database ---------------------------------------------------------------------------------------------------


def ask_database(url: str, **environment: str) -> dict[str, Any]:
    return said("database_ask", {"env": "URL"}, URL=url, **environment)


@pytest.fixture(params=["asyncpg", "libpq"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with asyncpg, as the product's image is, or without, as a runner is."""
    if request.param == "asyncpg":
        return {}
    (tmp_path / "asyncpg.py").write_text("raise ImportError")
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "postgres"])
def test_the_database_answers(backends: Backends, scheme: str, driver: dict[str, str]) -> None:
    found = ask_database(backends.postgres.url.replace("postgresql", scheme, 1), **driver)
    assert (found["ok"], found["answer"], found["database"]) == (True, 1, "postgres")


def test_the_database_refuses(backends: Backends, driver: dict[str, str]) -> None:
    url, password = backends.postgres.url, backends.postgres.password
    assert code(ask_database(url.replace(password, "wrong"), **driver)) == "28P01"
    assert code(ask_database(url.rpartition("/")[0] + "/nowhere", **driver)) == "3D000"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS limited")
        connection.execute("CREATE ROLE limited LOGIN PASSWORD 'p' CONNECTION LIMIT 0")
    assert code(ask_database(url.replace(f"postgres:{password}", "limited:p"), **driver)) == "53300"
    assert code(ask_database(f"{url}?sslmode=require", **driver)) == "tls"
    assert code(ask_database(f"{url}?ssl=require", **driver)) == "tls"


def test_no_database_is_there() -> None:
    assert code(ask_database(f"postgresql://u:p@127.0.0.1:{unused()}/d")) == "refused"
    assert code(ask_database("postgresql://u:p@nowhere.invalid/d")) == "dns"


# -- SQS ------------------------------------------------------------------------------------------------------------


def ask_sqs(backends: Backends, do: str, **more: Any) -> dict[str, Any]:
    return said("sqs_ask", {"do": do, **more}, **aws(backends.sqs.url))


def aws(url: str, key: str = "key") -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "s"} if key else {"AWS_EC2_METADATA_DISABLED": "true"}
    return {"AWS_ENDPOINT_URL_SQS": url, **keys}


def test_sqs_answers(backends: Backends) -> None:
    assert ask_sqs(backends, "list")["queues"] == []
    found = ask_sqs(backends, "round", queue="launch-endpoint-id-x", tags={"seatrial-run": "r"})
    assert (found["body"], found["done"]) == ("n", ["created", "sent", "received", "deleted"])
    assert ask_sqs(backends, "find", queue="launch-endpoint-id-x")["exists"] is False
    assert ask_sqs(backends, "depth", queue="launch-endpoint-id-x")["exists"] is False
    assert ask_sqs(backends, "delete", queue="launch-endpoint-id-x")["existed"] is False


def test_sqs_refuses(backends: Backends) -> None:
    backends.sqs.deny = {("*", "SendMessage")}
    found = ask_sqs(backends, "round", queue="launch-endpoint-id-x", tags={})
    backends.sqs.deny = set()
    assert code(found).startswith("AccessDenied")
    assert found["done"] == ["created", "deleted"]


def test_sqs_is_not_reached(tmp_path: Path) -> None:
    assert code(said("sqs_ask", {"do": "list"}, **aws(f"http://127.0.0.1:{unused()}"))) == "unreachable"
    home = {"HOME": str(tmp_path), "AWS_REGION": "eu-west-1"}
    found = said("sqs_ask", {"do": "list"}, **aws("http://127.0.0.1:1", key=""), **home)
    assert (code(found), found["region"]) == ("no-credentials", "eu-west-1")
