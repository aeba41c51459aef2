"""Startup, readiness and liveness probes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox import clock
from sandbox.client import Object

# Where in its period the kubelet's first look falls is chance. Here it is the best chance: while a container comes up
# it is looked at this often, and what is not yet ready then counts once for each period, as there.
STARTING_INTERVAL_SECONDS = {"httpGet": 0.1, "tcpSocket": 0.1, "exec": 0.3}
STARTING_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """What a probe looks at: the pod's address, the container's named ports, how to run a command in it."""

    address: str
    ports: Mapping[str, int]
    execute: Callable[[list[str], float], Awaitable[str | None]]

    def port(self, port: int | str) -> int:
        """A probe's port, by number or name."""
        return self.ports.get(str(port)) or int(port)


@dataclass(frozen=True)
class Settings:
    """A probe's fields; seconds at factor 1, except `timeout`, which is not scaled."""

    action: str
    delay: float
    period: float
    timeout: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Object) -> Settings:
        """From a Probe object."""
        return cls(
            action=next(action for action in ACTIONS if action in probe),
            delay=probe.get("initialDelaySeconds", 0),
            period=probe["periodSeconds"],
            timeout=probe["timeoutSeconds"],
            successes=probe["successThreshold"],
            failures=probe["failureThreshold"],
        )


async def watch(
    probe: Object, target: Target, *, failed: Callable[[str], None], decided: Callable[[bool], None]
) -> None:
    """Probe for ever: `failed` hears each failure's text, `decided` each result that a threshold has confirmed."""
    settings = Settings.of(probe)
    await clock.sleep(settings.delay)
    begun = time.monotonic()
    in_a_row, last = 0, None
    while True:
        text = await _look(probe, target, settings, patient=last is not True and _starting(begun))
        in_a_row = in_a_row + 1 if (text is None) is last else 1
        last = text is None
        if text is not None:
            failed(text)
        if in_a_row == (settings.successes if last else settings.failures):
            decided(last)
        if text is None or not _starting(begun):
            await clock.sleep(settings.period)


def _starting(begun: float) -> bool:
    return time.monotonic() - begun < STARTING_SECONDS


async def _look(probe: Object, target: Target, settings: Settings, *, patient: bool) -> str | None:
    """One result of a probe; a `patient` one is the best of one period. None is success, else the failure's text."""
    action = ACTIONS[settings.action]
    end = time.monotonic() + clock.scaled(settings.period)
    while True:
        text = await action(probe[settings.action], target, settings.timeout)
        if text is None or not patient or time.monotonic() >= end:
            return text
        await asyncio.sleep(STARTING_INTERVAL_SECONDS[settings.action])


async def _http_get(get: Mapping[str, Any], target: Target, timeout: float) -> str | None:
    host, port = get.get("host") or target.address, target.port(get["port"])
    path = "/" + get.get("path", "/").lstrip("/")
    url = f"{get.get('scheme', 'HTTP').lower()}://{host}:{port}{path}"
    headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*"}
    headers |= {header["name"]: header["value"] for header in get.get("httpHeaders") or ()}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), headers=headers) as session,
            session.get(url, ssl=False) as answer,
        ):
            status = answer.status
    except TimeoutError:
        return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except aiohttp.ClientConnectorError:
        return f'Get "{url}": dial tcp {host}:{port}: connect: connection refused'
    except aiohttp.ClientError:
        return f'Get "{url}": EOF'
    return None if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


async def _tcp_socket(socket: Mapping[str, Any], target: Target, timeout: float) -> str | None:
    host, port = socket.get("host") or target.address, target.port(socket["port"])
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout)
    except OSError:
        return f"dial tcp {host}:{port}: connect: connection refused"
    writer.close()
    return None


async def _exec(command: Mapping[str, Any], target: Target, timeout: float) -> str | None:
    return await target.execute(command["command"], timeout)


ACTIONS: Mapping[str, Callable[[Mapping[str, Any], Target, float], Awaitable[str | None]]] = {
    "httpGet": _http_get,
    "tcpSocket": _tcp_socket,
    "exec": _exec,
}
