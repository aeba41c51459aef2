"""A pod's Python program is a fork, and behaves as one that was begun for itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sandbox.node import environment
from sandbox.node.forks import Forks
from sandbox.node.process import Process, tied

Start = Callable[..., Awaitable[Process]]

SAYS = "import json, os, sys; print(json.dumps([sys.argv, os.getcwd(), os.environ['OWN'], sys.path[0], __name__]))"


def served(folder: Path, test: Callable[[Start], Awaitable[None]]) -> None:
    """Run `test` with what starts a program and hears it."""
    (folder / "services.json").write_text("{}")
    base = environment.of_python(folder / "services.json", {})
    pod = {**base, "POD_IP": "127.0.0.1", "POD_NAME": "a", "POD_NAMESPACE": "b", "OWN": "own"}

    async def run() -> None:
        forks = Forks(["json"], base)
        forks.start(tied(signal.SIGTERM), folder / "log")

        async def start(*argv: str, said: bytearray, program: str = sys.executable) -> Process:
            return await Process.start([program, *argv], env=pod, cwd=folder, sink=said.extend, forks=forks)

        try:
            await asyncio.wait_for(test(start), 60)
        finally:
            await forks.stop()

    asyncio.run(run())


def test_it_is_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SAYS)
    here = str(tmp_path)
    wanted = {
        ("-c", SAYS, "x"): f'[["-c", "x"], "{here}", "own", "", "__main__"]\n',
        ("-m", "program", "x"): f'[["{here}/program.py", "x"], "{here}", "own", "{here}", "__main__"]\n',
        (f"{here}/program.py", "x"): f'[["{here}/program.py", "x"], "{here}", "own", "{here}", "__main__"]\n',
    }

    async def test(start: Start) -> None:
        for argv, output in wanted.items():
            said = bytearray()
            process = await start(*argv, said=said)
            assert (await process.exited, said.decode()) == (0, output)

    served(tmp_path, test)


@pytest.mark.parametrize(
    ("code", "ends", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("1 / 0", 1, 'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\nZeroDivisionError: '),
        ("import os; os.kill(os.getpid(), 9)", 137, ""),
        ("import atexit; atexit.register(print, 'bye')", 0, "bye\n"),
        ("import subprocess; subprocess.Popen(['sleep', '60'])", 0, ""),
        ("import socket; print(socket.gethostname())", 0, "a\n"),
    ],
    ids=["code", "uncaught", "a-signal", "at-exit", "children-end-with-it", "the-pods-network"],
)
def test_it_ends_as_a_program_does(tmp_path: Path, code: str, ends: int, said: str) -> None:
    async def test(start: Start) -> None:
        heard = bytearray()
        process = await start("-c", code, said=heard)
        assert await process.exited == ends
        assert heard.decode().startswith(said)
        assert "fork_server" not in heard.decode()

    served(tmp_path, test)


def test_a_signal_without_a_handler_is_nothing(tmp_path: Path) -> None:
    async def test(start: Start) -> None:
        said = bytearray()
        process = await start("-c", "import time; print(1); time.sleep(60)", said=said)
        while not said:
            await asyncio.sleep(0.01)
        process.terminate(init=False)
        done, _ = await asyncio.wait({process.exited}, timeout=0.3)
        assert not done
        process.terminate(init=True)
        assert await process.exited == 143

    served(tmp_path, test)


def test_a_start_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    """The pod is deleted at the moment at which its program has begun, and nobody has been told yet."""

    async def test(start: Start) -> None:
        said = bytearray()
        await (await start("-c", "print('warm')", said=said)).exited
        pid = tmp_path / "pid"

        def busy() -> None:
            """The machine, until the program has long begun: both are there when the loop looks again."""
            end = time.monotonic() + 30
            while not (pid.exists() and pid.read_text()) and time.monotonic() < end:
                time.sleep(0.02)
            time.sleep(0.2)

        waits = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
        starting = asyncio.create_task(start("-c", waits, said=said))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(busy)
        asyncio.get_running_loop().call_later(0.1, starting.cancel)
        assert (await asyncio.gather(starting, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        begun = int(pid.read_text())
        end = time.monotonic() + 5
        while alive(begun) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        assert not alive(begun)

    served(tmp_path, test)


KUBELET = """
import asyncio, pathlib, sys
sys.path.insert(0, "selftests")
import test_node_forks

async def test(start):
    said = bytearray()
    two = "import os, time; os.fork(); os.write(1, b'%d\\\\n' % os.getpid()); time.sleep(60)"
    process = await start("-c", two, said=said)
    await start("-c", "echo $$; sleep 60 & echo $!; wait", said=said, program="/bin/sh")
    while said.count(b"\\n") < 4:
        await asyncio.sleep(0.01)
    print(said.decode(), flush=True)
    await process.exited

test_node_forks.served(pathlib.Path(sys.argv[1]), test)
"""


def test_nothing_outlives_a_killed_kubelet(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KUBELET, str(tmp_path)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as kubelet:
        assert kubelet.stdout is not None
        pids = [int(kubelet.stdout.readline()) for _ in range(4)]
        kubelet.send_signal(signal.SIGKILL)
    end = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    """Whether it still runs."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
