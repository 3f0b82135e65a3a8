"""Citations: BibTeX of an experiment, from a file beside its code."""

import importlib.metadata
import inspect
import pathlib

from framework.launch.experiment import Experiment, Variant

__all__ = ['bibtex']

_FOLDER = 'references'
_SOFTWARE = """\
@software{{training_dynamics,
  title = {{Training dynamics: theorems about training, checked in JAX}},
  version = {{{version}}},
  license = {{Apache-2.0}},
}}

@software{{jax,
  title = {{JAX: composable transformations of Python+NumPy programs}},
  author = {{James Bradbury and Roy Frostig and Peter Hawkins and Matthew James
    Johnson and Chris Leary and Dougal Maclaurin and George Necula and Adam
    Paszke and Jake VanderPlas and Skye Wanderman-Milne and Qiao Zhang}},
  version = {{{jax}}},
  url = {{http://github.com/jax-ml/jax}},
  year = {{2018}},
}}
"""


def bibtex(experiment: Experiment) -> str:
  """BibTeX of what an experiment reproduces and uses, and of this software.

  The entries are those of `references/<name of the experiment>.bib`, beside the
  code that makes the claims of a variant or in one of the two folders above it.

  Args:
    experiment: The experiment.

  Returns:
    Entries, with a final newline; those of the software alone if there is no
    such file.
  """
  table = experiment.variants
  variants = [table] if isinstance(table, Variant) else list(table.values())
  version = importlib.metadata.version
  software = _SOFTWARE.format(
    version=version('training-dynamics'), jax=version('jax')
  )
  name = f'{experiment.name}.bib'
  found = [_beside(variant, name) for variant in variants]
  files = dict.fromkeys(file for file in found if file is not None)
  return '\n'.join([*(f.read_text().strip() + '\n' for f in files), software])


def _beside(variant: Variant, name: str) -> pathlib.Path | None:
  code = inspect.unwrap(variant.claims)
  code = getattr(code, 'func', code)  # of a functools.partial
  folders = pathlib.Path(inspect.getfile(code)).resolve().parents[:3]
  files = [folder / _FOLDER / name for folder in folders]
  return next((file for file in files if file.is_file()), None)
