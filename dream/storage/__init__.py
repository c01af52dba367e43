"""What runs leave on disk: run directories, checkpoints, logs, tidy CSV files. Reading distrusts every file."""
