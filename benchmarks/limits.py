"""What the machine can do: bytes and floating-point operations per second.

Nothing of the framework is timed here, only the bare loops that any program is
limited by.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from benchmarks.timing import Contestant

__all__ = ['Probe', 'bandwidth', 'copy', 'matrix_product']


class Probe(NamedTuple):
  """A contestant and what one step of it moves or computes."""

  contestant: Contestant
  bytes: float = 0.0
  flops: float = 0.0


def bandwidth(size: int, stream_bytes: int, label: str) -> list[Probe]:
  """Reads of a float64 matrix from wherever one of its size is held.

  Three ways, for none is the fastest on every machine: x ← b + ½ H x of XLA and
  of numpy with a matrix H of the same shape as the operator, and <v, v> over a
  vector that no cache holds.

  Args:
    size: Rows and columns of the matrix.
    stream_bytes: Bytes of the vector.
    label: What the probes are called after.

  Returns:
    The probes, the stream last.
  """
  rng = np.random.default_rng(0)
  # Spectral radius ½: the iterates neither overflow nor become denormal.
  H = rng.standard_normal((size, size)) / size**0.5
  b = rng.standard_normal(size)
  on_device = jax.device_put(H), jax.device_put(b)

  @jax.jit
  def chain(H: Float[Array, 'p p'], b: Float[Array, ' p'], steps):
    return jax.lax.fori_loop(0, steps, lambda _, x: b + 0.5 * (H @ x), b)

  def with_xla(steps: int):
    return jax.block_until_ready(chain(*on_device, steps))

  def with_numpy(steps: int):
    x, Hx = b.copy(), np.empty(size)
    for _ in range(steps):
      np.dot(H, x, out=Hx)
      np.multiply(Hx, 0.5, out=x)
      np.add(x, b, out=x)
    return x

  v = np.ones(stream_bytes // 8)

  def stream(steps: int):
    return sum(np.dot(v, v) for _ in range(steps))

  return [
    Probe(Contestant(f'{label} GEMV, XLA', with_xla), H.nbytes),
    Probe(Contestant(f'{label} GEMV, numpy', with_numpy), H.nbytes),
    Probe(Contestant('DRAM stream, numpy', stream), v.nbytes),
  ]


def matrix_product(size: int, dtype: type) -> Probe:
  """X ← A X with square matrices in XLA.

  Args:
    size: Rows and columns.
    dtype: Type of the entries.

  Returns:
    The probe.
  """
  A, X = np.random.default_rng(0).standard_normal((2, size, size))
  operands = [jax.device_put(x.astype(dtype)) for x in (A / size**0.5, X)]

  @jax.jit
  def chain(A: Float[Array, 'n n'], X: Float[Array, 'n n'], steps):
    return jax.lax.fori_loop(0, steps, lambda _, x: 0.5 * (A @ x) + X, X)

  def run(steps: int):
    return jax.block_until_ready(chain(*operands, steps))

  name = f'GEMM {jnp.dtype(dtype).name} n={size}, XLA'
  return Probe(Contestant(name, run), flops=2.0 * size**3)


def copy(size: int) -> Probe:
  """Sign changes x ← −x of a vector of float32 in XLA: a read and a write.

  Args:
    size: Bytes of the vector.

  Returns:
    The probe.
  """
  x = jnp.ones(size // 4, jnp.float32)

  @jax.jit
  def chain(x: Float[Array, ' n'], steps):
    return jax.lax.fori_loop(0, steps, lambda _, x: -x, x)

  def run(steps: int):
    return jax.block_until_ready(chain(x, steps))

  return Probe(Contestant('copy, XLA', run), bytes=2.0 * x.nbytes)
