"""The wrappers are jnp.linalg, also under vmap, and never wait for ever."""

import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.maths import linalg
from framework.maths.margin.rows import constraints
from framework.maths.margin.solve import svm

CASES = {
  'eigh': (lambda A: linalg.eigh(A + A.T), lambda A: jnp.linalg.eigh(A + A.T)),
  'eigvalsh': (
    lambda A: linalg.eigvalsh(A + A.T),
    lambda A: jnp.linalg.eigvalsh(A + A.T),
  ),
  'qr': (linalg.qr, jnp.linalg.qr),
  'qr_r': (linalg.qr_r, lambda A: jnp.linalg.qr(A, mode='r')),
  'singular_values': (
    linalg.singular_values,
    lambda A: jnp.linalg.svd(A, compute_uv=False),
  ),
  'svd': (linalg.svd, lambda A: jnp.linalg.svd(A, full_matrices=False)),
  'solve_spd': (
    lambda A: linalg.solve_spd(A @ A.T + jnp.eye(4), A),
    lambda A: jnp.linalg.solve(A @ A.T + jnp.eye(4), A),
  ),
}


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('lanes', [(), (3,), (2, 3)])
def test_equals_numpy_style_linalg(name, lanes):
  ours, reference = CASES[name]
  A = np.random.default_rng(0).standard_normal((*lanes, 4, 4))
  for _ in lanes:
    ours, reference = jax.vmap(ours), jax.vmap(reference)
  for x, y in zip(
    jax.tree.leaves(jax.jit(ours)(A)),
    jax.tree.leaves(jax.jit(reference)(A)),
    strict=True,
  ):
    np.testing.assert_allclose(x, y, atol=1e-12, rtol=1e-7)


def test_svd_of_a_stack():
  F = np.random.default_rng(1).standard_normal((2, 3, 5, 4))
  U, s, Vt = jax.device_get(jax.jit(linalg.svd)(F))
  np.testing.assert_allclose(
    (U * s[..., None, :]) @ Vt, F, atol=1e-12, rtol=1e-7
  )


def test_derivatives_in_both_modes_and_under_vmap():
  def top(A):
    return linalg.singular_values(A)[0]

  A = np.random.default_rng(2).standard_normal((3, 4, 4))
  u, _, vt = np.linalg.svd(A)
  expected = u[:, :, :1] * vt[:, :1, :]
  np.testing.assert_allclose(
    jax.jit(jax.vmap(jax.grad(top)))(A), expected, atol=1e-12, rtol=1e-7
  )
  np.testing.assert_allclose(
    jax.jit(jax.vmap(jax.jacfwd(top)))(A), expected, atol=1e-12, rtol=1e-7
  )


PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_enable_x64', True)
from configs.matrix_sensing import get_config
from experiments.matrix_sensing.runs import arm
from framework.run import plan, sweep
config = get_config('phase')
axes = {k: config.sweep[k] for k in ('k', 'alpha')}
one = arm(config)
hp = jax.tree.map(np.asarray, sweep.points(one.hp, axes))
layout = plan.choose(plan.sizes(one.system, hp), 3, 48)
assert layout.devices == 2 and layout.point_batch > 1, layout
program = sweep.Program(one.system, layout, hp)
keys = program.seed_keys([0, 1, 2][: layout.seeds])
problem, lanes = program.start(keys, hp, None)
lanes, _ = program.advance(
  keys, problem, hp, lanes, np.int32(0), np.arange(1, 33, dtype=np.int32),
  np.ones(32, bool))
jax.block_until_ready(lanes)
print('done')
"""


def test_many_small_matrices_on_two_devices_and_one_thread_do_finish():
  """What jnp.linalg in place of linalg never did: wait for a full pool."""
  done = subprocess.run(
    [sys.executable, '-c', PROGRAM],
    env={**os.environ, 'NPROC': '1', 'JAX_PLATFORMS': 'cpu'},
    cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.stdout == 'done\n', done.stderr


# Run as a whole by `linalg.one_by_one`, which is what a batch of them is.
WHOLE = ('margin/interior_point.py', 'margin/cone_steps.py')


def test_nothing_that_is_vmapped_calls_lapack_itself():
  root = pathlib.Path(linalg.__file__).parents[1]
  guilty = []
  for folder, _, files in os.walk(root):
    for name in files:
      path = pathlib.Path(folder, name)
      whole = path.as_posix().endswith(WHOLE)
      if path.suffix == '.py' and name != 'linalg.py' and not whole:
        # A norm is a sum; and an example of what may not be is none.
        lines = path.read_text().replace('jnp.linalg.norm', '').split('\n')
        text = '\n'.join(x for x in lines if '>>>' not in x)
        guilty += [
          f'{name}: {call}'
          for call in ('jnp.linalg.', 'jax.scipy.linalg', 'jax.lax.linalg')
          if call in text
        ]
  assert not guilty


def test_a_batch_of_margin_problems_is_no_batch_of_lapack_calls():
  def solve(D, Z):
    return svm(constraints(D, Z), 'nuclear').W

  shape = jax.ShapeDtypeStruct((5, 4, 3), jnp.float64)
  text = jax.jit(jax.vmap(solve)).lower(shape, shape).as_text()
  calls = [line for line in text.splitlines() if '@lapack_' in line]
  assert calls
  # (matrices) -> (...): a batch would have a third dimension.
  assert not [c for c in calls if re.search(r'tensor<\d+x\d+x\d+xf64>', c)]
