"""The family point-goals."""
