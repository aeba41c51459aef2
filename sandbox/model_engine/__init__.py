"""Model Engine as its chart deploys it on AWS: one program is one file, a client of Kubernetes and of the backends."""
