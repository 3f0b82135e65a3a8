"""From a config to claims and figures, at sizes that take seconds."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from configs.mup_transfer import VARIANTS, get_config
from experiments.mup_transfer import EXPERIMENT, coordinates, dichotomy, rates
from framework import config as config_lib
from framework.data import store
from framework.launch.experiment import job_of
from framework.mup import lattice
from framework.run import results
from tests.run import jobs

SMALL = {
  'quick': {
    'base_width': 4,
    'sweep': {'width': (4, 8, 16), 'rule': (0, 1), 'lr': (0.01, 0.02, 0.04)},
    'steps': 5,
  },
  'dichotomy': {
    'seeds': 2,
    'sweep': {'width': (8, 16, 32), 'case': (0, 2, 4, 5)},
  },
}


def claims_of(config, dataset):
  return EXPERIMENT.variant(config).claims(config, dataset)


def verdicts(config, dataset):
  return {c.id: c.verdict for c in claims_of(config, dataset)}


def computed(variant, folder):
  config = dataclasses.replace(
    get_config(variant), **SMALL[variant], precision='float64'
  )
  config_lib.validate(config)
  jobs.go(job_of(EXPERIMENT, config), folder)
  return config, results.open(folder)


def test_small_networks_are_drawn_and_not_judged(tmp_path):
  """Three steps of four neurons show nothing, whatever they do."""
  config, dataset = computed('quick', tmp_path)
  claims = claims_of(config, dataset)
  assert {c.verdict for c in claims} == {'not testable'}
  assert len({c.id for c in claims}) == len(claims) == 7
  figures = EXPERIMENT.variant(config).figures(config, dataset)
  assert figures and all(caption for _, caption in figures.values())


def test_exponents_of_small_networks(tmp_path):
  config, dataset = computed('dichotomy', tmp_path)
  assert verdicts(config, dataset) == {'dichotomy': 'not testable'}
  figures = EXPERIMENT.variant(config).figures(config, dataset)
  assert figures['dichotomy'][1]
  found = {e.name: e for e in dichotomy.exponents(config, dataset)}
  # By eight, sixteen and 32 neurons the kernel's features move less.
  assert found['NTP'].moves.max() < found['muP'].moves.min()
  # One width that diverged is not left out of a line through the others.
  lost = dataset.where(dataset['width'] != 16)
  for e in dichotomy.exponents(config, lost):
    assert np.isnan([e.start, e.change, *e.moves, *e.kernel]).all()


POWERS = {
  'output': 'start',
  'change': 'change',
  'moves': 'moves',
  'kernel': 'kernel',
}


def as_predicted(config):
  """Records that have exactly the powers that theory says."""
  widths = np.array(config.axis('width'), float)
  cases = config.axis('case')
  n = widths[:, None]
  found = {}
  everything = list(lattice.cases(config.optimizer).values())
  for name, part, place in (
    ('output', 'start', 0),
    ('change', 'change', 1),
    ('moves', 'moves', 1),
    ('kernel', 'shares', 0),
  ):
    rows = []
    for case in cases:
      theory = dichotomy.abc.classify(everything[case], config.optimizer)
      power = -np.atleast_1d(np.asarray(getattr(theory, part), float))
      if not theory.stable:
        power = np.full_like(power, 0.5)
      rows.append(n**power)
    values = np.stack(rows, 1)[:, :, None, None]
    shape = (len(widths), len(cases), config.seeds, 2, values.shape[-1])
    values = np.broadcast_to(values, shape)
    dims = ('width', 'case', 'seed', 'time', f'{name}_0')
    single = name in ('output', 'change')
    found[name] = (dims[:-1], values[..., 0]) if single else (dims, values)
    del place
  still = np.full((len(widths), len(cases), config.seeds), np.nan)
  found['diverged_at'] = (('width', 'case', 'seed'), still)
  axes = {'width': widths, 'case': list(cases), 'time': [0, 3]}
  return xr.Dataset(found, axes)


@pytest.mark.parametrize('variant', ['dichotomy', 'dichotomy_adam'])
def test_wrong_exponents_are_found_out(variant):
  config = get_config(variant)
  dataset = as_predicted(config)
  right = verdicts(config, dataset)
  assert set(right.values()) == {'holds'} and len(right) > 60
  for name, part in POWERS.items():
    # A fifth of a power, less than there is between two of the lattice.
    worse = dataset.assign({name: dataset[name] * dataset['width'] ** 0.2})
    found = verdicts(config, worse)
    assert found[f'muP.{part}'] == 'fails'
  lost = dataset.where(dataset['width'] != 512)
  found = verdicts(config, lost)
  assert {v for k, v in found.items() if k != 'unstable'} == {'fails'}
  # And what is not known to have diverged has not grown.
  assert found['unstable'] == 'fails'
  blown = lost.assign(diverged_at=dataset['diverged_at'].fillna(1.0))
  assert verdicts(config, blown)['unstable'] == 'holds'
  # Equal powers are no gap.
  flat = dataset.assign(moves=dataset['moves'] * 0 + 1)
  assert verdicts(config, flat)['dichotomy'] == 'fails'


def test_every_rate_of_a_dichotomy_is_judged_by_itself():
  config = get_config('dichotomy')
  one = as_predicted(config)
  config = dataclasses.replace(
    config, sweep={**config.sweep, 'lr': (0.1, 0.3, 2.0)}
  )
  flat = one.assign(moves=one['moves'] * 0 + 1)
  both = xr.concat([one, flat, one], xr.Variable('lr', [0.1, 0.3, 2.0]))
  found = verdicts(config, both)
  assert found['dichotomy.lr=0.1'] == 'holds'
  assert found['dichotomy.lr=0.3'] == 'fails'
  assert found['dichotomy.lr=2.0'] == 'not testable'


def coordinates_of(config):
  return {name: list(values) for name, values in config.sweep.items()}


def swept(best, rates=8, task='teacher', optimizer='adam', base=2.0, **fields):
  """A transfer config, and losses whose best rates are at these places.

  The losses of SP and muP are the same; -1: every run diverged.
  """
  widths = (64, 256, 1024)
  sweep = {
    'width': widths,
    'rule': (0, 1),
    'lr': tuple(base**k for k in range(rates)),
  }
  config = dataclasses.replace(
    get_config('transfer_teacher'),
    **{'sweep': sweep, 'task': task, 'optimizer': optimizer} | fields,
  )
  places = np.array(best, float)
  loss = 4 + (np.arange(rates) - places[:, None]) ** 2 - np.arange(3)[:, None]
  loss = np.where(places[:, None] < 0, np.nan, loss)
  dims = ('width', 'rule', 'lr', 'seed', 'time')
  loss = np.broadcast_to(loss[:, None, :, None, None], (3, 2, rates, 2, 2))
  return config, xr.Dataset(
    {'loss': (dims, loss)},
    coordinates_of(config) | {'seed': [0, 1], 'time': [0, config.steps]},
  )


@pytest.mark.parametrize(
  'best, how, mup, falls, sp',
  [
    ((5, 5, 4), {}, 'holds', 'holds', 'fails'),
    ((5, 3, 2), {}, 'fails', 'holds', 'holds'),
    ((2, 3, 5), {}, 'fails', 'fails', 'holds'),
    ((5, -1, 4), {}, 'fails', 'fails', 'fails'),
    # At an end of the grid the best rate may lie beyond.
    ((1, 0, 0), {}, 'fails', 'holds', 'fails'),
    ((6, 7, 7), {}, 'fails', 'fails', 'fails'),
    ((5, 2, 0), {}, 'fails', 'holds', 'holds'),
    # Two half octaves are one factor of two.
    ((4, 3, 2), {'base': 2**0.5}, 'holds', 'holds', 'fails'),
    # The setting decides what can be told, not what was seen.
    ((1, 2, 1), {'rates': 3}, *['not testable'] * 3),
    ((5, 3, 2), {'base': 10.0}, *['not testable'] * 3),
    ((5, 3, 2), {'steps': 20}, *['not testable'] * 3),
    # SGD: two steps, or as many as d + n gains.
    ((5, 4, 4), {'optimizer': 'sgd'}, 'holds', 'holds', 'fails'),
    ((5, 4, 4), {'optimizer': 'sgd', 'task': 'mnist'}, *['holds'] * 3),
    (
      (4, 4, 4),
      {'optimizer': 'sgd', 'task': 'mnist'},
      'holds',
      'fails',
      'fails',
    ),
  ],
)
def test_a_drift_can_be_missed(best, how, mup, falls, sp):
  config, dataset = swept(best, **how)
  found = verdicts(config, dataset)
  assert found[f'{config.optimizer}.mup.drift'] == mup
  assert found[f'{config.optimizer}.sp.falls'] == falls
  assert found[f'{config.optimizer}.sp.drift'] == sp
  wider = found[f'{config.optimizer}.mup.wider']
  widest = found[f'{config.optimizer}.mup.widest']
  judged = 'fails' if -1 in best else 'holds'
  if mup == 'not testable':
    assert wider == widest == mup
  else:  # the ends are known
    assert (wider, widest) == (judged, 'holds')


@pytest.mark.parametrize(
  'factors, wider, widest',
  [
    ((1.0, 1.0, 1.0), 'holds', 'fails'),  # equal is not better
    ((1.0, 1.05, 0.9), 'fails', 'holds'),
    ((1.0, 1.01, 0.9), 'holds', 'holds'),
  ],
)
def test_wider_is_better_beyond_a_tie(factors, wider, widest):
  config, dataset = swept((4, 4, 4))
  shape = np.array(factors)[:, None] * np.ones(8)
  shape = shape + (np.arange(8) != 4)
  loss = np.broadcast_to(
    shape[:, None, :, None, None], dataset['loss'].shape
  ).copy()
  # However much the seeds scatter: the bound is not made of them.
  loss[..., 0, :] *= 1.5
  found = verdicts(config, dataset.assign(loss=(dataset['loss'].dims, loss)))
  assert found['adam.mup.wider'] == wider
  assert found['adam.mup.widest'] == widest


CHECKED = {'width': (64, 256, 1024), 'optimizer': ('adam',), 'rule': (0, 1)}


def flat_sizes(config):
  """(size, change): muP keeps its order, SP's output grows as n."""
  widths = np.array(config.axis('width'), float)
  rules = len(config.axis('rule'))
  size = np.ones((len(widths), 1, rules, 5, 4, 5))
  # The output, and the readout that makes it.
  grown = (widths / widths[0])[:, None, None, None]
  for place in (0, 4):
    size[:, :, 0, ..., place] *= grown
  change = size.copy()
  change[..., 0, :] = 0  # nothing has moved yet
  change[..., 1, 1:4] = 0  # a readout of zero moves alone
  size[..., 0, ::4] = 0
  return size, change


