"""Few-shot learning: limit, widths and kernels on equal tasks."""
