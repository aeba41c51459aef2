"""The vendors' operators: what helm and their controllers make, and what the controllers say of it."""
