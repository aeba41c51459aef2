"""The models whose weights are in the deployment's bucket. The weights are none, but are as large as they say."""

from __future__ import annotations

import json

BUCKET = "model-engine"
PREFIXES = {  # by cloud: how the bucket's models are called
    "aws": f"s3://{BUCKET}/models",
    "onprem": f"s3://{BUCKET}/models",
    "gcp": f"gs://{BUCKET}/models",
    "azure": f"https://sandbox.blob.core.windows.net/{BUCKET}/models",
}
INSTRUCT, BASE = "llama-3.1-8b-instruct", "llama-3-1-8b"
SIZE = 16_060_522_496  # bytes: 8 billion parameters of two each
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"


def files(model: str, *, size: int = SIZE, template: str | None = None) -> dict[str, bytes]:
    """By path below the store's address. `size` in bytes, `template` of a chat."""
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast"} | ({"chat_template": template} if template else {})
    texts = {
        "config.json": {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 131072},
        "tokenizer_config.json": tokenizer,
        "model.safetensors.index.json": {"metadata": {"total_size": size}, "weight_map": {}},
    }
    there = {name: json.dumps(content).encode() for name, content in texts.items()}
    there["model-00001-of-00001.safetensors"] = b""
    return {f"/{BUCKET}/models/{model}/{name}": content for name, content in there.items()}


def stored() -> dict[str, bytes]:
    """All of them: one to chat with, and one that was never taught how."""
    return files(INSTRUCT, template=TEMPLATE) | files(BASE)
