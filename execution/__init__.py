"""Executors and end-to-end policies, one file each."""
