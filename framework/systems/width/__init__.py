"""Width: what transfers over it, and what a parametrisation does."""
