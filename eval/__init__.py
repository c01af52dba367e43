"""Evaluation on held-out problems, and the statistics of comparing methods."""
