"""Timings side by side: ours, peers and the machine's limits."""