def recorded(config, size, change):
  dims = ('width', 'optimizer', 'rule', 'seed', 'time')
  return xr.Dataset(
    {
      'size': ((*dims, 'size_0'), size),
      'change': ((*dims, 'change_0'), change),
    },
    coordinates_of(config) | {'time': [0, 1, 2, 3]},
  )


def test_a_width_that_diverged_is_not_flat():
  config = dataclasses.replace(get_config('coord_check'), sweep=CHECKED)
  size, change = flat_sizes(config)
  found = verdicts(config, recorded(config, size, change))
  assert found == {'adam.mup.flat': 'holds', 'adam.sp.output': 'holds'}
  for bad in (np.nan, np.inf, 0.0):
    lost = change.copy()
    lost[1, :, 1, :, 2, 1] = bad
    found = verdicts(config, recorded(config, size, lost))
    assert found['adam.mup.flat'] == 'fails'
  lost = size.copy()
  lost[2, :, 0] = np.nan
  found = verdicts(config, recorded(config, lost, change))
  assert found['adam.sp.output'] == 'fails'
  # Where nothing ever moves nothing is shown.
  found = verdicts(config, recorded(config, size, change * 0))
  assert found['adam.mup.flat'] == 'fails'


def test_a_mistake_is_a_slope_that_does_not_pass():
  config = dataclasses.replace(
    get_config('coord_check'), sweep={**CHECKED, 'rule': (1, 4)}
  )
  for power, flat, mistake in (
    (0.05, 'holds', 'fails'),
    (0.5, 'fails', 'holds'),
  ):
    size, change = flat_sizes(config)
    size[:, :, 0], change[:, :, 0] = size[:, :, 1], change[:, :, 1]
    n = np.array(config.axis('width'), float)[:, None, None, None, None, None]
    found = verdicts(config, recorded(config, size, change * n**power))
    assert found['adam.mup.flat'] == flat
    assert found['adam.no_readout_multiplier'] == mistake


