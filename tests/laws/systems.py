"""The systems that every law is tried on: append an `Entry` to `ENTRIES`.

Keep them small: a few numbers of state and about twenty steps show what a law
is about, and every entry is compiled many times over, in each precision.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.data import corpus, drawings
from framework.mup import lattice
from framework.system import System
from framework.systems import attention_svm as attention
from framework.systems import grokking as modular
from framework.systems import matrix_sensing as sensing
from framework.systems.clusters import xor
from framework.systems.clusters.xor import net as xor_net
from framework.systems.infinite_width import few_shot as maml_dynamics
from framework.systems.infinite_width import limits as convergence
from framework.systems.infinite_width import word2vec
from framework.systems.width import dichotomy as abc_dynamics
from tests import toy


class Case(NamedTuple):
  """What `rollout` takes, but for the key."""

  system: System
  hp: Any  # a NamedTuple of numpy scalars of fixed dtype
  data: Any
  times: np.ndarray  # int32, at least three record times, the last >= 5


class Entry(NamedTuple):
  """A named case in either precision, and what may be asked of it."""

  name: str
  make: Callable[[Any], Case]  # dtype (float32 or float64) -> Case
  # The float fields of hp in which the last records are differentiable; the
  # forward-mode derivative in all others need only be finite.
  differentiable: tuple[str, ...] = ()
  # Relative to the largest entry of each record, in units of sqrt(eps) for the
  # derivative and of eps * steps * 100 for lanes.
  looser: float = 1.0
  # Keys of `DTYPES`, of which laws that need one only take the last.
  precisions: tuple[str, ...] = ('float32', 'float64')


TIMES = np.array([0, 1, 4, 5, 12], np.int32)


def _shared(dtype):
  operator = jax.random.uniform(jax.random.key(1), (4, 3), dtype, -1)
  hp = toy.typed(toy.LinearHp(), dtype)
  return Case(toy.shared(3, dtype), hp, np.asarray(operator), TIMES)


def _linear(dtype):
  hp = toy.typed(toy.LinearHp(), dtype)
  return Case(toy.linear(3, dtype=dtype), hp, None, TIMES)


def _walk(dtype):
  return Case(toy.walk(dtype), toy.typed(toy.WalkHp(), dtype), None, TIMES)


def _cubic(dtype):
  return Case(toy.cubic(dtype), toy.typed(toy.CubicHp(), dtype), None, TIMES)


def _net(batch):
  def make(dtype):
    hp = toy.typed(toy.NetHp(), dtype)
    return Case(toy.net(batch, dtype=dtype), hp, None, TIMES)

  return make


def _sensing(optimizer='gd', m=None, symmetric=True, watch=None, **hp):
  """Over-parametrised; no padding, where observations have no derivative."""

  def make(dtype):
    structure = sensing.Structure(
      n1=4,
      n2=4,
      r=2,
      k_max=3,
      m=m,
      symmetric=symmetric,
      symmetric_truth=symmetric,
      symmetric_ensemble=symmetric,
      optimizer=optimizer,
      dtype=dtype,
    )
    system = sensing.system(structure)
    if watch:
      system = system._replace(observe=watch)
    typed = toy.typed(sensing.Hp(**hp), dtype)._replace(k=np.int32(3))
    return Case(system, typed, None, TIMES)

  return make


def _loss(state, problem, hp):
  """Compiled in a fraction of the time of all that may be observed."""
  del hp
  return {'loss': sensing.value_and_grad(state.params, problem)[0]}


def _xor(form, p=None):
  """Outputs of the order of one, where the sigmoid weights differ."""

  def make(dtype):
    structure = xor.Structure(n=6, n_test=4, m=5, form=form, p=p, dtype=dtype)
    system = xor.system(structure)._replace(observe=_xor_outputs)
    hp = xor.Hp(alpha=0.05, omega=0.1, signal=2.0, leak=0.2, p=30.0)
    return Case(system, toy.typed(hp, dtype), None, TIMES)

  return make


def _xor_outputs(state, problem, hp):
  Z = xor.view(state, problem).Z
  return {'f': xor_net.outputs(Z, problem.facts.a, hp.leak)}


def _modular(**options):
  """Full-batch AdamW on x + y mod 5."""

  def make(dtype):
    structure = modular.Structure(
      modulus=5,
      widths=(6,),
      compute_dtype=jnp.dtype(dtype).name,
      dtype=dtype,
      **options,
    )
    net = modular.network(structure)

    def watch(state, problem, hp):
      z = net.apply({'params': state.params}, problem.x)
      return {'loss': modular.mean_loss(structure, z, problem.y, hp)}

    system = modular.system(structure)._replace(observe=watch)
    hp = modular.Hp(lr=0.02, eps=1e-3, weight_decay=0.1, smoothing=0.05)
    typed = toy.typed(hp, dtype)._replace(intervene_at=np.int32(2))
    return Case(system, typed, None, TIMES)

  return make


def _attention(form, **options):
  """Three samples of four tokens; steps of the gradient's own direction."""

  def make(dtype):
    structure = attention.Structure(
      n=3, T=4, d=3, form=form, dtype=dtype, **options
    )
    hp = attention.Hp(eta=0.3, lam=0.01, epsilon=0.1)
    return Case(
      attention.system(structure)._replace(
        observe=lambda state, problem, hp: state.params
      ),
      toy.typed(hp, dtype),
      None,
      TIMES,
    )

  return make


