"""The family fixed-arm."""
