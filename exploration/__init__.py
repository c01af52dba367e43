"""Explorers and exploration rewards, one file each."""
