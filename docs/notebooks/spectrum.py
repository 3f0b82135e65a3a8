# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # A spectrum and its scaling law
#
# On a linear model with eigenvalues $\lambda_i = i^{-\alpha}$ and power $v_i^2
# = i^{-\beta}$ of the target, one pass of SGD has an exact expected risk.
# Without noise it falls as $t^{-(\beta-1)/\alpha}$.
# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

from framework import logspaced, rollout
from framework.evidence import scaling
from framework.systems.spectrum import sgd

jax.config.update('jax_enable_x64', True)
times = logspaced(2000, 8)
structure = sgd.Structure(modes=1000, tail=True)
hp = sgd.Hp(noise=0.0, alpha=1.5, beta=1.75)
expected = jax.jit(
  lambda hp: rollout(sgd.expected(structure), jax.random.key(0), hp, times)[1]
)(hp)['excess']
print(expected[::6].round(4))
# %% [markdown]
# Runs on drawn samples, lanes of one program: their mean is the expectation.
# %%
keys = jax.random.split(jax.random.key(1), 16)
run = lambda key: rollout(sgd.sampled(structure), key, hp, times)[1]['excess']
runs = np.asarray(jax.jit(jax.vmap(run))(keys))
print('mean over expectation', (runs.mean(0) / expected)[::6].round(2))
# %% [markdown]
# A fit of $a\,t^{-b}$ to the last decade, as one would fit a training curve of
# a large model, finds the exponent that the spectrum predicts.
# %%
late = np.asarray(times) >= 200
found = scaling.fit(
  scaling.forms.POWER, (times[late].astype(float),), expected[late], starts=4
)
b = float(found.parameters['b'])
print(f'fitted exponent {b:.3f}, law (beta - 1)/alpha = {0.75 / 1.5:.3f}')
# %% [markdown]
# Excess risk over samples: sixteen runs scatter about their exact mean, which
# becomes parallel to the law, dashed.
# %%
fig, ax = plt.subplots(figsize=(5, 3.2))
t = np.asarray(times)[1:]
ax.loglog(t, runs.T[1:], color='C0', alpha=0.25, lw=0.8)
ax.loglog(t, expected[1:], color='C1', label='exact expectation')
ax.plot([], [], color='C0', alpha=0.5, label='16 runs')
law = expected[-1] * (t / t[-1]) ** -0.5
ax.loglog(t, law, 'k--', label=r'law: $t^{-(\beta-1)/\alpha}$')
ax.set(xlabel='samples t', ylabel='excess risk')
ax.legend()
plt.show()
