"""GPUs on the cluster's nodes: who offers them, who holds them, and what keeps a pod from one. Knows no product."""
