"""Real data: where it lies on disk, and what is in it."""
