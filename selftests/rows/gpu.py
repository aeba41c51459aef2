"""Of GPUs."""

from collections.abc import Iterator
from dataclasses import dataclass

from rows.row import NotApplicable, Row, each

READ = ("gpu_nodes_are_labelled", "gpu_nodes_take_pods", "gpus_are_allocatable", "gpu_operator_is_reconciled")
ON_NODES = (*READ, "gpu_driver_works", "vllm_image_is_pulled_on_gpu_nodes")
VENDORS = ("nvidia", "amd")
PULL, DRIVER = "vllm_image_is_pulled_on_gpu_nodes", "gpu_driver_works"
LABELLED, TAKE, ALLOCATABLE, OPERATOR = READ
GPUS = ("-k", "preflight and (gpu_ or gpus_)")
NVIDIA, AMD = ("nvidia",), ("amd", "patched")
NO_DRIVER = "driver of node gpu-1: the driver is not loaded on the node"
NO_LABEL = "each has no label k8s.amazonaws.com/accelerator"

NOT_APPLICABLE = [NotApplicable(ON_NODES, unless=VENDORS)]


@dataclass(frozen=True)
class Vendor:
    """What rows say of one. `type`: the GPU type to give where the product's own types do not tell a wrong label;
    `no_nodes`: of an operator that knows no node with a GPU; `wrong`: of a label with a type that is none."""

    words: tuple[str, ...]
    resource: str
    no_nodes: str
    wrong: str
    type: str = ""

    def rows(self) -> Iterator[Row]:
        """For the proof."""
        for fault, fails, blocks in (
            ("gpu-driver-missing", each((OPERATOR, DRIVER), NO_DRIVER), ()),
            ("gpu-driver-gone-at-boot", each((ALLOCATABLE, OPERATOR), NO_DRIVER), (DRIVER,)),
            ("gpu-plugin-unregistered", {ALLOCATABLE: "its device plug-in has never registered"}, (DRIVER,)),
            ("gpus-not-allocatable", {ALLOCATABLE: f"each can give none of its 2 {self.resource}"}, (DRIVER,)),
            (
                "gpu-label-missing",
                {LABELLED: NO_LABEL, **each((ALLOCATABLE, OPERATOR), self.no_nodes)},
                (DRIVER, PULL),
            ),
            ("gpu-template-label-missing", {LABELLED: NO_LABEL}, (PULL,)),
            ("gpu-label-wrong", {LABELLED: f"each has k8s.amazonaws.com/accelerator={self.wrong}"}, (PULL,)),
            ("gpu-node-tainted", {TAKE: "has the taint dedicated=another-team:NoSchedule"}, (PULL,)),
            ("gpu-node-cordoned", {TAKE: "each is cordoned"}, (DRIVER, PULL)),
            (
                "gpu-node-not-ready",
                {TAKE: "each is not Ready (NodeStatusUnknown: Kubelet stopped posting node status.)"},
                (ALLOCATABLE, OPERATOR, DRIVER, PULL),
            ),
        ):
            given = ("--set", f"gpu_type={self.type}") if self.type and fault == "gpu-label-wrong" else ()
            yield Row((fault,), fails, blocks, given=given, words=self.words, select=GPUS, long_proof=True)
        yield Row(("gpus-in-use",), {}, errors=(DRIVER,), words=self.words, select=GPUS, long_proof=True)


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
            LABELLED: "each has k8s.amazonaws.com/accelerator=a10g, not one of nvidia-tesla-t4, ",
            OPERATOR: NO_DRIVER,
            DRIVER: NO_DRIVER,
        },
        blocks=(PULL,),
        words=NVIDIA,
        select=GPUS,
    ),
    *Vendor(NVIDIA, "nvidia.com/gpu", "ready for a wrong reason: NoGPUNodes", "a10g, not").rows(),
    *Vendor(
        AMD, "amd.com/gpu", "has its devicePlugin on 0 of 2 nodes", "mi300x, not amd-", "amd-instinct-mi300x"
    ).rows(),
    *(
        Row((fault,), {DRIVER: line}, words=NVIDIA, select=GPUS, long_proof=True)
        for fault, line in (
            ("gpu-memory-errors", "has 3 memory errors since the driver was loaded that ECC could not correct"),
            (
                "gpu-partitioned",
                "are partitioned (MIG is on), and its label k8s.amazonaws.com/accelerator=nvidia-hopper",
            ),
        )
    ),
    Row(("balloons",), {}, errors=(DRIVER,), words=NVIDIA, select=GPUS, long_proof=True),
]
