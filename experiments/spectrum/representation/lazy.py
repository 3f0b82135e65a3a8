"""The worth of features: networks against the best their NTK could do.

The target is a staircase on the cube {±1}^d, (x_1 + x_1x_2 + x_1x_2x_3)/√3. A
kernel that looks at the distance alone learns a degree when it has as many
samples as parities of it, C(d, k); how well it does with n of them, at its best
ridge, is exact. A network that moves its features climbs the stairs.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from xarray import Dataset

from configs.spectrum import Lazy
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, at_most, untestable
from framework.launch import Figures, Variant, hp_of
from framework.maths import gaussian
from framework.maths.double import in_double
from framework.maths.kernels import kernels
from framework.run.job import Arm
from framework.system import System
from framework.systems import spectrum as s
from framework.systems.infinite_width.limits import finite
from framework.systems.spectrum import cube

_ABBE = 'Abbe, Boix-Adsera, Misiakiewicz 2022: merged staircases'
_AXES = ('width', 'laziness')
_STAIRS = 3  # degrees of the target
_FEATURES, _LAZY = 1.0, 10.0  # laziness up to which, from which on
_TESTS = 2000


class Hp(NamedTuple):
  """Traced: every one can be a lane."""

  lr: Any = 0.4  # η
  laziness: Any = 1.0  # α: f = α (g − g_0), gradients over α²


class _State(NamedTuple):
  weights: tuple[Array, ...]
  start: tuple[Array, ...]


def staircase(key: Array, d: int, n: int) -> tuple[Array, Array]:
  """Inputs (x/√d, 1), of norm √2, and labels (x_1 + x_1x_2 + x_1x_2x_3)/√3."""
  x = jax.random.rademacher(key, (n, d), jnp.float32)
  y = jnp.sum(jnp.cumprod(x[:, :_STAIRS], axis=1), axis=1) / _STAIRS**0.5
  ones = jnp.ones((n, 1), jnp.float32)
  return jnp.concatenate([x / d**0.5, ones], axis=1), y[:, None]


def network(d: int, width: int, batch: int) -> System:
  """One pass over fresh samples, of a network with one hidden layer, in µP.

  With a laziness α it learns f = α(g − g_0) from gradients over α²: weights
  move by 1/α, and from large α on features do not.
  """
  relu = jax.nn.relu

  def outputs(state: _State, x: Array, hp: Hp) -> Array:
    now, before = (finite.apply(w, x, relu) for w in state)
    return hp.laziness * (now - before)

  def sample(key, hp):
    del hp
    return staircase(key, d, _TESTS)

  def init(key, problem, hp):
    del problem, hp
    start = finite.init(key, width, d + 1, 1, dtype=jnp.float32)
    # σ_v = 1 for n times the outgoing weights.
    return _State(start, start)

  def step(key, state, problem, hp):
    del problem
    x, y = staircase(key, d, batch)
    before = finite.apply(state.start, x, relu)

    def loss(g, y):
      f = hp.laziness * (g - before)
      return finite.squared_loss(f, y) / hp.laziness**2

    after = finite.step(state.weights, x, y, hp.lr, relu, loss)
    return _State(after, state.start)

  def observe(state, problem, hp):
    x, y = problem
    moved = state.weights[0] - state.start[0]
    return {
      'test': jnp.mean((outputs(state, x, hp) - y) ** 2),
      'moved': jnp.sqrt(jnp.sum(moved**2) / jnp.sum(state.start[0] ** 2)),
    }

  return System(sample, init, step, observe)


def arm(config: Lazy) -> Arm:
  """Networks of one width; how lazy they are is a lane."""
  return Arm(
    network(config.d, config.width, config.batch),
    hp_of(Hp, config),
    attributes={
      'test': {'long_name': 'test risk', 'units': '1'},
      'moved': {'long_name': 'relative change of features', 'units': '1'},
    },
  )


def times(config: Lazy) -> np.ndarray:
  """Four records an octave of steps from eight on."""
  many = int(4 * np.log2(config.steps / 8))
  t = np.rint(np.geomspace(8, config.steps, max(2, many)))
  return np.unique(t).astype(np.int32)


@in_double
@functools.cache
def spectrum(d: int) -> tuple[s.Spectrum, float]:
  """Of the NTK of the network at infinite width, and of the target."""

  def ntk(cosine):
    # Two inputs at each distance: of norm 1, and a bias.
    one = jnp.array([[1.0, 0.0]])
    other = jnp.stack([cosine, jnp.sqrt(1 - cosine**2)], axis=1)
    relu = gaussian.transform('relu')
    return kernels(relu, 1, one, other, var_b=1.0).ntk[0]

  power = {k: 1 / _STAIRS for k in range(1, _STAIRS + 1)}
  found, rest = cube.spectrum_on_cube(ntk, d, power, _STAIRS)
  return jax.tree.map(np.asarray, found), rest


@in_double
def best(d: int, n: np.ndarray) -> np.ndarray:
  """The risk of the NTK on n samples at its best ridge."""
  law, rest = spectrum(d)
  ridges = rest + np.append(0.0, np.geomspace(1e-3, 10, 40))
  return np.array([_least(law, float(x), ridges) for x in n])


@jax.jit  # compiled once, for claims and figures
def _least(law: s.Spectrum, n: Array, ridges: Array) -> Array:
  """The risk on n samples at the best of the ridges."""
  risk = lambda r: s.krr_risk(law, 0.0, n, r).test  # noqa: E731
  return jnp.min(jax.lax.map(risk, ridges, batch_size=8))


def _gate(config: Lazy) -> str:
  """Why nothing is to be seen of a climb; '' where it is."""
  n = config.steps * config.batch
  if config.d < 24 or n < 100 * config.d:
    return f'{n} samples of {config.d} coordinates, expected d >= 24 and 100 d'
  if n > config.d**3 / 3:
    return f'{n} samples: enough for the kernel as well, d³/3'
  if config.lr * config.steps < 250:
    return f'ηT = {config.lr * config.steps:.3g}, expected 250 for the climb'
  if config.lr > 0.5 or config.lr / config.batch > 1 / 16:
    return f'lr = {config.lr}, batch = {config.batch}: noise of the steps'
  return ''


def claims(config: Lazy, ds: Dataset) -> list[Claim]:
  """Claims that features beat the kernel, and that lazy networks do not."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    whole, why = lanes.prepared(own, part, _AXES), _gate(own)
    n = own.steps * own.batch
    limit = float(best(own.d, np.array([n]))[0])
    for width in own.axis('width'):
      for lazy in own.axis('laziness'):
        name = f'width={width}.laziness={lazy:g}{text}'
        seen = lanes.lanes(whole, 'test', width=width, laziness=lazy)[:, -1]
        ratio = seen / limit
        reason = why or ('' if width >= 128 else f'width = {width}')
        if lazy <= _FEATURES:
          texts = (
            f'features.{name}',
            f'after {n} samples a network that moves its features has less '
            'than half of the least risk that its NTK could have',
            _ABBE,
          )
          made.append(
            untestable(*texts, reason, headline=True)
            if reason
            else at_most(
              *texts,
              0.5,
              ratio,
              derivation=f'over {limit:.3g}, the exact risk at the best ridge: '
              'the last stair is a third of the power, and the kernel has too '
              'few samples for it',
              headline=True,
            )
          )
        elif lazy >= _LAZY:
          texts = (
            f'lazy.{name}',
            'control: made lazy, the same network is no better than its NTK',
            'measured: it is linear in its parameters, and sees a sample once',
          )
          made.append(
            untestable(*texts, reason, kind='regression')
            if reason
            else at_least(
              *texts,
              0.9,
              ratio,
              derivation=f'over {limit:.3g}; 1/laziness of features still move',
              kind='regression',
            )
          )
  return made


