"""llama.cpp's own server with the model that counts: an OpenAI-compatible server that is not ours.

Takes vLLM's command line as far as it is the product's. Prints its address.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

import xllamacpp
from counting_model import gguf


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--served-model-name", nargs="+", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="")
    options, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "counting.gguf")
        model.write_bytes(gguf())
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.model_alias = set(options.served_model_name)
        params.hostnames = [os.environ.get("POD_IP", "127.0.0.1")]  # it does not go through Python's sockets
        params.port, params.api_prefix = options.port, options.prefix
        params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
