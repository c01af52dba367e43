"""Commands that make and print the committed results."""
