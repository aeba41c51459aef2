"""Imported by every Python that runs in a pod: the pod's own network, and its own lifetime."""

import os

if "POD_IP" in os.environ:
    import pod_lifetime
    import pod_network

    pod_lifetime.install()
    pod_network.install()
    if "SANDBOX_AUTHORITY" in os.environ:
        import pod_azure

        pod_azure.install()
