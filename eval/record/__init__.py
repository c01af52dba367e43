"""Record trials to files and read them."""
