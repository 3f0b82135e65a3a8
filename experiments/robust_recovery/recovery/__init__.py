"""The sub-gradient method on random truths: one file a figure."""
