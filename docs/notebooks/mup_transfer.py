# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # muP: one learning rate for all widths
#
# In the maximal update parametrisation every layer learns at the same pace at
# any width, so the best learning rate does not move. In the standard one it
# falls with width.
# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework.systems import width
from framework.systems.width import transfer


def at(n):
  return transfer.system(
    transfer.Structure(
      width=n,
      base_width=16,
      model=lambda n: width.Perceptron(n, outputs=3, activation=jnp.tanh),
      task=transfer.classes(inputs=8, outputs=3, rows=256),
      coordinates=False,
    )
  )


hp = transfer.Hp(lr=jnp.float32(0.1), rule=jnp.int32(1))
times = jnp.array([0, 40])
# %% [markdown]
# `lr_sweep` makes lanes of all rates and seeds; `rule` is the place in the
# structure's parametrisations, (sp, mup), and a lane as well.
# %%
rates = 2.0 ** jnp.arange(-8, 1)
widths = 16, 128


def losses(n):
  sweep = lambda rule: width.lr_sweep(
    at(n), hp._replace(rule=rule), rates, 4, times
  )['loss']
  both = jax.jit(jax.vmap(sweep))(jnp.arange(2))
  return np.asarray(both)[..., -1].mean(2)  # (rule, rate)


found = np.stack([losses(n) for n in widths])
for rule, name in enumerate(('SP', 'muP')):
  places = [int(width.best(loss)) for loss in found[:, rule]]
  print(name, 'the best rate moves by a factor', 2 ** width.drift(places))
# %% [markdown]
# Loss after 40 steps over the learning rate. The dashed line is the law of muP:
# the best rate of the narrow network is that of the wide one, within a step of
# the grid.
# %%
fig, axes = plt.subplots(
  1, 2, figsize=(7, 3), sharey=True, layout='constrained'
)
for rule, (ax, name) in enumerate(zip(axes, ('SP', 'muP'), strict=True)):
  for i, n in enumerate(widths):
    ax.loglog(rates, found[i, rule], 'o-', label=f'n = {n}')
  narrow = rates[width.best(found[0, 1])]
  ax.axvline(narrow, color='k', ls='--', label='law: best rate at n = 16')
  ax.set(xlabel='learning rate', title=name)
axes[0].set_ylabel('loss')
axes[1].legend(loc='upper left')
plt.show()
