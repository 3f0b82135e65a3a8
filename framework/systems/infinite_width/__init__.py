"""Infinite width: limits, few-shot learning, words."""
