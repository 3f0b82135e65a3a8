"""The classifier against the theorem as it is printed, and exact data."""

import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.evidence import fits
from framework.mup import abc, lattice, parametrisations
from framework.mup.abc import classify, invariants, shift
from framework.system import rollout
from framework.systems.width import dichotomy as abc_dynamics

HALF = Fraction(1, 2)


def make(a, b, c):
  return abc.abc(a, b, c)


# (a, b, c, optimizer) -> r, kind, by the papers' tables and by measurement.
NAMED = [
  ((0, 0, 0), (0, 0.5, 0.5), 1, 'sgd', HALF, 'kernel'),  # SP
  ((0, 0, 0), (0, 0.5, 0.5), 0, 'sgd', -1, 'unstable'),
  ((0, 0.5, 0.5), (0, 0, 0), 0, 'sgd', HALF, 'kernel'),  # NTP
  ((0, 0.5, 0.5), (0, 0, 0), 0.5, 'sgd', 1, 'trivial'),
  ((-0.5, 0, 0.5), (0.5, 0.5, 0.5), 0, 'sgd', 0, 'feature'),  # muP
  ((0, 1), (0, 0), -1, 'sgd', 0, 'feature'),  # MFP
  ((-0.5, 0, 0.5), (0.5, 0.5, math.inf), 0, 'sgd', 0, 'feature'),
  ((0, 0.5, 0.5), (0, 0, math.inf), 0, 'sgd', 1, 'kernel'),
  ((-0.25, 0, 0.5), (0.25, 0.5, 0.5), 0, 'sgd', 0, 'feature'),
  ((-0.25, 0.25, 0.5), (0.25, 0.25, 0.25), 0, 'sgd', 0.25, 'kernel'),
  ((0, 0, 0), (0, 0.5, 1), (0, 1, 1), 'adam', 0, 'feature'),
  ((0, 0, 0), (0, 0.5, 0.5), 0, 'adam', -1, 'unstable'),
  ((0, 0, 0), (0, 0.5, 0.5), 1, 'adam', 0, 'unstable'),
  ((0, 0), (0, 0.5), 1, 'sgd', Fraction(3, 2), 'kernel'),  # SP, L = 1
]


@pytest.mark.parametrize('a, b, c, optimizer, r, kind', NAMED)
def test_named_cases(a, b, c, optimizer, r, kind):
  found = classify(make(a, b, c), optimizer)
  assert (found.r, found.kind) == (r, kind)
  assert found.feature_learning == (kind == 'feature')
  assert found.kernel == (kind == 'kernel')
  assert bool(found.reason) == (kind == 'unstable') == (not found.stable)


def theorem(a, b, c):
  """Theorems 3.3 and 3.4 of TP4 in quarters, one c for all, as printed."""
  *hidden, a_out = [round(4 * x) for x in a]
  b_in, *b_mid, b_out = [round(4 * x) for x in b]
  c = round(4 * c)
  inner = min(2 * x + 4 * (i == 0) for i, x in enumerate(hidden))
  r = min(a_out + b_out, 2 * a_out + c) + c - 4 + inner
  stable = hidden[0] + b_in == 0
  stable &= all(x + y == 2 for x, y in zip(hidden[1:], b_mid, strict=True))
  stable &= a_out + b_out >= 2 and r >= 0
  stable &= 2 * a_out + c >= 4 and a_out + b_out + r >= 4
  alive = a_out + b_out + r == 4 or 2 * a_out + c == 4
  kind = 'unstable' if not stable else 'trivial' if not alive else None
  return Fraction(r, 4), kind or ('feature' if r == 0 else 'kernel')


def test_a_lattice_against_the_theorem():
  """Every quarter-lattice point with a_1 + b_1, a_2 + b_2 near stability."""
  quarters = [Fraction(k, 4) for k in range(-2, 5)]
  seen = {}
  for a1, a2, a3 in itertools.product(quarters[::2], quarters[1::2], quarters):
    for off1, off2 in ((0, 0), (Fraction(1, 4), 0), (0, Fraction(-1, 4))):
      for b3, c in itertools.product(quarters[2:], quarters):
        a, b = (a1, a2, a3), (off1 - a1, HALF + off2 - a2, b3)
        found = classify(make(a, b, c))
        r, kind = theorem(a, b, c)
        assert (found.r, found.kind) == (r, kind), (a, b, c)
        assert not (found.feature_learning and found.kernel)
        seen[kind] = seen.get(kind, 0) + 1
  assert min(seen.values()) > 20 and len(seen) == 4


