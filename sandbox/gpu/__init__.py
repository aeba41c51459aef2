"""GPU nodes without GPUs: machines, device plug-ins, operators and the vendors' tools, as each source makes them."""