SETTINGS = [
  # coordinates: what too small, too few or too short networks cannot show
  ({'dense': 1}, coordinates, 'needs the records'),
  ({'zero_readout': False}, coordinates, 'needs a readout'),
  ({'sweep': {'width': (64, 128)}}, coordinates, 'needs three widths'),
  ({'sweep': {'width': (4, 8, 16, 64)}}, coordinates, 'needs wider'),
  ({'sweep': {'width': (48, 96, 192, 384)}}, coordinates, ''),
  # rates
  ({'sweep': {'width': (64, 128)}}, rates, 'needs three widths'),
  ({'sweep': {'width': (64, 96, 128), 'lr': (1.0, 2.0)}}, rates, 'factor of 4'),
  ({'sweep': {'width': (256, 128, 64)}}, rates, 'ascending'),
  # dichotomy
  ({'seeds': 8}, dichotomy, 'needs 32 seeds'),
  ({'lr': 2.0}, dichotomy, 'needs T η'),
  ({'lr': None}, dichotomy, 'needs T η'),
  ({'steps': 100}, dichotomy, 'needs T η'),
  ({'precision': 'float32'}, dichotomy, 'needs float64'),
  ({'sweep': {'width': (8, 16, 32), 'case': (0, 5)}}, dichotomy, 'wider'),
  ({'sweep': {'width': (256, 512, 1024, 2048)}}, dichotomy, ''),
]


