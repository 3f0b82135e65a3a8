"""Typed experiment configs: frozen dataclasses, checked field by field."""

from framework.config.base import Run, Variants, variants
from framework.config.fields import ConfigError, Problem, field
from framework.config.files import check_files, diff, digest, identity, load
from framework.config.text import describe, override, parse_grid
from framework.config.values import from_dict, normalise, to_dict, validate

__all__ = [
  'ConfigError',
  'Problem',
  'Run',
  'Variants',
  'check_files',
  'describe',
  'diff',
  'digest',
  'field',
  'from_dict',
  'identity',
  'load',
  'normalise',
  'override',
  'parse_grid',
  'to_dict',
  'validate',
  'variants',
]