def _abc(dtype):
  """Three parametrisations of a small network as lanes of one program."""
  cases = tuple(lattice.cases('sgd').values())[:3]
  structure = abc_dynamics.Structure(width=6, cases=cases, dtype=dtype)
  hp = abc_dynamics.Hp(np.int32(1), np.dtype(dtype).type(0.1))
  return Case(abc_dynamics.system(structure), hp, None, TIMES)


def _maml(model, **options):
  """Gaussian classes in a plane of R^4."""

  def make(dtype):
    structure = maml_dynamics.Structure(
      model=model,
      d=4,
      ways=2,
      tasks=2,
      eval_tasks=3,
      eval_steps=2,
      dtype=dtype,
      **({'rank': 2} | options),
    )
    hp = toy.typed(maml_dynamics.Hp(), dtype)
    system = maml_dynamics.system(structure)._replace(observe=_size)
    return Case(system, hp, None, TIMES)

  return make


def _maml_on_a_table(model, **options):
  """Four classes of three drawings of 2 x 2 pixels, and their turns."""
  draw = np.random.default_rng(0).integers
  data = maml_dynamics.Data(
    *(
      drawings.as_table(draw(0, 256, (4, 3, 4)).astype(np.uint8))
      for _ in range(2)
    )
  )
  make = _maml(model, rank=None, members=3, classes=(4, 4), turns=4, **options)
  return lambda dtype: make(dtype)._replace(data=data)


def _word2vec(model, subsample=0.0, **options):
  """Seven words of context and noise, in a text of sixty."""
  codes = np.random.default_rng(0).integers(0, 7, 60).astype(np.int32)
  known = corpus.Vocabulary(tuple('abcdefg'), np.bincount(codes))
  asked = np.array([[0, 1, 2, 3]], np.int32)
  text = corpus.Corpus(
    codes, known, corpus.Questions(asked, ('',), np.zeros(1, np.int32), 0)
  )
  data, span = word2vec.prepared(text, chunk=6, window=2, subsample=subsample)

  def make(dtype):
    structure = word2vec.Structure(
      words=60,
      V=7,
      span=span,
      model=model,
      chunk=6,
      window=2,
      negatives=3,
      eval_words=4,
      dtype=dtype,
      **options,
    )
    hp = toy.typed(word2vec.Hp(0.3, 0.05), dtype)
    system = word2vec.system(structure)._replace(observe=_size)
    return Case(system, hp, data, TIMES)

  return make


def _to_limit(limit, **options):
  """A small network against its limit."""

  def make(dtype):
    structure = convergence.Structure(
      limit, width=5, steps=12, dtype=dtype, **options
    )
    hp = toy.typed(convergence.Hp(lr=0.1), dtype)
    return Case(convergence.system(structure), hp, None, TIMES)

  return make


