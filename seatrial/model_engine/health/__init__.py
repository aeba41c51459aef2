"""What is wrong with Model Engine's parts: read-only, one module a part; `trouble` gives a cause or None."""
