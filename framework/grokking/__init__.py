"""Grokking: late generalisation, in XOR clusters and modular arithmetic."""
