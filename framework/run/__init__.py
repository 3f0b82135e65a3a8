"""The host side of a run: jobs, lanes, records, checkpoints."""
