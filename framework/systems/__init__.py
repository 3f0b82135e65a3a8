"""The systems: one folder a family, each with its own face."""
