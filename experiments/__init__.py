"""Experiments: a trajectory, a law, and whether one obeys the other."""
