"""Exact risks and fits against their peers and the machine's limits.

    python -m benchmarks.spectrum --out=spectrum.json

CPU time with one thread, each sample against its peers in the same rounds:

    table      3 n × 7 k × 81 ridges of `rf_risk` at 2000 modes as one program,
               against two nested bisections in numpy, one cell at a time, as
               the paper's authors have it
    recursion  a step of one-pass SGD on 20,000 modes, all of them and merged,
               against the copy of as many bytes that a step moves
    bootstrap  fits of a power law with a floor to 30 points: many in one
               program against `scipy.optimize.curve_fit` in a loop, which gets
               the same data, the same start and no bounds

Peers arrive at the same numbers, which is checked. Their cells and fits are a
part of ours, and their time is per cell and per fit.
"""

import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import timing
from framework.evidence import scaling
from framework.evidence.scaling import forms
from framework.systems import spectrum as s
from framework.systems.spectrum import sgd

_CELLS = np.array([64.0, 128.0, 256.0]), 2.0 ** np.arange(4, 11)
_RIDGES = np.geomspace(1e-6, 1e2, 81)
_X = np.geomspace(1, 1000, 30)


def nested(lam: np.ndarray, n: float, k: float, ridge: float) -> float:
  """γ by two bisections, one inside the other, as a reader of [1] writes it."""

  def gamma_of(kappa):
    low, high = -60.0, 20.0
    for _ in range(50):
      middle = (low + high) / 2
      g = np.exp(middle)
      if np.sum(lam / (lam + g)) + k * kappa / g > k:
        low = middle
      else:
        high = middle
    return np.exp((low + high) / 2)

  low, high = -60.0, 20.0
  for _ in range(50):
    middle = (low + high) / 2
    kappa = np.exp(middle)
    g = gamma_of(kappa)
    if np.sum(lam / (lam + g)) + ridge / kappa > n:
      low = middle
    else:
      high = middle
  return gamma_of(np.exp((low + high) / 2))


def table(quick: bool) -> dict[str, Any]:
  """Seconds a cell of the whole table, ours and nested."""
  modes = 100 if quick else 2000
  spectrum = s.unit_power(s.power_law(1.5, 1.25, modes, tail=False))
  one = lambda n, k, r: s.rf_risk(spectrum, 0.1, n, k, r)  # noqa: E731
  ridges = _RIDGES[:3] if quick else _RIDGES
  over = jax.vmap(jax.vmap(jax.vmap(one, (None, None, 0)), (None, 0, None)),
                  (0, None, None))  # fmt: skip
  ours = jax.jit(over)
  n, k = (x[:1] for x in _CELLS) if quick else _CELLS
  found = jax.block_until_ready(ours(n, k, ridges))
  cells = found.test.size
  repeats = 1 if quick else 5
  before = time.process_time()
  for _ in range(repeats):
    jax.block_until_ready(ours(n, k, ridges))
  mine = (time.process_time() - before) / repeats / cells
  lam = np.asarray(spectrum.lam)
  some = [
    (i, j, m) for i in range(len(n)) for j in (0, len(k) - 1) for m in (0,)
  ]
  before = time.process_time()
  gammas = [nested(lam, n[i], k[j], ridges[m]) for i, j, m in some]
  theirs = (time.process_time() - before) / len(some)
  ours_there = [float(found.gamma[at]) for at in some]
  np.testing.assert_allclose(gammas, ours_there, rtol=1e-6, atol=0)
  return {'ours': mine, 'peer': theirs, 'cells': cells, 'modes': modes}


def recursion(quick: bool) -> dict[str, Any]:
  """Seconds a step, of all modes, of merged ones, and of their copy."""
  modes, steps = (200, 20) if quick else (20_000, 3000)
  spectrum = s.power_law(1.5, 1.8, modes)
  hp = sgd.Hp()
  problem, few = sgd.problem_of(spectrum, hp), sgd.merged(spectrum, hp)
  whole, merged = jax.jit(sgd.one_pass_risk), jax.jit(sgd.merged_risk)
  # c and b are read and written, λ and w* are read: six arrays.
  source = jnp.zeros((3, modes))

  @jax.jit
  def copies(x, count):
    return jax.lax.fori_loop(0, count, lambda i, x: x * 1.000001, x)

  def spent(f):
    jax.block_until_ready(f(10))
    before = time.process_time()
    jax.block_until_ready(f(steps))
    after = time.process_time()
    jax.block_until_ready(f(10))
    return (2 * after - before - time.process_time()) / (steps - 10)

  at = lambda t: jnp.array([t])  # noqa: E731
  np.testing.assert_allclose(
    merged(few, at(steps)), whole(problem, at(steps)), rtol=1e-9, atol=0
  )
  return {
    'all': spent(lambda t: whole(problem, at(t))),
    'merged': spent(lambda t: merged(few, at(t))),
    'copy': spent(lambda t: copies(source, t)),
    'modes': modes,
    'nodes': few.start.size,
    'bytes': 6 * 8 * modes,
  }