def figures(config: Lazy, ds: Dataset) -> Figures:
  """Risk over samples: networks, lazy ones, and the kernel at its best."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  whole, n = lanes.prepared(own, part, _AXES), part['time'].values * own.batch
  widths, lazy = np.sort(own.axis('width')), np.sort(own.axis('laziness'))
  law = best(own.d, n)
  with plotting.style():
    fig, axes = plotting.figure(
      'double', ncols=len(lazy), sharey=True, squeeze=False
    )
    colors = plotting.palette(widths.tolist())
    for ax, a in zip(axes[0], lazy, strict=True):
      name = 'features move' if a <= _FEATURES else f'lazy, α = {a:g}'
      ax.set(xscale='log', yscale='log', xlabel='samples', title=name)
      for w, color in zip(widths, colors, strict=True):
        seen = lanes.lanes(whole, 'test', width=w, laziness=a)
        plotting.lanes(ax, n, seen, f'width {w}', color)
      first = a == lazy[0]
      plotting.law(ax, n, law, 'NTK at its best ridge' if first else '')
    axes[0][0].set_ylabel('test risk')
    plotting.legend(axes[0][0])
  return {
    'lazy': (
      fig,
      f'A staircase of three degrees in {own.d} coordinates: one pass over '
      'fresh samples (median and range over starts). Dashed: the exact risk '
      'of ridge regression with the NTK on as many samples, at the best ridge '
      'for each. Networks that move their features climb below it; made lazy '
      'they do not.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