@pytest.mark.parametrize('fields, module, reason', SETTINGS)
def test_the_setting_says_what_it_cannot_show(fields, module, reason):
  variant = {coordinates: 'coord_check', rates: 'transfer_teacher'}
  config = dataclasses.replace(
    get_config(variant.get(module, 'dichotomy')), **fields
  )
  found = module.missing(config)
  assert reason in found if reason else not found


@pytest.mark.slow
@pytest.mark.parametrize(
  'fields',
  [
    {'activation': activation, 'depth': depth, 'optimizer': optimizer}
    for activation, depth, optimizer in (
      ('relu', 1, 'sgd'),
      ('tanh', 2, 'adam'),
      ('tanh', 2, 'sgd'),
      ('gelu', 3, 'adam'),
      ('linear', 2, 'sgd'),
      ('relu', 4, 'adam'),
    )
  ],
)
@pytest.mark.parametrize('widths', [(48, 96, 192, 384), (64, 128, 256, 512)])
def test_no_false_alarm_over_settings(fields, widths, tmp_path):
  """Correct muP passes, SP does not, at settings that nobody tuned."""
  config = dataclasses.replace(
    get_config('coord_check'),
    **fields,
    base_width=widths[0],
    seeds=3,
    sweep={'width': widths, 'rule': (0, 1)},
  )
  jobs.go(job_of(EXPERIMENT, config), tmp_path)
  dataset = results.open(tmp_path)
  assert set(verdicts(config, dataset).values()) == {'holds'}
  # What is called muP though it is SP is found out.
  wrong = dataset.sel(rule=[0, 0]).assign_coords(rule=[0, 1])
  found = verdicts(config, wrong)
  assert found[f'{config.optimizer}.mup.flat'] == 'fails'


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_variant_is_valid(variant):
  config = config_lib.normalise(get_config(variant))
  config_lib.validate(config)
  times = EXPERIMENT.variant(config).times(config)
  assert times[-1] == config.steps


@pytest.mark.parametrize(
  'variant, fields, line',
  [
    ('quick', {'width': 0}, 'config.width: got 0'),
    ('quick', {'optimizer': 'lion'}, "config.optimizer: got 'lion'"),
    ('transfer', {'rows': 70_000}, 'config.rows: got 70000, expected at most'),
    ('transfer_text', {'base_width': 30}, 'config.base_width: got 30'),
    ('quick', {'optimizer': 'sgd', 'sweep': {}, 'rule': 5}, 'config.rule'),
    ('dichotomy', {'sweep': {'rule': (0, 1)}}, 'sweep.rule'),
    ('quick', {'sweep': {'case': (0, 1)}}, 'sweep.case'),
    ('quick', {'sweep': {'momentum': (0.0, 0.9)}}, 'sweep.momentum'),
    ('quick', {'sweep': {'steps': (10, 20)}}, 'sweep.steps'),
  ],
)
def test_bad_input_is_one_line(variant, fields, line):
  config = dataclasses.replace(get_config(variant), **fields)
  with pytest.raises(config_lib.ConfigError, match=line) as caught:
    config_lib.validate(config_lib.normalise(config))
  assert len(str(caught.value).splitlines()) == 1


def test_missing_data_is_one_line(monkeypatch, tmp_path):
  monkeypatch.setenv(store.VARIABLE, str(tmp_path))
  with pytest.raises(config_lib.ConfigError, match='no mnist') as caught:
    job_of(EXPERIMENT, get_config('transfer'))
  assert len(str(caught.value).splitlines()) == 1