def bootstrap(quick: bool) -> dict[str, Any]:
  """Seconds a fit, many in one program and one after the other."""
  from scipy.optimize import curve_fit

  count, some = (20, 2) if quick else (10_000, 100)
  draw = np.random.default_rng(0)
  y = 0.5 + 2 * _X**-0.4
  y = y + 0.01 * draw.normal(size=y.size)
  form = forms.POWER_FLOOR
  found = scaling.fit(form, (_X,), y, starts=8)
  picks = draw.integers(0, y.size, (count, y.size))
  weights = np.stack([np.bincount(p, minlength=y.size) for p in picks])

  @jax.jit
  def many(weights):
    return jax.vmap(
      lambda w: scaling.refit(form, (jnp.asarray(_X),), jnp.asarray(y),
                              found.theta, weights=w).parameters
    )(weights)  # fmt: skip

  weights = jnp.asarray(weights, float)
  ours = jax.block_until_ready(many(weights))
  before = time.process_time()
  jax.block_until_ready(many(weights))
  mine = (time.process_time() - before) / count
  start = [float(found.parameters[p]) for p in ('a', 'b', 'c')]

  def model(x, a, b, c):
    return c + a * x**-b

  before = time.process_time()
  theirs = [
    curve_fit(model, _X[p], y[p], p0=start, maxfev=2000)[0]
    for p in picks[:some]
  ]
  spent = (time.process_time() - before) / some
  bounded = ([0, 0, -np.inf], np.inf)
  before = time.process_time()
  for p in picks[: max(1, some // 10)]:
    curve_fit(model, _X[p], y[p], p0=start, bounds=bounded)
  with_bounds = (time.process_time() - before) / max(1, some // 10)
  for i, name in enumerate(('a', 'b', 'c')):
    np.testing.assert_allclose(
      ours[name][:some], np.array(theirs)[:, i], rtol=1e-4, atol=1e-6
    )
  return {
    'ours': mine,
    'curve_fit': spent,
    'curve_fit with bounds': with_bounds,
    'fits': count,
  }


def measure(quick: bool) -> dict[str, Any]:
  """All three tables, in a process with one thread."""
  jax.config.update('jax_enable_x64', True)
  return {
    'table': table(quick),
    'recursion': recursion(quick),
    'bootstrap': bootstrap(quick),
  }


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f'unknown argument {argv[1]!r}')
  machine = timing.machine(('jax', 'jaxlib', 'numpy', 'scipy'))
  print(*(f'{k}: {v}' for k, v in machine.items()), sep='\n')
  found = timing.in_fresh_process('1', measure, flags.FLAGS.quick)
  for line in report(found):
    print(line)
  timing.finish(machine, tables=found)


def report(found: dict[str, Any]) -> list[str]:
  """Lines that a person reads."""
  t, r, b = (found[name] for name in ('table', 'recursion', 'bootstrap'))
  return [
    f'table of {t["cells"]} cells, {t["modes"]} modes: '
    f'{1e3 * t["ours"]:.3f} ms a cell, nested {1e3 * t["peer"]:.1f} ms: '
    f'{t["peer"] / t["ours"]:.0f} x',
    f'recursion of {r["modes"]} modes: {1e6 * r["all"]:.1f} µs a step, the '
    f'copy of its {r["bytes"]} bytes {1e6 * r["copy"]:.1f} µs: '
    f'{r["copy"] / r["all"]:.0%}; merged to {r["nodes"]} nodes '
    f'{1e6 * r["merged"]:.2f} µs: {r["all"] / r["merged"]:.0f} x',
    f'{b["fits"]} bootstrap fits: {1e6 * b["ours"]:.1f} µs each, curve_fit '
    f'{1e6 * b["curve_fit"]:.0f} µs: {b["curve_fit"] / b["ours"]:.0f} x, with '
    f'bounds {b["curve_fit with bounds"] / b["ours"]:.0f} x',
  ]


def _define_flags() -> None:
  """Of the command alone: a module that is imported defines none."""
  timing.define_flags(5)


if __name__ == '__main__':
  _define_flags()
  app.run(main)
