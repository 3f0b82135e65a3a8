# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # Robust recovery: half of the data is spoilt
#
# Sub-gradient steps on the mean *absolute* residual find a low-rank matrix
# though a share $p$ of its measurements has errors of any size. With many
# measurements a step $c$ at the quantile $\tau$ of the residuals is worth a
# gradient step $\eta_p = c\,(1-p)\,z_{\tau/(1-p)}/z_\tau$ on clean data, which
# hardly depends on $p$: outliers are ignored.
# %%
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework import linspaced, rollout
from framework.optimizers import tracked_quantile
from framework.systems import matrix_sensing as ms

jax.config.update('jax_enable_x64', True)


class Hp(NamedTuple):
  k: int = 2
  alpha: float = 1e-2
  kappa: float = 2.0
  outliers: float = 0.3
  size: float = 10.0


subgm = ms.system(
  ms.Structure(
    n1=12,
    n2=12,
    r=2,
    k_max=2,
    m=4000,
    operator=ms.operators.svec,
    loss=ms.mean_residual(jnp.abs),
    optimizer=lambda hp: tracked_quantile(0.25, 0.25),
    start=ms.starts.spectral(),
    noise=ms.robust.noise.outliers,
  )
)
times = linspaced(160, 4)
run = lambda p: rollout(subgm, jax.random.key(0), Hp(outliers=p), times)[1]
# %% [markdown]
# The share of outliers is a field of `Hp`, so a sweep over it is `vmap`.
# %%
shares = jnp.array([0.0, 0.3, 0.5])
error = np.asarray(jax.jit(jax.vmap(run))(shares)['squared_error'])
print(error[:, ::10].round(6))
pace = ms.theory.effective_step(0.25, 0.25, shares)
rate = ms.theory.linear_rate(pace, 0.5)  # the least singular value is 1/kappa
print('a step is worth', pace.round(3))
# %% [markdown]
# Squared error over steps for three shares of outliers: straight lines on a
# logarithmic axis. Dashed the slopes of the law, $2\ln(1-\eta_p\sigma_r)$, each
# through one point of its run.
# %%
fig, ax = plt.subplots(figsize=(5, 3.2))
for i, p in enumerate(shares.tolist()):
  ax.semilogy(times, error[i], label=f'p = {p:g}')
  at = np.searchsorted(-error[i], -1e-9)
  law = error[i, at] * np.exp(np.asarray(rate[i] * (times - times[at])))
  label = r'law: slope $2\ln(1-\eta_p\sigma_r)$' if i == 0 else None
  ax.semilogy(times, np.where(law < 1, law, np.nan), 'k--', lw=1, label=label)
ax.set(xlabel='step t', ylabel='squared error', ylim=(1e-14, 3))
ax.legend()
plt.show()
