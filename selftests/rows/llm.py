"""Of LLM endpoints: what keeps one from being made or from serving, and what its answers fail to prove."""

from dataclasses import replace

from rows.gpu import AMD, NVIDIA, PULL, VENDORS
from rows.row import NotApplicable, Row, each

LLM_ACCEPTED, LLM_SERVES, LLM_DELETED = (f"llm_endpoint_{what}" for what in ("is_accepted", "serves", "is_deleted"))
CHATS = ("chat_completes", "chat_streams", "only_v2_completions_are_used")
LLM_LEFT = "nothing_of_llm_endpoint_is_left"
TIER_B = (LLM_ACCEPTED, LLM_SERVES, *CHATS, LLM_DELETED, LLM_LEFT)
BEYOND = TIER_B[1:]
TAINTED = {"gpu_nodes_take_pods": "has the taint amd.com/gpu=present:NoSchedule, which is not tolerated"}
ALL = ("-m", "tier_b")

NOT_APPLICABLE = [NotApplicable(TIER_B, unless=VENDORS)]

FAULTS = [
    Row(
        ("checkpoint-missing",),
        {LLM_ACCEPTED: "there are no weights (*.safetensors) at checkpoint_path"},
        blocks=BEYOND,
        words=NVIDIA,
        select=ALL,
    ),
    Row(
        ("llm-out-of-memory", "delete-not-performed"),
        {
            LLM_SERVES: "the model does not fit into the memory of its GPUs",
            LLM_DELETED: "the gateway answered the delete of",
        },
        blocks=(*CHATS, LLM_LEFT),
        words=NVIDIA,
        select=ALL,
        sign="Error",
        left=True,
    ),
    Row(
        ("chat-empty", "llm-workers-left"),
        {
            "chat_completes": "answers without any content",
            "chat_streams": "streams an answer without any content",
            LLM_LEFT: "left in model-engine-endpoints",
        },
        blocks=CHATS[2:],
        words=NVIDIA,
        select=ALL,
        left=True,
    ),
    # For the proof.
    Row(
        ("vllm-image-internal",),
        each(("vllm_image_is_pulled", "vllm_image_is_pulled_on_gpu_nodes"), "cannot be pulled"),
        blocks=TIER_B,
        words=NVIDIA,
        sign="ErrImagePull",
        select=("-k", "vllm or tier_b"),
        long_proof=True,
    ),
    Row(
        (),
        {},
        errors=TIER_B,
        because="checkpoint_path is not given, and the released gateway makes no LLM endpoint without it",
        unset=("CHECKPOINT_PATH",),
        called="checkpoint-unset",
        words=NVIDIA,
        select=ALL,
        long_proof=True,
    ),
    Row(
        (),
        {LLM_ACCEPTED: "the gateway knows no weights of the model: the create says no checkpoint_path"},
        given=("--set", "overlays={model_engine/released/llm_endpoint: {checkpoint_path: null}}"),
        blocks=BEYOND,
        called="checkpoint-unsent",
        words=NVIDIA,
        select=ALL,
        long_proof=True,
    ),
    Row(
        ("llm-workers-left",),
        {LLM_LEFT: "left in model-engine-endpoints"},
        words=NVIDIA,
        select=("-k", "nothing_of_llm"),
        left=True,
        long_proof=True,
    ),
    Row(
        ("llm-oom-killed",),
        {LLM_SERVES: "its worker was killed since it took more than its memory limit"},
        blocks=CHATS,
        words=NVIDIA,
        select=ALL,
        sign="Error",
        long_proof=True,
    ),
    Row(
        ("checkpoint-unreadable",),
        {LLM_SERVES: "its worker may not read the weights at checkpoint_path"},
        blocks=CHATS,
        words=NVIDIA,
        select=ALL,
        long_proof=True,
    ),
    *(
        Row((fault,), {check: line}, words=NVIDIA, select=ALL, long_proof=True)
        for fault, check, line in (
            ("stream-stops", "chat_streams", "stops in the middle of a stream"),
            ("stream-error", "chat_streams", "ends a stream with an error"),
            ("stream-in-one-chunk", "chat_streams", "does not stream: its answer came in"),
        )
    ),
    Row(
        ("chat-another-model",),
        each(CHATS[:2], "was asked, and the answer names the model"),
        blocks=CHATS[2:],
        words=NVIDIA,
        select=ALL,
        long_proof=True,
    ),
]

ROWS = [
    Row(
        (),
        {LLM_ACCEPTED: "-m tier_b declares GPUs, and no node shows any sign of a GPU"},
        given=ALL,
        blocks=BEYOND,
        judged=TIER_B,
    ),
    *FAULTS,
    *(replace(row, words=AMD, long_proof=True) for row in FAULTS),
    # Of nodes with GPUs of AMD the released template tolerates no taint but the one that gpuTolerations name, on Azure.
    *(
        Row(
            (),
            {**taint, LLM_ACCEPTED: "the product cannot make LLM endpoints on GPUs of AMD"},
            blocks=(*(PULL for _ in taint), *BEYOND),
            words=words,
            select=("-k", "gpu or tier_b"),
            long_proof=True,
        )
        for taint, *several in (
            (TAINTED, ("amd",), ("gcp", "amd"), ("onprem", "amd"), ("documented", "amd")),
            ({}, ("azure", "amd")),
        )
        for words in several
    ),
]
