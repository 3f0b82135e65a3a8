# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # Modular addition: softmax runs out of digits
#
# A sum of exponentials in float16 absorbs all terms but its largest once the
# right logit is $11\ln 2 + \ln(C-1)$ ahead (24 in place of 11 in float32): loss
# and gradient of that row are then exactly zero, and training stops before the
# network generalises. ⊥Grad takes out of each gradient what is parallel to the
# weights, which would only scale the logits.
# %%
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework import optimizers, rollout
from framework.systems import grokking


def system(rule):
  return grokking.system(
    grokking.Structure(
      task=grokking.modular(23),
      net=grokking.MLP((96, 96, 23), modulus=23, bias=False),
      loss=grokking.softmax('float16'),
      rule=rule,
    )
  )


hp = jax.tree.map(np.float32, grokking.Hp(lr=0.005))._replace(intervene_at=0)
times = jnp.arange(0, 801, 40)
# %% [markdown]
# A rule is a structure, so the two are two programs; two tables to learn are
# lanes of each.
# %%
keys = jax.random.split(jax.random.key(1), 2)
rules = {
  'AdamW': grokking.adamw,
  'AdamW after ⊥Grad': grokking.filtered(lambda hp: optimizers.perp_grad()),
}


def lanes(rule):
  run = lambda key: rollout(system(rule), key, hp, times)[1]
  return jax.jit(jax.vmap(run))(keys)


seen = {name: lanes(rule) for name, rule in rules.items()}
for name, found in seen.items():
  last = {x: found[x][:, -1].mean() for x in ('test_accuracy', 'collapse')}
  print(name, *(f'{x} {value:.2f}' for x, value in last.items()))
# %% [markdown]
# Median lead of the right logit over steps: AdamW climbs to the law, dashed;
# after ⊥Grad the lead stays far below.
# %%
fig, ax = plt.subplots(figsize=(5, 3.2))
for name, found in seen.items():
  ax.plot(times, np.median(found['gaps'][..., 1], 0), label=name)
law = 11 * math.log(2) + math.log(22)
ax.axhline(law, color='k', ls='--', label='law: 11 ln 2 + ln(C − 1)')
ax.set(xlabel='step', ylabel='median lead of the right logit')
ax.legend(loc='lower right', bbox_to_anchor=(1, 0.1))
plt.show()
