"""Variants that train one attention layer."""
