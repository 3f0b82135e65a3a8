"""Typed experiment configs: frozen dataclasses, checked field by field."""

from framework.config.fields import ConfigError, Problem, field
from framework.config.files import diff, digest, load
from framework.config.text import describe, override, parse_grid
from framework.config.values import from_dict, normalise, to_dict, validate

__all__ = [
  'ConfigError',
  'Problem',
  'describe',
  'diff',
  'digest',
  'field',
  'from_dict',
  'load',
  'normalise',
  'override',
  'parse_grid',
  'to_dict',
  'validate',
]
