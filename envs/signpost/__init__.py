"""The toy family signpost."""
