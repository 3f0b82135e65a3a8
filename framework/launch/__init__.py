"""Experiments: from the command line, a notebook or a test."""
