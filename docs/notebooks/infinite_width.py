# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # Infinite width: how near a finite network is
#
# A linear network with one hidden layer in muP has an infinite-width limit that
# is a small network itself, of width $d + k$. A network of width $n$ is off by
# a random amount of order $n^{-1/2}$, at every step of training.
# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework import rollout
from framework.systems.infinite_width import limits

jax.config.update('jax_enable_x64', True)


def at(n):
  structure = limits.Structure(limits.ways.linear(), width=n, steps=5)
  return limits.system(structure)


def run(n, key):
  return rollout(at(n), key, limits.Hp(), jnp.arange(6))[1]


# %% [markdown]
# A width is a structure, so each is a program; seeds are lanes.
# %%
widths = 32, 128, 512
keys = jax.random.split(jax.random.key(1), 30)


def error(n):
  seen = jax.jit(jax.vmap(lambda key: run(n, key)))(keys)
  print(n, 'off by', seen['error'][0].round(3))
  return np.asarray(seen['error'])[:, -1]


errors = np.stack([error(n) for n in widths])
slope = np.polyfit(np.log(widths), np.log(np.median(errors, 1)), 1)[0]
print(f'slope {slope:.2f}, law -0.50')
# %% [markdown]
# Distance of 30 networks from the limit after five steps, over the width:
# points fall along the law, dashed, of slope −½.
# %%
fig, ax = plt.subplots(figsize=(5, 3.2))
n = np.asarray(widths)
ax.loglog(np.repeat(n, 30), errors.ravel(), '.', alpha=0.4, label='30 networks')
ax.loglog(n, np.median(errors, 1), 'o-', label='median')
scale = np.median(errors[0]) * n[0] ** 0.5
ax.loglog(n, scale * n**-0.5, 'k--', label=r'law: $n^{-1/2}$')
ax.set(xlabel='width n', ylabel='distance from the limit')
ax.set_xticks(widths, widths)
ax.minorticks_off()
ax.legend()
plt.show()
