"""A Kubernetes API over HTTPS on loopback, with the controllers and the scheduler; knows no product, image or fault."""
