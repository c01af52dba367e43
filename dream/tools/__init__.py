"""bench, doctor and demo."""
