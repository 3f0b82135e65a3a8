"""Infinite width: what networks tend to, and what the limits learn.

limits      limits of networks of one layer, deep linear ones, deep ones; and
            how fast networks of growing width come to them: `limits.system`
few_shot    MAML in the limit, at finite width and with kernels:
            `few_shot.system`, `network`, `kernel`, `gaussian`, `table`
pi          deep nonlinear limits that learn features and grow by rows:
            `pi.system`, `limit`, `pinet`, `munet`, `kernel`
word2vec    word vectors in the limit and at any width: `word2vec.system`

The laws themselves
  limits.linear          the linear network in muP is one of width d + k
  limits.mean_field      one hidden layer, any activation
  limits.deep_linear     deep linear, an exact recursion
  limits.deep_particles  deep, any activation, by particles
  few_shot.kernels       GP and NTK predictors that grow by rows
  few_shot.maml          MAML in the span of few rows

`help(infinite_width.limits)` and so on list the rest.

>>> import jax.numpy as jnp
>>> from framework.systems import infinite_width as inf
>>> net = inf.limits.linear.init(d=4, k=2)
>>> inf.limits.linear.apply(net, jnp.ones((3, 4))).shape
(3, 2)
"""

from framework.systems.infinite_width import few_shot, limits, pi, word2vec

__all__ = ['few_shot', 'limits', 'pi', 'word2vec']
