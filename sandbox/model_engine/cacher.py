"""The cacher: every 15 s it writes what Kubernetes says of the endpoints to Redis. ``…entrypoints.k8s_cache``."""

from __future__ import annotations

import argparse
import asyncio
import time

from sandbox import clock
from sandbox.client import Client
from sandbox.model_engine import config, endpoint_objects, image_caches, loggers
from sandbox.model_engine.infra_cache import CACHER_TTL, InfraCache
from sandbox.model_engine.loggers import make_logger

SLEEP_INTERVAL = 15.0  # seconds

logger = make_logger("k8s_cache")
delegate_logger = make_logger("model_engine_server.infra.gateways.resources.k8s_endpoint_resource_delegate")


async def main(ttl: float) -> None:
    """Loop until something raises. `ttl`: seconds that an entry lives."""
    url = config.cache_redis_url()
    logger.info(f"Using cache redis url {url}")  # password and all, as the product does
    cache = InfraCache(url, health_check=True)
    async with Client.in_cluster() as kubernetes:
        while True:
            start = time.time()
            await loop_iteration(kubernetes, cache, ttl)
            took = time.time() - start
            logger.info(f"Loop took {took} seconds")
            # The product says so after its sleep; a sandbox should not take 15 s to be up.
            config.write_readyz()
            rest = clock.scaled(SLEEP_INTERVAL) - took
            if rest > 0:
                logger.info(f"Loop took {took} seconds, sleeping for {rest} seconds")
                await asyncio.sleep(rest)


async def loop_iteration(kubernetes: Client, cache: InfraCache, ttl: float) -> None:
    """Read all endpoints' objects, write each endpoint's state; without an endpoint Redis is not touched."""
    states = await endpoint_objects.infra_states(kubernetes)
    for kind in ("hpas", "vpas"):
        delegate_logger.info(f"Orphaned {kind}: set()")
    names = [state["deployment_name"] for state in states.values()]
    delegate_logger.info(f"Got data for {names} and []")
    for endpoint_id, state in states.items():
        await cache.write(endpoint_id, state, ttl)
    await image_caches.update(kubernetes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ttl-seconds", type=float, default=CACHER_TTL)
    loggers.log_uncaught("k8s_cache")
    loggers.log_start()
    asyncio.run(main(parser.parse_args().ttl_seconds))
