"""The family dark-rooms."""
