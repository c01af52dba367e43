"""Films, pictures and words of recorded trials."""
