"""Of GPUs."""

from rows.row import NotApplicable, Row, each

READ = ("gpu_nodes_are_labelled", "gpu_nodes_take_pods", "gpus_are_allocatable", "gpu_operator_is_reconciled")
ON_NODES = (*READ, "gpu_driver_works", "vllm_image_is_pulled_on_gpu_nodes")
VENDORS = ("nvidia", "amd")
PULL, DRIVER = "vllm_image_is_pulled_on_gpu_nodes", "gpu_driver_works"
GPUS = ("-k", "preflight and (gpu_ or gpus_)")
NVIDIA, AMD = ("nvidia",), ("amd", "patched")
NO_DRIVER = "driver of node gpu-1: the driver is not loaded on the node"
NO_LABEL = "each has no label k8s.amazonaws.com/accelerator"

NOT_APPLICABLE = [NotApplicable(ON_NODES, unless=VENDORS)]


def lasting(fault: str, fails: dict[str, str], *blocks: str, words: tuple[str, ...] = NVIDIA) -> Row:
    """A row of the long proof."""
    return Row((fault,), fails, blocks, words=words, select=GPUS, long_proof=True)


ROWS = [
    Row(
        (),
        each(ON_NODES, "declared AMD: no node shows any sign of a GPU of AMD"),
        given=("-m", "amd and preflight"),
        judged=ON_NODES,
    ),
    Row(
        ("gpu-driver-missing", "gpu-label-wrong"),
        {
            "gpu_nodes_are_labelled": "each has k8s.amazonaws.com/accelerator=a10g, not one of nvidia-tesla-t4, ",
            "gpu_operator_is_reconciled": NO_DRIVER,
            "gpu_driver_works": NO_DRIVER,
        },
        blocks=(PULL,),
        words=NVIDIA,
        select=GPUS,
    ),
    *(
        lasting("gpu-driver-missing", each(("gpu_operator_is_reconciled", DRIVER), NO_DRIVER), words=words)
        for words in (NVIDIA, AMD)
    ),
    *(
        lasting(
            "gpu-driver-gone-at-boot",
            each(("gpus_are_allocatable", "gpu_operator_is_reconciled"), NO_DRIVER),
            DRIVER,
            words=words,
        )
        for words in (NVIDIA, AMD)
    ),
    *(
        lasting(
            "gpu-plugin-unregistered",
            {"gpus_are_allocatable": "its device plug-in has never registered"},
            DRIVER,
            words=words,
        )
        for words in (NVIDIA, AMD)
    ),
    lasting("gpus-not-allocatable", {"gpus_are_allocatable": "each can give none of its 2 nvidia.com/gpu"}, DRIVER),
    lasting(
        "gpu-label-missing",
        {
            "gpu_nodes_are_labelled": NO_LABEL,
            **each(("gpus_are_allocatable", "gpu_operator_is_reconciled"), "ready for a wrong reason: NoGPUNodes"),
        },
        *(DRIVER, PULL),
    ),
    lasting(
        "gpu-label-missing",
        {
            "gpu_nodes_are_labelled": NO_LABEL,
            **each(("gpus_are_allocatable", "gpu_operator_is_reconciled"), "has its devicePlugin on 0 of 2 nodes"),
        },
        *(DRIVER, PULL),
        words=AMD,
    ),
    lasting(
        "gpu-memory-errors", {DRIVER: "has 3 memory errors since the driver was loaded that ECC could not correct"}
    ),
    lasting(
        "gpu-partitioned", {DRIVER: "are partitioned (MIG is on), and its label k8s.amazonaws.com/accelerator=nvid"}
    ),
    lasting("gpu-template-label-missing", {"gpu_nodes_are_labelled": NO_LABEL}, PULL),
    lasting("gpu-label-wrong", {"gpu_nodes_are_labelled": "each has k8s.amazonaws.com/accelerator=a10g, not"}, PULL),
    lasting("gpu-node-tainted", {"gpu_nodes_take_pods": "has the taint dedicated=another-team:NoSchedule"}, PULL),
    lasting("gpu-node-cordoned", {"gpu_nodes_take_pods": "each is cordoned"}, DRIVER, PULL),
    lasting(
        "gpu-node-not-ready",
        {"gpu_nodes_take_pods": "each is not Ready (NodeStatusUnknown: Kubelet stopped posting node status.)"},
        *("gpus_are_allocatable", "gpu_operator_is_reconciled", DRIVER, PULL),
    ),
    *(
        Row((fault,), {}, errors=(DRIVER,), words=NVIDIA, select=GPUS, long_proof=True)
        for fault in ("gpus-in-use", "balloons")
    ),
]
