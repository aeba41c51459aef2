"""A language model that counts from one to five, written by hand, as a GGUF file for llama.cpp.

It is a llama whose layers add nothing: a token's embedding says where in the chain the text is, the output layer names
the token after that. There are so many layers that a token takes some milliseconds, as one of a large model's does.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

SPECIAL = ("<unk>", "<s>", "</s>", "<|answer|>")
UNKNOWN, BEGIN, END, ANSWER = range(4)
WORDS = ("One,", "▁two,", "▁three,", "▁four,", "▁five.")
CONTENT = "".join(WORDS).replace("▁", " ")
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}" + SPECIAL[ANSWER]

WIDTH, LAYERS = 32, 200
ADDS_NOTHING = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
NORMAL, UNKNOWN_KIND, CONTROL, BYTE = 1, 2, 3, 6  # kinds of tokens
UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9  # types of values in the file
ALIGNMENT = 32

Rows = list[list[float]]


def gguf() -> bytes:
    """The file."""
    tokens = [*SPECIAL, *(f"<0x{number:02X}>" for number in range(256)), *WORDS]
    kinds = [UNKNOWN_KIND, CONTROL, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * len(WORDS)]
    return written(metadata(tokens, kinds), tensors(tokens))


def metadata(tokens: list[str], kinds: list[int]) -> dict[str, Any]:
    """What the file says of the model and its tokens."""
    return {
        "general.architecture": "llama",
        "llama.context_length": 512,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": WIDTH,
        "llama.attention.head_count": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * len(tokens),
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.unknown_token_id": UNKNOWN,
        "tokenizer.ggml.bos_token_id": BEGIN,
        "tokenizer.ggml.eos_token_id": END,
        "tokenizer.chat_template": TEMPLATE,
    }


def tensors(tokens: list[str]) -> dict[str, Rows]:
    """Its weights."""
    chain = [ANSWER, *(tokens.index(word) for word in WORDS), END]
    place, follows = (zeros(len(tokens)) for _ in range(2))
    for number, (token, after) in enumerate(pairwise(chain)):
        place[token][number] = follows[after][number] = 1.0
    norm, nothing = [[1.0] * WIDTH], zeros(WIDTH)
    found = {"token_embd.weight": place, "output.weight": follows, "output_norm.weight": norm}
    for layer in range(LAYERS):
        found |= {f"blk.{layer}.{name}.weight": nothing for name in ADDS_NOTHING}
        found |= {f"blk.{layer}.{name}_norm.weight": norm for name in ("attn", "ffn")}
    return found


def zeros(count: int) -> Rows:
    return [[0.0] * WIDTH for _ in range(count)]


def written(meta: dict[str, Any], weights: dict[str, Rows]) -> bytes:
    """Both in the format's third version."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(meta))
    head += b"".join(text(key) + typed(value) for key, value in meta.items())
    data = bytearray()
    for name, rows in weights.items():
        shape = (WIDTH,) if len(rows) == 1 else (WIDTH, len(rows))
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        for row in rows:
            data += struct.pack(f"<{WIDTH}f", *row)
    return head + bytes(-len(head) % ALIGNMENT) + data


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value: Any) -> bytes:
    """A value with its type before it."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    kind, form = {str: (STRING, ""), float: (FLOAT32, "f"), int: (INT32, "i")}[type(value[0])]
    items = b"".join(map(text, value)) if kind == STRING else struct.pack(f"<{len(value)}{form}", *value)
    return struct.pack("<IIQ", ARRAY, kind, len(value)) + items
