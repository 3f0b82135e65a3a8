"""Features: augmented, bounded, assumed, or learnt from unlabelled data."""
