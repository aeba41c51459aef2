"""A model's weights in the cloud's storage: what the gateway looks at, and how a worker fetches them."""

from __future__ import annotations

import os
import re

import aiohttp

from sandbox.model_engine.endpoint_rules import InvalidRequest

FOLDER = "model_files"  # of the worker's; vLLM serves the model under this name, too
SCHEMES = ("s3://", "gs://", "azure://")
BLOBS = "blob.core.windows.net"

WANTED = ("*.model", "*.model.v*", "*.json", "*.safetensors", "*.txt", "*.jinja")
S5CMD = './s5cmd  --numworkers 512 cp --concurrency 10 {included} --exclude "optimizer*" {path}/* {folder}'
AZCOPY = 'azcopy copy --recursive --include-pattern "{listed}" --exclude-pattern "optimizer*" {path}/* {folder}'
GCLOUD = (
    "/opt/google-cloud-sdk/bin/gcloud storage rsync -r"
    r' --exclude="optimizer.*" --exclude=".*\.py$" {path} {folder}'
)


class InvalidRequestException(Exception):
    """The built-in models' weights are nowhere: nothing in the product expects that. Named as its log has it."""


async def check(path: str | None, model: str) -> str:
    """The path, once there are weights at it. InvalidRequest, InvalidRequestException."""
    if not path:
        raise InvalidRequestException(f"No checkpoint path found for model {model}")
    if not path.startswith(SCHEMES) and BLOBS not in path:
        text = "Only S3, Azure Blob Storage, and GCS paths are supported. Given checkpoint path:"
        raise InvalidRequest(f"{text} {path}.")
    if not _is_azure(path):  # there nobody looks before the worker does
        names = await _listed(path)
        if not any("model" in name and name.endswith(".safetensors") for name in names):
            raise InvalidRequest("No safetensors found in the checkpoint path.")
    return path


def download_commands(path: str) -> list[str]:
    """What a worker does before it starts vLLM. The product installs Google's client first; here it is in the image."""
    path = path.rstrip("/")
    if _is_azure(path):
        return [
            "export AZCOPY_AUTO_LOGIN_TYPE=WORKLOAD",
            AZCOPY.format(listed=";".join(WANTED), path=path, folder=FOLDER),
        ]
    if path.startswith("gs://"):
        return [GCLOUD.format(path=path, folder=FOLDER)]
    included = " ".join(f'--include "{pattern}"' for pattern in WANTED)
    return [S5CMD.format(included=included, path=path, folder=FOLDER)]


def _is_azure(path: str) -> bool:
    return path.startswith("azure://") or BLOBS in path


async def _listed(path: str) -> list[str]:
    """The names of the objects at `path`. InvalidRequest when nobody may look."""
    url = os.environ["STORAGE_EMULATOR_HOST" if path.startswith("gs://") else "AWS_ENDPOINT_URL_S3"]
    bucket, _, prefix = path.partition("://")[2].partition("/")
    query = {"list-type": "2", "prefix": prefix}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/{bucket}", params=query) as answer:
        if answer.status != 200:
            text = "Check that the path exists and that the deployment has read access to the bucket."
            raise InvalidRequest(f"Could not read model weights at '{path}'. {text}")
        return re.findall(r"<Key>([^<]*)</Key>", await answer.text())
