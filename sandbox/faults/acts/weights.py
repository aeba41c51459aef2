"""What the owner of the bucket can do with the models' weights in it, as any client of S3."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import aiohttp

from sandbox.faults.acts.kept import give_back, keep
from sandbox.handle import Sandbox

INDEX = "model.safetensors.index.json"


def place(sandbox: Sandbox) -> tuple[str, str]:
    """Bucket and prefix of the weights that LLM endpoints are made of."""
    bucket, _, prefix = sandbox.checkpoint_path.partition("://")[2].partition("/")
    if ".blob." in bucket:  # the account
        bucket, _, prefix = prefix.partition("/")
    return bucket, prefix


async def take_away(sandbox: Sandbox, fault: str) -> None:
    """Remove them all, and keep them."""
    bucket, prefix = place(sandbox)
    async with aiohttp.ClientSession(sandbox.s3_url, raise_for_status=True) as session:
        async with session.get(f"/{bucket}", params={"list-type": "2", "prefix": prefix}) as answer:
            keys = re.findall(r"<Key>([^<]*)</Key>", await answer.text())
        kept = {}
        for path in (f"/{bucket}/{key}" for key in keys):
            async with session.get(path) as answer:
                kept[path] = base64.b64encode(await answer.read()).decode()
            await session.delete(path)
    keep(sandbox, fault, kept)


async def resize(sandbox: Sandbox, fault: str, size: int) -> None:
    """Put the weights of a model of so many bytes in their place, and keep what they were."""
    bucket, prefix = place(sandbox)
    path = f"/{bucket}/{prefix}/{INDEX}"
    async with aiohttp.ClientSession(sandbox.s3_url, raise_for_status=True) as session:
        async with session.get(path) as answer:
            content = await answer.read()
        keep(sandbox, fault, {path: base64.b64encode(content).decode()})
        await session.put(path, data=json.dumps(json.loads(content) | {"metadata": {"total_size": size}}))


async def put_back(sandbox: Sandbox, fault: str) -> None:
    """What was kept is there again."""
    async with aiohttp.ClientSession(sandbox.s3_url, raise_for_status=True) as session:
        for path, content in give_back(sandbox, fault).items():
            await session.put(path, data=base64.b64decode(content))


async def set_policy(sandbox: Sandbox, *statements: dict[str, Any]) -> None:
    """The policy of their bucket; none without statements."""
    bucket, _ = place(sandbox)
    async with aiohttp.ClientSession(sandbox.s3_url, raise_for_status=True) as session:
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        await session.put(f"/{bucket}?policy", json=policy)
