"""Stochastic gradient descent on a linear model."""
