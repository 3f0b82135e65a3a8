"""Hard-margin problems over matrices: programs, solver, certificates."""
