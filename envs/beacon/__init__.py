"""The family beacon."""