@pytest.mark.parametrize('optimizer', abc.OPTIMIZERS)
@pytest.mark.parametrize('table', parametrisations.TABLES)
@pytest.mark.parametrize('depth', [1, 2, 4])
def test_the_tables_are_mup(table, optimizer, depth):
  p = parametrisations.tp5(table, depth, optimizer)
  alpha, gamma = invariants(p, optimizer)
  assert alpha == (0, *(HALF,) * (depth - 1), 1)
  middle = 0 if optimizer == 'sgd' else 1
  first = -1 if optimizer == 'sgd' else 0
  assert gamma == (first, *(middle,) * (depth - 1), 1)
  found = classify(p, optimizer)
  assert found.kind == 'feature' and found.start == HALF
  assert all(found.maximal) and found.start_maximal


@pytest.mark.parametrize('theta', [0.1, 0.3, -0.7, 1 / 3, -2 / 7])
def test_decimal_exponents_are_what_they_mean(theta):
  """µP shifted by θ in floats: a + θ, b − θ, c − 2θ."""
  a = [-0.5 + theta, 0.0 + theta, 0.5 + theta]
  b = [0.5 - theta, 0.5 - theta, 0.5 - theta]
  p = make(a, b, [-2 * theta] * 3)
  found = classify(p)
  assert (found.kind, found.r) == ('feature', 0)
  assert all(found.maximal)


# Exponents of input, hidden, readout: a; b; c with SGD; c with Adam, if it has.
EXPONENTS = {
  'sp': '0 0 0; 0 1/2 1/2; 1 1 1; 1 1 1',
  'sp, lr 1': '0 0 0; 0 1/2 1/2; 0 0 0; 0 0 0',
  'ntp': '0 1/2 1/2; 0 0 0; 0 0 0',
  'mup': '-1/2 0 1/2; 1/2 1/2 1/2; 0 0 0; 1/2 1 1/2',
  'table 3': '0 0 0; 0 1/2 1; -1 0 1; 0 1 1',
  'table 8': '0 0 1; 0 1/2 0; -1 0 -1; 0 1 0',
  'table 9': '-1/2 0 1/2; 1/2 1/2 1/2; 0 0 0; 1/2 1 1/2',
}


@pytest.mark.parametrize('depth', [1, 2, 4])
@pytest.mark.parametrize('name', EXPONENTS)
def test_exponents_of_every_name(name, depth):
  a, b, *cs = (
    list(map(Fraction, x.split())) for x in EXPONENTS[name].split(';')
  )

  def layers(row):
    return (row[0], *[row[1]] * (depth - 1), row[2])

  for optimizer, c in zip(abc.OPTIMIZERS, cs, strict=False):
    p = parametrisations.parametrisation(name, depth, optimizer)
    assert p == (layers(a), layers(b), layers(c))
    zero = parametrisations.zero_readout(p)
    assert zero == (layers(a), (*layers(b)[:-1], math.inf), layers(c))
  assert {*parametrisations.NAMED} == {*EXPONENTS, 'mfp'}
  assert parametrisations.parametrisation('mfp', 1) == (
    (0, 1),
    (0, 0),
    (-1, -1),
  )


# (case, optimizer): r; moves; start; change; maximal, of the start; shares.
FOUND = {
  ('sp', 'sgd'): ('1/2; 3/2 1/2; 0; 0; 001 1; 1 0 0'),
  ('sp, lr 1', 'sgd'): ('-1; 0 -1; 0; -3/2; 100 0; 0 -1 -1'),
  ('ntp', 'sgd'): ('1/2; 1/2 1/2; 0; 0; 001 1; 0 0 0'),
  ('mup', 'sgd'): ('0; 0 0; 1/2; 0; 111 1; 0 0 0'),
  ('mup', 'adam'): ('0; 0 0; 1/2; 0; 111 1; 0 0 0'),
  ('sp', 'adam'): ('0; 1 0; 0; -1/2; 011 0; 1/2 -1/2 0'),
  ('sp, lr 1', 'adam'): ('-1; 0 -1; 0; -3/2; 100 0; -1/2 -3/2 -1'),
}


