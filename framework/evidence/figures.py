"""Figures in one style: trajectories in colour, laws black and dashed.

matplotlib without pyplot: no display, no figure that lives on, nothing global
that stays changed, and safe in threads. Draw data first, then each `law`, then
labels, then the `legend`: each looks for the room that is left. Where methods
of matplotlib itself are called, do so inside `style`.

>>> t = np.arange(1.0, 100.0)
>>> with style():
...   fig, ax = figure()
...   _ = ax.set(xlabel='$t$', ylabel='loss', xscale='log', yscale='log')
...   _ = lanes(ax, t, np.stack([1 / t, 1.2 / t]), 'measured')
...   _ = law(ax, t, 1.1 / t, '$t^{-1}$')
...   _ = legend(ax)
"""

import contextlib
import io
import math
import pathlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import matplotlib
import matplotlib.style
import numpy as np
from etils import epath
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator
from matplotlib.transforms import ScaledTranslation

from framework.evidence.labels import beside, layout, release, reserve, room
from framework.run.workdir import write_bytes

__all__ = [
  'figure',
  'heatmap',
  'lanes',
  'law',
  'legend',
  'palette',
  'save',
  'style',
]

_Share: TypeAlias = bool | Literal['none', 'all', 'row', 'col']

WIDTHS = {'single': 3.4, 'double': 7.0}  # inches: a column, a page
_STYLE = pathlib.Path(__file__).with_name('house.mplstyle')
_LOCK = threading.RLock()
_ASPECT = 0.7  # height of a panel over its width
_LOWEST = 1.7  # inches: of a row of panels
_Z_LAW = 5.0  # matplotlib draws bands at 1, lines at 2
# Above this the map's colours have less than the 3 : 1 contrast to white that
# a line needs to be seen (WCAG 2.1, 1.4.11).
_READABLE = 0.64
# Without what says when and by what version a file was made.
_METADATA: dict[str, dict[str, Any]] = {
  'png': {'Software': None},
  'pdf': {'CreationDate': None, 'Creator': None, 'Producer': None},
}
_HALO = withStroke(linewidth=2.4, foreground='white')
_CORNERS = ('upper right', 'upper left', 'lower left', 'lower right')
_SIDES = ('center right', 'center left', 'upper center', 'lower center')


@contextlib.contextmanager
def style() -> Iterator[None]:
  """The house style for whatever is drawn inside this context.

  matplotlib keeps its settings in one place for the whole process, so only one
  thread at a time is inside. The functions here enter it by themselves.
  """
  with _LOCK, matplotlib.style.context(['default', _STYLE]):
    yield


@style()
def figure(
  width: Literal['single', 'double'] = 'single',
  height: float | None = None,
  *,
  nrows: int = 1,
  ncols: int = 1,
  sharex: _Share = False,
  sharey: _Share = False,
  **kwargs: Any,
) -> tuple[Figure, Any]:
  """Makes a figure as wide as a column (3.4 in) or a page (7 in).

  Args:
    width: 'single' or 'double'.
    height: Inches; None for panels of a pleasant shape.
    nrows: Rows of panels.
    ncols: Columns of panels.
    sharex: As in `Figure.subplots`.
    sharey: As in `Figure.subplots`.
    **kwargs: More for `Figure.subplots`, such as `width_ratios`.

  Returns:
    (figure, axes); the axes are one `Axes`, or an array of them.

  Raises:
    ValueError: If a size is not one of those allowed.

  >>> figure('triple')
  Traceback (most recent call last):
  ValueError: width is 'triple', expected single or double
  """
  if width not in WIDTHS:
    raise ValueError(f'width is {width!r}, expected single or double')
  if nrows < 1 or ncols < 1:
    raise ValueError(f'panels are {nrows} x {ncols}, expected at least 1 x 1')
  if height is None:
    height = nrows * max(_ASPECT * WIDTHS[width] / ncols, _LOWEST)
  if not 0 < height < 50:
    raise ValueError(f'height is {height}, expected inches in (0, 50)')
  fig = Figure(figsize=(WIDTHS[width], height), layout='constrained')
  axes = fig.subplots(nrows, ncols, sharex=sharex, sharey=sharey, **kwargs)
  reserve(fig, bool(sharex), bool(sharey))
  return fig, axes


