# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---
# %% [markdown]
# # Attention: the SVM of your tokens
#
# Attention that selects one token of each input turns, in direction, to the
# matrix of least norm that separates that token from the others:
# $\arg\min \lVert W\rVert$ with $(x_{\mathrm{opt}} - x_t)^\top W z \ge 1$.
# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from framework.maths.margin import svm
from framework.systems.attention_svm import margin_rows

tokens = jax.random.normal(jax.random.key(0), (6, 8, 10))
queries = tokens[:, 0]
chosen = jnp.zeros(6, int)
rows = margin_rows(tokens, queries, chosen)
solution = svm(rows)
# %% [markdown]
# The certificate is a duality gap: no direction has a larger margin.
# %%
print('gap', float(solution.certificate.gap))
# %% [markdown]
# Logits of the tokens of each input under the solution: the chosen token, at
# the left, is ahead of all others by at least one.
# %%
logits = np.einsum('ntd,de,ne->nt', tokens, solution.W, queries)
fig, ax = plt.subplots(figsize=(5, 2.6))
image = ax.imshow(logits - logits[:, :1], cmap='viridis')
ax.set(xlabel='token', ylabel='input')
fig.colorbar(image, label='logit minus that of the chosen')
plt.show()
