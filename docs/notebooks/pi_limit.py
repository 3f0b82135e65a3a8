# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # The π-limit: a deep network of infinite width that learns features
#
# Projected on the rows of few Gaussian matrices, gradient descent of a deep
# network in muP has an exact limit: each step adds rows to a finite list. A
# network of width $n$ drawn from the trained limit predicts the same up to
# $n^{-1/2}$.
# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework.maths.gaussian import transform
from framework.systems.infinite_width import pi

relu, key = transform('relu'), jax.random.key(0)
x = jax.random.normal(key, (8, 5))
net = pi.net.gaussian()(key, d=5, k=2, r=16, depth=2, dtype=jnp.float32)
start = pi.sgd.begin(net, capacity=80, batch=8)
loss = lambda f: jnp.mean((f - 1) ** 2)


def step(state, _):
  before = loss(pi.net.apply(relu, state.net, x))
  return pi.sgd.step(relu, state, x, loss, pi.sgd.Rates(lr=0.1)), before


state, curve = jax.jit(lambda s: jax.lax.scan(step, s, None, 10))(start)
print(curve.round(4))
# %% [markdown]
# Networks of growing width, drawn from the trained limit. `vmap` over keys
# draws thirty of each.
# %%
widths = 128, 512, 1024
limit = pi.net.apply(relu, state.net, x)


def off(n):
  def one(key):
    params, _ = pi.finite.sample(key, relu, state.net, n=n)
    return jnp.mean((pi.finite.apply(relu, params, x) - limit) ** 2) ** 0.5

  return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(key, 30)))


errors = np.stack([off(n) for n in widths])
rms = np.sqrt(np.mean(errors**2, 1))
print(rms.round(4))
# %% [markdown]
# Left: the loss of the limit falls over ten steps. Right: networks drawn from
# it are off by less the wider they are; dashed the law $n^{-1/2}$.
# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout='constrained')
left.semilogy(curve, 'o-')
left.set(xlabel='step', ylabel='loss of the limit')
n = np.asarray(widths)
right.loglog(n, rms, 'o-', label='rms of 30 networks')
law = rms[-1] * (n / n[-1]) ** -0.5
right.loglog(n, law, 'k--', label=r'law: $n^{-1/2}$')
right.set(xlabel='width n', ylabel='distance from the limit')
right.set_xticks(widths, widths)
right.minorticks_off()
right.legend()
plt.show()