def palette(
  values: Sequence[float], scale: Literal['log', 'linear'] | None = None
) -> list[str]:
  """Colours for the values of a hyperparameter, dark to light.

  A colour stands for a value, not for its place in the list: perceived
  lightness is linear in the value, or in its logarithm.

  Args:
    values: Finite numbers in any order.
    scale: 'log' or 'linear'; None for the one in which the values are more
      evenly spaced.

  Returns:
    A colour '#rrggbb' for each; the lightest can still be read on white.

  Raises:
    ValueError: If a value is not finite, or not positive on a log scale.

  >>> palette([0.01, 0.1, 1.0]) == palette([0, 1, 2])
  True
  """
  x = np.asarray(values, np.float64)
  if x.ndim != 1 or not np.isfinite(x).all():
    raise ValueError(f'values are {values}, expected a list of finite numbers')
  if scale not in (None, 'log', 'linear'):
    raise ValueError(f'scale is {scale!r}, expected log, linear or None')
  if scale == 'log' and (x <= 0).any():
    raise ValueError(f'values have {x.min()}, expected > 0 on a log scale')
  if scale == 'log' or (scale is None and _even_in_log(np.unique(x))):
    x = np.log(x)
  spread = np.ptp(x) if x.size else 0.0
  x = (x - x.min()) / spread if spread else np.zeros_like(x)
  return [to_hex(c) for c in matplotlib.colormaps['plasma'](_READABLE * x)]


def _even_in_log(x: Float[np.ndarray, ' n']) -> bool:
  """Whether ascending values are more evenly spaced on a log scale."""

  def uneven(x):
    return np.std(np.diff(x)) / np.mean(np.diff(x))

  return x.size > 2 and x[0] > 0 and bool(uneven(np.log(x)) < uneven(x))


@style()
def lanes(
  ax: Axes,
  t: Float[np.ndarray, ' time'],
  Y: Float[np.ndarray, 'seeds time'],
  label: str = '',
  color: Any = None,
  *,
  band: tuple[float, float] = (0.0, 1.0),
) -> Line2D:
  """Draws the median over seeds, and a band from quantile to quantile.

  A value that is not finite is left out: the lane has diverged. Since median
  and band are then those of the lanes that are left, a cross marks the last
  value of each lane that ends before another one.

  Args:
    ax: Where.
    t: Times.
    Y: One row a seed.
    label: For the legend; '' for none.
    color: Any colour; None for the next one.
    band: The two quantiles; (0, 1) is from the least to the greatest value.

  Returns:
    The line of the median.

  Raises:
    ValueError: If shapes do not match or the band is not an interval.

  >>> lanes(figure()[1], np.arange(3), np.ones((2, 4)))
  Traceback (most recent call last):
  ValueError: Y has shape (2, 4), expected (seeds, 3)
  """
  t, Y = np.asarray(t), np.asarray(Y, np.float64)
  if t.ndim != 1 or Y.ndim != 2 or Y.shape[1] != t.size or not Y.shape[0]:
    raise ValueError(f'Y has shape {Y.shape}, expected (seeds, {t.size})')
  if not 0 <= band[0] <= band[1] <= 1:
    raise ValueError(f'band is {band}, expected 0 <= low <= high <= 1')
  finite = np.isfinite(Y)
  low, middle, high = np.full((3, t.size), np.nan)
  some = finite.any(axis=0)
  if some.any():
    kept = np.where(finite, Y, np.nan)[:, some]
    low[some], middle[some], high[some] = np.nanquantile(
      kept, [band[0], 0.5, band[1]], axis=0
    )
  (line,) = ax.plot(t, middle, color=color, label=label or '_lanes')
  color = line.get_color()
  if len(Y) > 1 and band[0] < band[1]:
    ax.fill_between(t, low, high, color=color, alpha=0.2, linewidth=0)
    if label:
      _name_band(ax, band)
  last = np.where(finite, np.arange(t.size), -1).max(axis=1)
  early = (last >= 0) & (last < last.max())
  if early.any():
    ends = t[last[early]], Y[early, last[early]]
    ax.plot(*ends, 'x', color=color, label='_diverged')
  return line


def _name_band(ax: Axes, band: tuple[float, float]) -> None:
  """An entry of the legend for all bands of the axes, after their lines."""
  name = 'range over seeds'
  if band != (0, 1):
    name = f'{100 * band[0]:g}–{100 * band[1]:g} % of seeds'
  for line in ax.get_lines():
    if line.get_label() == name:
      line.remove()
  ax.plot([], [], color='0.5', alpha=0.35, linewidth=6, label=name)


