# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # Matrix sensing: one column too many
#
# Gradient descent on $\frac14\lVert XX^\top - M\rVert^2$ is linear when $X$ has
# as many columns as $M$ has rank, and falls to $1/T^2$ with one more.
# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework import logspaced, rollout
from framework.systems import matrix_sensing as ms

jax.config.update('jax_enable_x64', True)
times = logspaced(3000)


def errors(k):
  system = ms.system(
    ms.Structure(n1=12, n2=12, r=2, k_max=k, dtype=jnp.float64)
  )
  run = lambda alpha: rollout(
    system, jax.random.key(0), ms.Hp(alpha=alpha, k=k), times
  )[1]['squared_error']
  return np.asarray(jax.jit(run)(1.0))


exact, over = errors(2), errors(3)
# %% [markdown]
# The exponent of the tail is the slope of the last decade: theory says −2.
# %%
late = np.asarray(times) >= 300
slope = np.polyfit(np.log(np.asarray(times)[late]), np.log(over[late]), 1)[0]
print(f'k = 3: slope {slope:.3f}')
# %% [markdown]
# Squared error over steps on logarithmic axes: the curve for k = 2 drops, the
# one for k = 3 follows T⁻².
# %%
fig, ax = plt.subplots(figsize=(5, 3.2))
ax.loglog(times[1:], exact[1:], label='k = r = 2')
ax.loglog(times[1:], over[1:], label='k = 3')
ax.set(xlabel='step T', ylabel='squared error', ylim=(1e-24, None))
ax.legend()
plt.show()
