"""What answers which request: one module per family of routes."""
