"""The families bus and map."""
