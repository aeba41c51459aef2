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
# What each says of a source with nothing in it, before it ends with 1.
NOTHING = {
    "s5cmd": 'ERROR "cp {source} {target}": no object found',
    "azcopy": "failed to perform copy command due to error: cannot start job due to error: no transfers were scheduled"
    " because no files matched the specified criteria",
    "gcloud": "ERROR: (gcloud.storage.rsync) The following URLs matched no objects or files:\n-{source}",
}
# And of a file that it may not read.
DENIED = {
    "s5cmd": 'ERROR "cp {source} {target}": AccessDenied: Access Denied status code: 403, request id: 17F, host id: ',
    "azcopy": "RESPONSE 403: 403 This request is not authorized to perform this operation using this permission.\n"
    "ERROR CODE: AuthorizationPermissionMismatch",
    "gcloud": "ERROR: HTTPError 403: the account does not have storage.objects.get access to the Google Cloud Storage"
    " object {source}. Permission 'storage.objects.get' denied on resource (or it may not exist).",
}


def main(words: list[str]) -> int:
    """Fetch what is asked for, say so, return the exit code."""
    store, tool, rest = words[1], words[2], words[3:]
    source, target = rest[-2:]
    bucket, prefix = located(source)
    keys = [key for key in listed(store, bucket, prefix) if any(fnmatch.fnmatch(key, one) for one in WANTED)]
    if not keys:
        return failed(NOTHING[tool], source, target)
    for key in keys:
        path = Path(target, key.removeprefix(prefix).lstrip("/"))
        one = f"{source.rstrip('/*')}/{path.name}"
        status, content = get(store, f"/{bucket}/{quote(key)}")
        if status != 200:
            return failed(DENIED[tool], one, str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"cp {one} {path}")
    return 0


def failed(text: str, source: str, target: str) -> int:
    """Say why; the exit code."""
    print(text.format(source=source, target=target), file=sys.stderr)
    return 1


def located(source: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix/*``, or of the address of a blob."""
    place = source.partition("://")[2]
    if "blob.core.windows.net" in place:
        place = place.partition("/")[2]  # without the account
    bucket, _, prefix = place.rstrip("*").partition("/")
    return bucket, prefix


def listed(store: str, bucket: str, prefix: str) -> list[str]:
    """The keys of the objects there; none of a bucket that does not exist."""
    _, answer = get(store, f"/{bucket}?list-type=2&prefix={quote(prefix)}")
    return re.findall(r"<Key>([^<]*)</Key>", answer.decode())


def get(store: str, path: str) -> tuple[int, bytes]:
    """Status and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(store).netloc)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
