"""The training loop: rounds, validation, checkpoints, signals, progress."""