@pytest.mark.parametrize('name, optimizer', FOUND)
def test_all_that_is_said_of_a_parametrisation(name, optimizer):
  p = parametrisations.parametrisation(name, 2, optimizer)
  found = classify(p, optimizer)
  r, moves, start, change, maximal, shares = FOUND[name, optimizer].split('; ')

  def numbers(text):
    return tuple(map(Fraction, text.split()))

  assert (found.r, found.start, found.change) == numbers(
    f'{r} {start} {change}'
  )
  assert found.moves == numbers(moves) and found.shares == numbers(shares)
  layers, first = maximal.split()
  assert found.maximal == tuple(x == '1' for x in layers)
  assert found.start_maximal == (first == '1')
  kernel = found.kind == 'kernel'
  assert found.kernel_layers == tuple(kernel and x == 0 for x in found.shares)


def test_a_step_of_adam_on_one_layer_in_every_share():
  """γ_l + 1(l = 1) + α_L+1 - 2: α once, where SGD has it twice."""
  p = make((0, 0, 0), (0, HALF, Fraction(3, 4)), (Fraction(1, 4), 2, 3))
  assert classify(p, 'adam').shares == (0, Fraction(3, 4), 2)
  assert classify(p, 'sgd').shares == (Fraction(3, 4), Fraction(3, 2), 2)


@pytest.mark.parametrize(
  'alpha, gamma, line',
  [
    ((HALF, HALF, 1), (-1, 0, 1), 'a + b of layer 1 is 1/2, stable at 0'),
    ((0, 0, 1), (-1, 0, 1), 'a + b of layer 2 is 0, stable at 1/2'),
    ((0, HALF, 0), (-1, 0, 1), 'a + b of the readout is 0, stable from 1/2'),
    ((0, HALF, 1), (-1, -1, 1), 'r is -1, stable from 0'),
    ((0, HALF, 1), (0, 1, 0), 'the step of the readout is of size 0, stable f'),
    ((0, HALF, HALF), (-HALF, HALF, 1), 'a + b + r of the readout is 1/2, st'),
  ],
)
def test_the_first_condition_that_is_violated(alpha, gamma, line):
  """In the order of the theorem; on the edge of each it is stable."""
  found = classify(make((0, 0, 0), alpha, gamma))
  assert found.reason.startswith(line) and found.kind == 'unstable'


def test_mup_alone_has_everything_maximal():
  """Over all invariants in quarters: unique up to symmetry."""
  quarters = [Fraction(k, 4) for k in range(-6, 9)]
  found = []
  for gamma in itertools.product(quarters, repeat=2):
    for alpha in quarters:
      # Written with a = 0, where γ = c.
      p = abc.Abc((Fraction(0),) * 2, (Fraction(0), alpha), gamma)
      c = classify(p)
      if c.stable and all(c.maximal) and c.start_maximal:
        found.append((alpha, gamma))
  assert found == [(1, (-1, 1))]


def test_mean_field_is_mup_with_one_hidden_layer():
  mfp = parametrisations.parametrisation('mfp', 1)
  assert invariants(mfp) == invariants(
    parametrisations.parametrisation('mup', 1)
  )


def test_layers_in_the_kernel():
  sp = parametrisations.parametrisation('sp', 2)
  ntp = parametrisations.parametrisation('ntp', 2)
  assert classify(sp).kernel_layers == (False, True, True)
  assert classify(sp).shares == (1, 0, 0)
  assert classify(ntp).kernel_layers == (True, True, True)
  # A readout at zero: what is left is the kernel of the last layer.
  zero = classify(parametrisations.zero_readout(ntp))
  assert zero.kernel_layers == (False, False, True) and zero.start == math.inf
  # One hidden layer: the last layer alone.
  one = classify(parametrisations.parametrisation('sp', 1))
  assert one.kernel_layers == (False, True)


def test_layers_below_move_less():
  """SP: h^1 by n^-3/2, h^2 by n^-1/2, as Section 1 of the lattice measures."""
  sp = classify(parametrisations.parametrisation('sp', 2))
  assert sp.moves == (Fraction(3, 2), HALF)


@pytest.mark.parametrize('optimizer', abc.OPTIMIZERS)
def test_a_shift_changes_nothing_that_matters(optimizer):
  p = make((0, 0.25, 0.5), (0, 0.25, math.inf), (0, 1, -0.5))
  moved = shift(p, (HALF, -2, Fraction(1, 3)), optimizer)
  assert moved != p
  assert invariants(moved, optimizer) == invariants(p, optimizer)
  assert classify(moved, optimizer) == classify(p, optimizer)
  back = shift(moved, (-HALF, 2, Fraction(-1, 3)), optimizer)
  assert back == p


