"""An application that listens on a free port of one address."""

from __future__ import annotations

from aiohttp import web


class Served:
    """``await start()``, then `url`."""

    def __init__(self, host: str, app: web.Application) -> None:
        self.host, self.url = host, ""
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, 0).start()
        self.url = f"http://{self.host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close; what it had in memory is gone."""
        await self._runner.cleanup()
