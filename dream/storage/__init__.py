"""What runs leave on disk: run directories, checkpoints, tidy CSV files."""