@style()
def law(
  ax: Axes,
  t: Float[np.ndarray, ' time'],
  y: Float[np.ndarray, ' time'],
  label: str = '',
) -> Line2D:
  """Draws what the theory says: black, dashed, above the data.

  The label stands next to the line where it covers nothing; where there is no
  such place it goes to the legend.

  Args:
    ax: Where; the data and the scales of the axes should be there already.
    t: Times.
    y: The prediction.
    label: Its name; '' for none.

  Returns:
    The line.

  Raises:
    ValueError: If shapes do not match.
  """
  t, y = np.asarray(t), np.asarray(y)
  if t.ndim != 1 or y.shape != t.shape:
    raise ValueError(f'y has shape {y.shape}, expected {t.shape} as t')
  look = {'color': 'black', 'linestyle': (0, (4, 2)), 'linewidth': 1.2}
  (line,) = ax.plot(t, y, **look, zorder=_Z_LAW, label='_law')
  line.set_path_effects([_HALO])  # black can be seen on dark cells, too
  line.set_gid(label)  # its name, wherever that stands
  if label and not beside(
    ax, line, label, zorder=_Z_LAW + 1, path_effects=[_HALO]
  ):
    line.set_label(label)
  return line


@style()
def legend(ax: Axes, **kwargs: Any) -> Legend:
  """Adds a legend where it covers nothing, else below the axes.

  The corners are tried first, then the sides. Lines, bands, points, images and
  labels count as something. A figure of one panel grows to take a legend below.

  Args:
    ax: Where; call it when all is drawn and named.
    **kwargs: For `Axes.legend`, such as `title` or `ncols`.

  Returns:
    The legend.

  Raises:
    ValueError: If nothing in the axes has a label.
  """
  if not kwargs.get('handles') and not ax.get_legend_handles_labels()[0]:
    raise ValueError('nothing in the axes has a label')
  if old := ax.get_legend():
    old.remove()
  layout(ax)
  free = room(ax)
  for place in _CORNERS + _SIDES:
    box = ax.legend(loc=place, **kwargs)
    if free(box.get_window_extent()):
      return box
    box.remove()
  return _legend_below(ax, **kwargs)


def _legend_below(ax: Axes, **kwargs: Any) -> Legend:
  fig = ax.figure.canvas.figure
  around = ax.get_tightbbox() or ax.bbox
  # In inches below the axes, for the layout will change their height.
  drop = (ax.bbox.y0 - around.y0) / fig.dpi
  below = ScaledTranslation(0, -drop, fig.dpi_scale_trans)
  count = len(kwargs.get('handles') or ax.get_legend_handles_labels()[0])
  place: dict[str, Any] = {
    'loc': 'upper center',
    'bbox_to_anchor': (0.5, 0),
    'bbox_transform': ax.transAxes + below,
  }
  rows = 1
  while True:
    columns = {'ncols': math.ceil(count / rows)}
    box = ax.legend(**place, **(columns | kwargs))
    extent = box.get_window_extent()
    rows += 1
    if extent.width <= around.width or rows > count:
      break
  if len(fig.axes) == 1:
    wide, high = fig.get_size_inches()
    fig.set_size_inches(wide, high + extent.height / fig.dpi)
  return box


