"""Summaries, tables and figures of compared runs."""
