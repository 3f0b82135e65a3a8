"""Cluster data: late generalisation in two-layer networks."""
