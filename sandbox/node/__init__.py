"""A kubelet and a service proxy: images are local programs, a pod is processes on a loopback address of its own."""
