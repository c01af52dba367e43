"""Train and evaluate many runs side by side."""
