# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # XOR clusters: when the last label is fitted
#
# A two-layer ReLU network is trained on four Gaussian clusters in XOR position,
# in dimension $p \gg n$. Points are nearly orthogonal there, so each drives its
# own output alone, by $\alpha p/4n$ a step. Of $n$ outputs that begin as normal
# numbers the most wrong one decides when all labels are fitted:
# $\Pr(\text{fitted by } t) = \Phi(z_n t/t^*)^n$, with $\Phi(z_n)^n = \frac12$.
# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework import rollout
from framework.systems.clusters import xor

net = xor.system(xor.Structure(n=60, n_test=100, m=256))
hp = xor.Hp(alpha=1e-16, omega=1e-15, p=4e4)
times = jnp.arange(0, 81, 2)


def run(key):
  return rollout(net, key, hp, times)[1]


# %% [markdown]
# The law needs four numbers, and no run.
# %%
law = xor.laws.time_to_fit(n=60, p=4e4, alpha=1e-16, omega=1e-15)
print(f'half of all runs have fitted every label by step {law:.1f}')
# %% [markdown]
# Forty runs are lanes of one program: `vmap` over their keys.
# %%
keys = jax.random.split(jax.random.key(1), 40)
seen = jax.jit(jax.vmap(run))(keys)
print('observed:', *sorted(seen))
fitted = np.asarray(seen['train_accuracy']) == 1
# %% [markdown]
# The share of 40 runs that have fitted every label, over steps, and the law,
# dashed: both rise from none to all within thirty steps.
# %%
fig, ax = plt.subplots(figsize=(5, 3.2))
ax.step(times, fitted.mean(0), where='post', label='40 runs')
chance = [xor.laws.fit_chance(t, 60, law) for t in times.tolist()]
ax.plot(times, chance, 'k--', label=r'law: $\Phi(z_n t/t^*)^n$')
ax.set(xlabel='step t', ylabel='share of runs with all labels fitted')
ax.legend()
plt.show()
