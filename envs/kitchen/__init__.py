"""Kitchens seen in first person: an ingredient in each container, unknown until it is opened."""
