"""The coupling of exploration and execution, exactly."""