@style()
def heatmap(
  ax: Axes,
  x_values: Sequence[Any],
  y_values: Sequence[Any],
  Z: Float[np.ndarray, 'y x'],
  label: str,
  norm: Literal['log', 'linear'] = 'log',
) -> QuadMesh:
  """Draws a phase diagram: a cell for each pair of values, centred on it.

  An axis of numbers is one of numbers, so that a law drawn over the cells lies
  where it should; it is logarithmic if the values are more evenly spaced so.
  An axis of anything else has evenly spaced names.

  Args:
    ax: Where.
    x_values: Ascending numbers, or names.
    y_values: The same for the other axis.
    Z: Values; NaN where it was not reached, which is hatched.
    label: What Z is, with its unit.
    norm: Whether colour is linear in Z or in its logarithm.

  Returns:
    The mesh of cells.

  Raises:
    ValueError: If shapes do not match, numbers do not ascend, or Z is not
      positive where colours are logarithmic.

  >>> heatmap(figure()[1], [1, 2], [1, 2], np.zeros((2, 2)), 'steps')
  Traceback (most recent call last):
  ValueError: Z has 0.0, expected > 0 for norm log
  """
  Z = np.asarray(Z, np.float64)
  shape = len(y_values), len(x_values)
  if Z.shape != shape or not Z.size:
    raise ValueError(f'Z has shape {Z.shape}, expected {shape}, not empty')
  if norm not in ('log', 'linear'):
    raise ValueError(f'norm is {norm!r}, expected log or linear')
  reached = np.isfinite(Z)
  values = Z[reached]
  if norm == 'log' and (values <= 0).any():
    raise ValueError(f'Z has {values.min()}, expected > 0 for norm log')
  edges = _centred(ax, 'x', x_values), _centred(ax, 'y', y_values)
  scale = (LogNorm if norm == 'log' else Normalize)()
  shown = np.ma.masked_array(Z, ~reached)
  ax.grid(False)
  mesh = ax.pcolormesh(
    *edges, shown, norm=scale, cmap='viridis', rasterized=True
  )
  if values.size:
    bar = ax.figure.colorbar(mesh, ax=ax, label=label, pad=0.02, aspect=18)
    bar.outline.set_visible(False)
  if not reached.all():
    # The background, seen through cells that are not there.
    empty = {'facecolor': '#f2f2f2', 'edgecolor': '#9a9a9a', 'hatch': '/////'}
    ax.patch.set(**empty, linewidth=0)
    name = 'not reached'  # said once for all panels
    if name not in [x.get_label() for x in ax.figure.legends]:
      note = Patch(**empty, linewidth=0, label=name)
      note = ax.figure.legend(handles=[note], loc='outside lower right')
      note.set_label(name)
  return mesh


def _centred(
  ax: Axes, which: Literal['x', 'y'], values: Sequence[Any]
) -> Float[np.ndarray, ' edges']:
  """Sets up an axis for cells centred on values; returns their edges."""
  x, log = np.asarray(values), False
  names = [str(value) for value in values]
  if x.size < 2 or x.dtype.kind not in 'iuf':
    x = np.arange(x.size)
  elif not np.isfinite(x).all() or (np.diff(x) <= 0).any():
    raise ValueError(
      f'{which} values are {", ".join(names)}, expected finite, ascending'
    )
  else:
    names, log = [_short(value) for value in x], _even_in_log(x)
  ax.set(**{f'{which}scale': 'log' if log else 'linear'})
  axis = getattr(ax, f'{which}axis')
  axis.set_minor_locator(NullLocator())
  if not log or x[-1] < 100 * x[0]:  # else decades are better
    # Five points a letter across, a line and a half up; skip what cannot fit.
    need = 5 * max(map(len, names)) + 8 if which == 'x' else 12
    room = 72 * ax.bbox.size['xy'.index(which)] / ax.figure.dpi
    every = math.ceil(len(names) * need / room)
    axis.set_ticks(x[::every], names[::every])
  u = np.log(x) if log else x
  middle = (u[1:] + u[:-1]) / 2
  ends = (u[0] - 0.5, u[0] + 0.5)
  if len(u) > 1:
    ends = (2 * u[0] - middle[0], 2 * u[-1] - middle[-1])
  edges = np.concatenate([ends[:1], middle, ends[1:]])
  return np.exp(edges) if log else edges


def _short(value: float) -> str:
  """Three digits, and whole numbers as they are up to five.

  >>> _short(1000.0), _short(0.12345)
  ('1000', '0.123')
  """
  whole = value == round(value) and abs(value) < 1e5
  return f'{value:.0f}' if whole else f'{value:.3g}'


def save(fig: Figure, path: epath.PathLike) -> list[epath.Path]:
  """Writes a figure as PNG (200 dpi) and PDF, each whole or not at all.

  Nothing in the files depends on when or where they are made: equal figures
  give equal bytes.

  Args:
    fig: The figure.
    path: Local path or bucket, without the suffix.

  Returns:
    The two paths, PNG first.
  """
  path = epath.Path(path)
  release(fig)
  contents = {}
  engine = fig.get_layout_engine()
  with style():
    for suffix, metadata in _METADATA.items():
      content = io.BytesIO()
      fig.savefig(content, format=suffix, metadata=metadata)
      contents[suffix] = content.getvalue()
      # Laid out once: the second file is the first.
      fig.set_layout_engine('none')
  fig.set_layout_engine(engine)
  paths = []
  for suffix, content in contents.items():
    # Not `with_suffix`, for a name may hold a dot: alpha=0.1.
    paths.append(path.parent / f'{path.name}.{suffix}')
    write_bytes(paths[-1], content)
  return paths
