"""Ridge regression with random features, or with a kernel."""
