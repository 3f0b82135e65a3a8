"""Configs: one file a system, one variant a figure."""
