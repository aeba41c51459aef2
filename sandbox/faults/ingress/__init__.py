"""An ingress that lies, in front of the gateway: `program` is what its pod runs, `lies` its rows, `front` puts it."""
