"""The family cooking."""
