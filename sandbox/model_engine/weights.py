"""What a model's weights are fetched with: s5cmd, azcopy or gcloud, all from one store that is asked as S3 is.

``python -m sandbox.model_engine.weights --store URL s5cmd …`` and what the tool itself is told.
"""

from __future__ import annotations

import fnmatch
import http.client
import re
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

# A program as the product's command line has it, and which of the tools below it is.
TOOLS = {
    "./s5cmd": "s5cmd",
    "azcopy copy": "azcopy",
    "/opt/google-cloud-sdk/bin/gcloud storage rsync": "gcloud",
}
WANTED = ("*.model", "*.model.v*", "*.json", "*.safetensors", "*.txt", "*.jinja")
# What each says of a source with nothing in it, and how it ends.
NOTHING = {
    "s5cmd": ('ERROR "cp {source} {target}": no object found', 1),
    "azcopy": (
        "failed to perform copy command due to error: cannot start job due to error: no files found at {source}",
        1,
    ),
    "gcloud": ("ERROR: (gcloud.storage.rsync) Did not find existing container at: {source}", 1),
}


def main(words: list[str]) -> int:
    """Fetch what is asked for, say so, return the exit code."""
    store, tool, rest = words[1], words[2], words[3:]
    source, target = rest[-2:]
    bucket, prefix = located(source)
    keys = [key for key in listed(store, bucket, prefix) if any(fnmatch.fnmatch(key, one) for one in WANTED)]
    if not keys:
        text, code = NOTHING[tool]
        print(text.format(source=source, target=target), file=sys.stderr)
        return code
    for key in keys:
        path = Path(target, key.removeprefix(prefix).lstrip("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(get(store, f"/{bucket}/{quote(key)}"))
        print(f"cp {source.rstrip('*')}{path.name} {path}")
    return 0


def located(source: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix/*``, or of the address of a blob."""
    place = source.partition("://")[2]
    if "blob.core.windows.net" in place:
        place = place.partition("/")[2]  # without the account
    bucket, _, prefix = place.rstrip("*").partition("/")
    return bucket, prefix


def listed(store: str, bucket: str, prefix: str) -> list[str]:
    """The keys of the objects there; none of a bucket that does not exist."""
    answer = get(store, f"/{bucket}?list-type=2&prefix={quote(prefix)}").decode()
    return re.findall(r"<Key>([^<]*)</Key>", answer)


def get(store: str, path: str) -> bytes:
    """The body of the answer, whatever its status."""
    connection = http.client.HTTPConnection(urlsplit(store).netloc)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
