"""Attention layers, the hard-margin problems they solve, and probes of both."""
