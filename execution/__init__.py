"""Executors and whole-trial (end-to-end) policies, one file each."""
