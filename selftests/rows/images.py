"""Of images and pods."""

from rows.row import NEED_SERVING, PROBED, PULLS, SERVES, Row, each

ROWS = [
    Row(
        ("echo-image-missing",),
        each((*PULLS, *SERVES), "cannot be pulled"),
        # Probes run the same image.
        blocks=(*NEED_SERVING, *PROBED, "cacher_redis_lets_it_in", "nothing_of_async_endpoint_is_left"),
        sign="ErrImagePull",
        select=("-m", "preflight or tier_a"),
        long_proof=True,
        left=True,  # a queue may have been made: nobody can look without that image
    ),
    Row(
        ("echo-crash-loop",),
        each(SERVES, "crashes again and again (Error 1)"),
        blocks=NEED_SERVING,
        sign="CrashLoopBackOff",
        long_proof=True,
    ),
    Row(
        ("no-node-fits",),
        each(("vllm_image_is_pulled", *PULLS), "no node can take a pod with the node selector and tolerations")
        | each(SERVES, "no node can take the pod"),
        # Probes find no node either, those for queues among them.
        blocks=(*NEED_SERVING, *PROBED, "cacher_redis_lets_it_in", "nothing_of_async_endpoint_is_left"),
        left=True,  # a queue was made, and nobody can look whether it is gone
        sign="FailedScheduling",
        long_proof=True,
    ),
    Row(("vllm-image-missing",), {"vllm_image_is_pulled": "cannot be pulled"}, sign="ErrImagePull", long_proof=True),
]
