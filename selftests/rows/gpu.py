"""Of GPUs."""

from rows.row import NotApplicable, Row, each

READ = ("gpu_nodes_are_labelled", "gpu_nodes_take_pods", "gpus_are_allocatable", "gpu_operator_is_reconciled")
ON_NODES = (*READ, "gpu_driver_works", "vllm_image_is_pulled_on_gpu_nodes")
VENDORS = ("nvidia", "amd")

NOT_APPLICABLE = [NotApplicable(ON_NODES, unless=VENDORS)]

ROWS = [
    Row(
        (),
        each(ON_NODES, "declared AMD: no node shows any sign of a GPU of AMD"),
        given=("-m", "amd"),
        judged=ON_NODES,
    ),
]