def _size(state, problem, hp):
  """Compiled in a fraction of the time of judging."""
  del problem, hp
  floats = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x, jnp.inexact)]
  return {'size': sum(jnp.sum(x**2) for x in floats)}


ENTRIES: list[Entry] = [
  Entry('linear', _linear, ('eta', 'scale', 'noise')),
  Entry('shared operator', _shared, ('eta', 'scale')),
  Entry('walk with a key', _walk, ('drift',)),
  Entry('cubic', _cubic, ('eta', 'noise')),
  Entry('network, full batch', _net(None), ('lr',), precisions=('float32',)),
  Entry('network, minibatch', _net(3), ('lr',), precisions=('float64',)),
  Entry(
    'sensing, population',
    _sensing(watch=_loss),
    ('eta', 'alpha', 'kappa'),
    precisions=('float64',),
  ),
  Entry(
    'sensing, gram',
    _sensing(m=20),
    ('eta', 'alpha', 'kappa'),
    precisions=('float64',),
  ),
  Entry(
    'sensing, balanced',
    _sensing('balanced', None, False, _loss, alpha=0.7, trigger=0.8),
    ('eta', 'alpha', 'ratio', 'beta2', 'kappa'),
    precisions=('float64',),
  ),
  Entry(
    'sensing, precgd',
    _sensing('precgd', watch=_loss),
    ('eta', 'alpha', 'loss_damping', 'kappa'),
    precisions=('float64',),
  ),
  Entry(
    'xor, explicit',
    _xor('explicit', p=12),
    ('alpha', 'omega'),
    precisions=('float64',),
  ),
  Entry(
    'xor, bartlett',
    _xor('bartlett'),
    ('alpha', 'omega', 'signal', 'leak'),
  ),
  Entry(
    'modular, perp',
    _modular(gradient='perp'),
    ('lr', 'weight_decay', 'init_scale', 'temperature'),
    looser=10.0,
  ),
  Entry(
    'modular, matched Grokfast, StableMax',
    _modular(
      gradient='grokfast_ema',
      matched=True,
      loss='stablemax',
    ),
    ('lr', 'logit_scale', 'smoothing'),
    looser=10.0,
    precisions=('float64',),
  ),
  Entry(
    'attention, W',
    _attention('w'),
    ('eta', 'init_scale', 'epsilon'),
    looser=10.0,
  ),
  Entry(
    'attention, (K, Q) with Adam',
    _attention('kq', rule='adam', normalise='no', gradient='autodiff'),
    ('eta', 'lam'),
    looser=10.0,
    precisions=('float64',),
  ),
  Entry('abc network', _abc, ('lr',), precisions=('float64',)),
  Entry(
    'MAML, limit',
    _maml('limit', order=2),
    ('inner_lr', 'sigma1', 'meta_lr'),
    looser=10.0,
    precisions=('float64',),
  ),
  Entry(
    'MAML, NTK',
    _maml('ntk', capacity=96),
    ('meta_lr',),
    looser=10.0,
    precisions=('float64',),
  ),
  Entry(
    'MAML, GP on a table',
    _maml_on_a_table('gp'),
    ('meta_lr',),
    looser=10.0,
    precisions=('float64',),
  ),
  Entry('word2vec, limit', _word2vec('limit'), ('lr', 'weight_decay')),
  Entry(
    'word2vec, width 3, subsampled',
    _word2vec('finite', subsample=0.05, width=3),
    ('lr', 'weight_decay'),
    precisions=('float64',),
  ),
  Entry(
    'network to a deep linear limit',
    _to_limit('linear_L2'),
    ('lr', 'sigma1', 'sigma_w', 'sigma_v'),
    looser=10.0,
    precisions=('float64',),
  ),
  Entry(
    'network to a limit of particles',
    _to_limit('tanh_L2', particles=20, batches=2),
    looser=100.0,
    precisions=('float64',),
  ),
]

DTYPES = {'float32': jnp.float32, 'float64': jnp.float64}
