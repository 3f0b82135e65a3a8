"""Deep products, greedy learning, and SGD: what else factors do."""
