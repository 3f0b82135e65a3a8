"""Networks as hypotheses: the same orders, from a tail fitted to losses."""

import functools

import numpy as np
from xarray import Dataset

from configs.spectrum import Networks
from experiments.spectrum.reading import falls
from framework.evidence import lanes
from framework.evidence.claims import Claim, at_least, untestable
from framework.launch import Figures, Variant, hp_of
from framework.run.job import Arm
from framework.systems.spectrum import inductive_bias as ib

_PAPER = 'Boopathy, Liu, Fiete 2024, on what a task asks for'
_AXES = ('d', 'n', 'eps')
_ENOUGH = 500  # steps of Adam, to fit
_SEEDS, _HYPOTHESES = 5, 16
_NONE = 1e-3  # nats: what is asked for without being noticed


def arm(config: Networks) -> Arm:
  """Many networks are trained side by side on each draw of inputs."""
  structure = ib.NetworkStructure(
    n_max=max(config.axis('n')),
    tests=config.tests,
    d_max=max(config.axis('d')),
    hypotheses=config.hypotheses,
    network=functools.partial(ib.Perceptron, config.width),
  )
  return Arm(
    ib.networks(structure),
    hp_of(ib.NetworkHp, config, d=np.int32, n=np.int32),
    attributes=ib.NETWORK_ATTRIBUTES,
  )


def times(config: Networks) -> np.ndarray:
  """A tenth, a half and all of the steps."""
  t = config.steps
  return np.unique([t // 10, t // 2, t]).astype(np.int32)


def _gate(config: Networks, count: int) -> str:
  """Why an order of means says nothing; '' where it does."""
  if count < 2 or config.seeds < _SEEDS or config.hypotheses < _HYPOTHESES:
    return f'needs two values, {_SEEDS} seeds, {_HYPOTHESES} networks'
  if config.steps < _ENOUGH or not 0.003 <= config.lr <= 0.03:
    return f'needs {_ENOUGH} steps of Adam at a rate of 0.003 to 0.03'
  if config.width < 2 * max(config.axis('n')) ** 0.5 or config.fit < 1e-4:
    return 'needs networks that can fit, to no less than 1e-4'
  return ''


def claims(config: Networks, ds: Dataset) -> list[Claim]:
  """Claims that networks fit, and on the order of biases."""
  made = []
  for text, own, part in lanes.apart(config, ds, _AXES):
    part = part.isel(time=-1)
    # (d, n, eps, everything else) -> means over the rest.
    bias, fitted = (
      lanes.over(part, name, _AXES).reshape(
        *(len(own.axis(a)) for a in _AXES), -1
      )
      for name in ('bias', 'fitted')
    )
    # A mean of logarithms: the tail is fitted to few networks, and scatters.
    with np.errstate(divide='ignore', invalid='ignore'):
      seen = np.exp(np.log(bias + _NONE).mean(-1))
    order = [np.argsort(own.axis(a)) for a in _AXES]
    seen = seen[np.ix_(*order)]
    texts = (f'fit{text}', 'networks fit the examples', _PAPER)
    why = _gate(own, 2)
    made.append(
      untestable(*texts, why)
      if why
      else at_least(
        *texts,
        0.9,
        fitted.mean(-1).ravel(),
        each=True,
        derivation='share of the networks in each cell: what does not fit is '
        'no hypothesis, and left out of the moments',
      )
    )
    for id, axis, sign, statement in (
      ('dimension', 0, -1, 'the bias grows with the dimension of the inputs'),
      ('examples', 1, 1, 'the bias falls with the number of examples'),
    ):
      texts = (f'{id}{text}', f'{statement}, extrapolated', _PAPER)
      table = np.moveaxis(seen, axis, -1)
      why = _gate(own, table.shape[-1])
      if why:
        made.append(untestable(*texts, why, headline=True))
        continue
      made.append(
        falls(
          *texts,
          table[..., ::sign],
          0.0,
          f'geometric means of it and {_NONE} nats over {own.seeds} draws of '
          'inputs and starts',
          strict=True,
          headline=True,
        )
      )
  return made


def figures(config: Networks, ds: Dataset) -> Figures:
  """Bias over dimension, at each number of examples; losses beside."""
  from framework.evidence import figures as plotting

  _, own, part = next(lanes.apart(config, ds, _AXES))
  whole = lanes.prepared(own, part.isel(time=-1), _AXES)
  dims, ns = np.sort(own.axis('d')), np.sort(own.axis('n'))
  eps = own.axis('eps')[0]
  with plotting.style():
    fig, (left, right) = plotting.figure('double', ncols=2)
    for ax in (left, right):
      ax.set(xscale='log', yscale='log', xlabel='dimension of inputs')
      ax.set_xticks(dims, dims)
      ax.minorticks_off()
    left.set_ylabel('inductive bias (nats)')
    right.set_ylabel('test loss of what fits')
    for n, color in zip(ns, plotting.palette(ns.tolist()), strict=True):
      for ax, name in ((left, 'bias'), (right, 'expected_loss')):
        seen = np.stack(
          [lanes.lanes(whole, name, d=d, n=n, eps=eps) for d in dims], axis=1
        )
        seen = np.maximum(seen, _NONE if name == 'bias' else 0)
        plotting.lanes(ax, dims, seen, f'{n} examples', color)
    plotting.law(right, dims, np.full(dims.size, eps), 'asked for')
    plotting.legend(left)
  return {
    'inductive_bias_networks': (
      fig,
      f'{own.hypotheses} networks of width {own.width} a draw, trained until '
      'they fit. Left: −ln of the chance of a test loss of at most '
      f'{eps:g}, from a tail fitted to two moments of their losses (right): '
      'where no network came near, that is an extrapolation. Median and range '
      'over draws.',
    )
  }


VARIANT = Variant(arm, times, claims, figures)
