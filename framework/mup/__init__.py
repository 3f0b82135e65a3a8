"""Maximal update parametrisation: feature learning at any width, and its limit.

Finite width: which parametrisations learn features (`abc`), the rules that make
hyperparameters transfer from a narrow net to a wide one (`infshape`,
`multipliers`, `initialisers`, `optimizers`, `layers`), and how to see whether
they were applied (`coord_check`). Infinite width: linear networks of one hidden
layer (`linear_limit`; few-shot learning `maml`, words `word2vec`), any
activation (`mean_field`), any depth (`deep_linear`, `deep_particles`), and the
kernels that other parametrisations end in (`ntk`, `kernel_limit`).

Import the modules; this file imports none of them, so that each stays light.
"""
