"""The points of a figure as numbers, for the pointer on report.html."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryFormatter
from matplotlib.collections import PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FuncFormatter

__all__ = ['plain', 'values']

_MOST = 2000  # points of a figure: about 60 kB
_NAMES = FixedFormatter, FuncFormatter, StrCategoryFormatter
_WHOLE = 10_000  # width and height of a figure, in the units of u and v


def values(fig: Figure) -> list[dict[str, Any]]:
  """The points that a figure shows, panel by panel.

  Lines, points, bars and cells; of a band its two ends, where the line of the
  same colour has a point. What lies outside its panel is left out, and where
  there are more than 2000 points each series is thinned alike.

  Args:
    fig: A figure that has been drawn: its panels are where they will be.

  Returns:
    For each panel with points {box, x, y, series}: its sides (left, top, right,
    bottom), the names of its axes, and for each series {name, color, u, v, x,
    y}, with `low` and `high` for a band, `z` for cells, and `spread` ('points'
    or 'cells') for what is no line. (u, v) is the place of a point. Places are
    in 1/10 000 of the width and the height of the figure, from the upper left
    corner; all values have four digits.

  >>> fig = Figure()
  >>> _ = fig.subplots().plot([0, 1], [2, 3], color='red', label='loss')
  >>> fig.draw_without_rendering()
  >>> line = values(fig)[0]['series'][0]
  >>> line['name'], line['color'], line['x'], line['y']
  ('loss', '#ff0000', [0.0, 1.0], [2.0, 3.0])
  """
  named = _legends(fig)
  found = [(ax, list(_series(ax, named))) for ax in fig.axes]
  count = sum(len(one['x']) for _, series in found for one in series)
  every = -(-count // _MOST)
  return [
    {
      'box': _box(ax),
      'x': plain(ax.get_xlabel()),
      'y': plain(ax.get_ylabel()),
      'series': [_written(one, every) for one in series],
    }
    for ax, series in found
    if series and ax.get_label() != '<colorbar>'
  ]


def _series(ax: Axes, named: Sequence[tuple[Any, ...]]) -> Iterator[dict]:
  """Lines, points, cells and bars of a panel, as arrays."""
  yield from _lines(ax, named)
  for drawn in ax.collections:
    one: dict[str, Any] = {'name': _own(drawn.get_label()), 'color': None}
    z = drawn.get_array()
    z = None if z is None else np.ma.filled(np.ma.asarray(z), np.nan).ravel()
    if isinstance(drawn, PathCollection):
      one['spread'] = 'points'
      xy = np.ma.filled(drawn.get_offsets(), np.nan)
      colors = drawn.get_facecolor()
      if len(colors) == 1:
        one['color'] = to_hex(colors[0])
      if z is not None:
        one['z'] = z
      at = drawn.get_offset_transform().transform(xy)
    elif isinstance(drawn, QuadMesh):
      corners = np.asarray(drawn.get_coordinates(), float)
      at = drawn.get_transform().transform(corners.reshape(-1, 2))
      at = _middles(at.reshape(corners.shape))
      xy = ax.transData.inverted().transform(at)
      one |= {'z': z, 'spread': 'cells'}
    else:
      continue
    yield from _placed(ax, one, xy, at)
  for bars in ax.containers:
    if isinstance(bars, BarContainer):
      color = to_hex(bars[0].get_facecolor())
      tops = [(b.get_x() + b.get_width() / 2, b.get_height()) for b in bars]
      one = {'name': _own(bars.get_label()), 'color': color}
      yield from _placed(ax, one, tops, ax.transData.transform(tops))


def _lines(ax: Axes, named: Sequence[tuple[Any, ...]]) -> Iterator[dict]:
  bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
  errors = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
  with_errors = {bar.lines[0]: bar for bar in errors}
  caps = {cap for bar in errors for cap in bar.lines[1]}
  for line in ax.lines:
    if line in caps:
      continue
    color, xy = to_hex(line.get_color()), line.get_xydata()
    xy = np.ma.filled(xy, np.nan)
    at = line.get_transform().transform(xy)
    if line.get_transform() is not ax.transData:  # across the panel
      xy = ax.transData.inverted().transform(at)
    one = {'name': _name(line, named), 'color': color}
    if bar := with_errors.get(line):
      one['name'] = _own(bar.get_label()) or one['name']
      for segments in bar.lines[2]:
        one |= _ends(np.concatenate(segments.get_segments()), xy[:, 0])
    for band in bands:
      if to_hex(tuple(np.asarray(band.get_facecolor())[0])) == color:
        corners = np.concatenate([p.vertices for p in band.get_paths()])
        found = _ends(corners, xy[:, 0])
        one |= found if np.isfinite(found['low']).any() else {}
    yield from _placed(ax, one, xy, at)


def _middles(corners: Float[np.ndarray, 'y x 2']) -> Float[np.ndarray, 'n 2']:
  """Centres of the cells between corners, row by row."""
  rows = corners[1:] + corners[:-1]
  return ((rows[:, 1:] + rows[:, :-1]) / 4).reshape(-1, 2)


def _placed(ax: Axes, one: dict, xy: Any, at: Any) -> Iterator[dict]:
  """A series with the points that lie in its panel, if there are some."""
  xy, at = np.asarray(xy, float), np.asarray(at, float)
  near = 1.0  # pixel: on the frame is inside
  inside = np.isfinite(at).all(axis=1) & np.isfinite(xy).all(axis=1)
  inside &= (at >= np.asarray(ax.bbox.min) - near).all(axis=1)
  inside &= (at <= np.asarray(ax.bbox.max) + near).all(axis=1)
  if not inside.any():
    return
  size = ax.figure.canvas.figure.bbox.size
  u, v = (at[inside] / size * _WHOLE).T
  arrays = {k: a[inside] for k, a in one.items() if isinstance(a, np.ndarray)}
  yield one | arrays | {
    'u': u,
    'v': _WHOLE - v,
    'x': _said(ax.xaxis, xy[inside, 0]),
    'y': _said(ax.yaxis, xy[inside, 1]),
  }  # fmt: skip


def _said(axis: Axis, points: Float[np.ndarray, ' n']) -> Any:
  """Values on an axis; names, where its ticks are names."""
  if not isinstance(axis.get_major_formatter(), _NAMES):
    return points
  texts = [plain(label.get_text()) for label in axis.get_ticklabels()]
  named = dict(zip(np.round(axis.get_ticklocs(), 9), texts, strict=False))
  return [named.get(np.round(p, 9)) or p for p in points]


def _ends(
  corners: Float[np.ndarray, 'corners 2'], x: Float[np.ndarray, ' n']
) -> dict[str, Float[np.ndarray, ' n']]:
  """The least and the greatest y of a band at some x; NaN where it has none."""
  same = corners[:, :1] == x
  low = np.where(same, corners[:, 1:], np.inf).min(axis=0, initial=np.inf)
  high = np.where(same, corners[:, 1:], -np.inf).max(axis=0, initial=-np.inf)
  return {
    'low': np.where(np.isfinite(low), low, np.nan),
    'high': np.where(np.isfinite(high), high, np.nan),
  }


def _legends(fig: Figure) -> list[tuple[Any, ...]]:
  """(colour, dashes, text) of every line in a legend of the figure."""
  boxes = [*fig.legends, *(ax.get_legend() for ax in fig.axes)]
  return [
    (to_hex(line.get_color()), line.get_linestyle(), text.get_text())
    for box in boxes
    if box is not None
    for line, text in zip(box.legend_handles, box.get_texts(), strict=False)
    if isinstance(line, Line2D)
  ]


def _name(line: Line2D, named: Sequence[tuple[Any, ...]]) -> str:
  """The name of a line: its own, or that of its like in a legend."""
  own = _own(line.get_label()) or plain(line.get_gid() or '')
  if line.get_label() == '_law':  # all laws look alike
    return own or 'law'
  look = to_hex(line.get_color()), line.get_linestyle()
  texts = {text for *known, text in named if tuple(known) == look}
  return own or (plain(texts.pop()) if len(texts) == 1 else '')


def _own(label: Any) -> str:
  """A label, unless it is one that matplotlib hides from legends."""
  return '' if str(label).startswith('_') else plain(str(label))


def _written(one: dict[str, Any], every: int) -> dict[str, Any]:
  """A series as JSON has it, thinned, its last point kept."""
  count = len(one['x'])
  kept = [*range(0, count - 1, every), count - 1]
  found = dict(one)
  for key, array in one.items():
    if key in ('u', 'v'):
      found[key] = [round(array[i]) for i in kept]
    elif key not in ('name', 'color', 'spread'):
      found[key] = [_short(array[i]) for i in kept]
  return found


def _short(value: Any) -> float | str | None:
  """Four digits; a name as it is; None for what is not finite."""
  if isinstance(value, str):
    return value
  return float(f'{value:.4g}') if np.isfinite(value) else None


def _box(ax: Axes) -> list[int]:
  left, low, right, high = ax.get_position().extents * _WHOLE
  sides = left, _WHOLE - high, right, _WHOLE - low
  return [round(side) for side in sides]


_WORDS = {
  'cdot': '·', 'times': '×', 'infty': '∞', 'leq': '≤', 'le': '≤', 'geq': '≥',
  'ge': '≥', 'approx': '≈', 'propto': '∝', 'sim': '∼', 'pm': '±', 'ell': 'ℓ',
  'sqrt': '√', 'top': 'ᵀ', 'star': '*', 'to': '→', 'sum': 'Σ', '|': '‖',
  'langle': '⟨', 'rangle': '⟩', 'in': '∈', 'neq': '≠', 'perp': '⊥',
  'varphi': 'φ', 'varepsilon': 'ε', 'partial': '∂', 'nabla': '∇',
  'left': '', 'right': '', ',': ' ', ';': ' ',
}  # fmt: skip
_HIGH = str.maketrans('0123456789+-−', '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻')


def plain(label: str) -> str:
  r"""A label of matplotlib without its TeX.

  >>> plain(r'$\alpha = 10^{-3}$'), plain(r'$\|XX^\top - M\|_F^2$')
  ('α = 10⁻³', '‖XXᵀ - M‖_F²')
  """
  text = re.sub(r'\\(?:math|text|operatorname)\w*', '', label)
  text = re.sub(r'\\frac\{([^{}]*)\}\{([^{}]*)\}', r'\1/\2', text)
  text = re.sub(r'\\([A-Za-z]+|[|,;])', _symbol, text)
  text = re.sub(
    r'\^(?:\{([-+−\d]+)\}|(\d))',
    lambda m: (m[1] or m[2]).translate(_HIGH),
    text,
  )
  text = re.sub(r'\^(?=ᵀ)|\^\{(?=ᵀ\})', '', text)
  return ' '.join(re.sub(r'[${}\\]', '', text).split())


def _symbol(found: re.Match[str]) -> str:
  word = found[1]
  size = 'SMALL' if word[0].islower() else 'CAPITAL'
  name = 'LAMDA' if word.lower() == 'lambda' else word.upper()
  try:
    greek = unicodedata.lookup(f'GREEK {size} LETTER {name}')
  except KeyError:
    greek = word  # a function, such as ln
  return _WORDS.get(word, greek)