@pytest.mark.parametrize('optimizer', abc.OPTIMIZERS)
@pytest.mark.parametrize('width', [8, 128])
def test_a_shift_is_the_same_run_at_every_width(width, optimizer):
  named = lattice.named(optimizer)
  mup = named['muP']
  moved = shift(mup, (0.1, -0.3, 0.7), optimizer)
  # The last is no symmetry: the learning rates are left as they were.
  cases = (mup, named['muP shifted'], moved, moved._replace(c=mup.c))
  net = abc_dynamics.system(
    abc_dynamics.Structure(
      width,
      cases,
      abc_dynamics.adam if optimizer == 'adam' else optax.identity,
      optimizer == 'adam',
      dtype=jnp.float64,
    )
  )

  @jax.jit
  @jax.vmap
  def run(case):
    hp = abc_dynamics.Hp(case, jnp.float64(0.3 if optimizer == 'sgd' else 0.03))
    return rollout(net, jax.random.key(0), hp, jnp.array([0, 5]))[1]

  found = run(jnp.arange(4, dtype=jnp.int32))
  assert np.all(found['moves'][:3, -1] > 1e-3)
  for name in ('output', 'change', 'moves', 'kernel'):
    right, one, two, other = np.asarray(found[name])
    np.testing.assert_allclose(one, right, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(two, right, rtol=1e-9, atol=1e-12)
    assert np.abs(other[-1] / right[-1] - 1).max() > 0.01


def test_the_start_falls_as_the_classifier_says():
  """f(0): 0 in the kernel regime, -1/2 under muP; 400 seeds leave ± 0.03."""
  widths = (8, 32, 128)
  named = lattice.named('sgd')
  names = ('NTP', 'SP, lr 1/n', 'muP', 'muP, readout 0')
  cases = tuple(named[name] for name in names)
  rms = []
  for n in widths:
    net = abc_dynamics.system(
      abc_dynamics.Structure(n, cases, rows=1, dtype=jnp.float64)
    )

    def f0(key, net=net):
      def of(case):
        hp = abc_dynamics.Hp(case)
        return net.init(key, net.sample(key, hp), hp).output

      return jax.vmap(of)(jnp.arange(len(cases)))

    keys = jax.random.split(jax.random.key(0), 400)
    f = jax.jit(lambda keys, f0=f0: jax.lax.map(f0, keys))(keys)
    rms.append(np.sqrt(np.mean(f**2, (0, 2))))
  rms = np.array(rms).T
  found = fits.power_law(np.array(widths, float), rms[:3]).slope
  wanted = [-float(classify(p).start) for p in cases[:3]]
  assert wanted == [0, 0, -0.5]
  np.testing.assert_allclose(found, wanted, rtol=0, atol=0.08)
  assert np.all(rms[3] == 0) and classify(cases[3]).start == math.inf


@pytest.mark.parametrize(
  'call, line',
  [
    (lambda: make((0,), (0,), 0), 'lengths of a, b, c are 1, 1, 1'),
    (lambda: make((0, 0), (0,), 0), 'lengths of a, b, c are 2, 1, 2'),
    (lambda: make((0, math.nan), (0, 0), 0), 'a is nan'),
    (lambda: make((0, 0), (math.inf, 0), 0), 'b is inf'),
    (lambda: make((0, 0), (0, math.nan), 0), 'b of the readout is nan'),
    (lambda: classify(make((0, 0), (0, 1), 0), 'rmsprop'), "'rmsprop', expect"),
    (lambda: shift(make((0, 0), (0, 1), 0), (1,)), '1 values of theta'),
    (lambda: parametrisations.tp5('7', 2), "table is '7', expected one of 3"),
    (lambda: parametrisations.parametrisation('mup', 0), 'depth is 0'),
    (lambda: parametrisations.parametrisation('mfp', 2), 'one hidden layer'),
    (lambda: parametrisations.parametrisation('xyz', 2), "'xyz': expected one"),
    (
      lambda: parametrisations.parametrisation('ntp', 2, 'adam'),
      'ntp has no learning rates for adam',
    ),
  ],
)
def test_nonsense_is_one_line(call, line):
  with pytest.raises(ValueError, match=line) as caught:
    call()
  assert len(str(caught.value).splitlines()) == 1
