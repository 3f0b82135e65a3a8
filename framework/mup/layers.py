"""The two places where muP is not a multiplier of a tensor.

Attention of your own: logits q·k/d, equal to q·k/√d at the base head dimension.
(flax's own attention is found and rescaled without this.) And a readout that
shares its tensor with the embedding.

References:
  TP5: Yang, Hu, Babuschkin, Sidor, et al., "Tensor Programs V", 2022,
  Definition 4.1 and Appendix B.1.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ['attend', 'attention_fn', 'logit_scale']


def logit_scale(head_dim: int, base_head_dim: int) -> float:
  """The scale of attention logits.

      √d_0 / d,   1/√d_0 at d = d_0

  Args:
    head_dim: d.
    base_head_dim: d_0, at the base width.

  Returns:
    The scale.

  Raises:
    ValueError: If a dimension is not positive.

  >>> logit_scale(16, 16), logit_scale(64, 16)
  (0.25, 0.0625)
  """
  if head_dim < 1 or base_head_dim < 1:
    raise ValueError(
      f'head dimensions are {head_dim} and {base_head_dim}, expected >= 1'
    )
  return base_head_dim**0.5 / head_dim


def attention_fn(base_head_dim: int) -> Any:
  """An `attention_fn` for flax's attention modules with muP's logits.

  Args:
    base_head_dim: d_0.

  Returns:
    A function like `nn.dot_product_attention`; a module that has it is not
    rescaled a second time by `multipliers`.

  >>> q = jnp.ones((1, 2, 1, 4))
  >>> attention_fn(4)(q, q, q).shape
  (1, 2, 1, 4)
  """

  def attention(
    query: Float[Array, '... q heads d'],
    key: Float[Array, '... k heads d'],
    value: Float[Array, '... k heads v'],
    *args: Any,
    **kwargs: Any,
  ) -> Float[Array, '... q heads v']:
    d = query.shape[-1]
    # flax divides by √d; what is left is √(d_0/d).
    query = query * (logit_scale(d, base_head_dim) * d**0.5)
    return nn.dot_product_attention(query, key, value, *args, **kwargs)

  return attention


def attend(
  embed: nn.Embed, x: Float[Array, '... n'], base_width: int
) -> Float[Array, '... vocabulary']:
  """The logits of a readout tied to an embedding.

      f = E x / m,   m = n/n_0

  The tensor keeps the rules of an embedding: a start that does not depend on
  width, SGD's rate times m, Adam's as it is, which in Table 8 are those of the
  readout, too. With Tables 3 and 9 the network is the same one.

  Args:
    embed: The embedding, inside a module.
    x: The last hidden features.
    base_width: n_0.

  Returns:
    Logits.

  Raises:
    ValueError: If the base width is not positive.

  >>> embed, x = nn.Embed(5, 8), jnp.ones((1, 8))
  >>> embed = embed.bind({'params': {'embedding': jnp.ones((5, 8))}})
  >>> embed.attend(x)[0, 0].item(), attend(embed, x, base_width=2)[0, 0].item()
  (8.0, 2.0)
  """
  if base_width < 1:
    raise ValueError(f'base width is {base_width}, expected >= 1')
  m = x.shape[-1] / base_width
  return embed.attend(x if m == 1 else x / jnp.asarray(m, x.dtype))
