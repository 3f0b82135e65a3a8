"""Training dynamics in JAX: a run is a dynamical system, a theorem is a claim.

Read `framework.system` first. What everything is called: a *System* is four
pure functions; *hp* is a pytree of traced scalars; a *problem* is what is fixed
over time, a *state* what a checkpoint holds, an *observation* what a person
wants to see; *lanes* are runs side by side (seeds x grid of hp); *results* are
labelled arrays on disk; a *claim* says predicted, measured, holds or not.
"""

from framework.system import System, linspaced, logspaced, rollout

__all__ = ['System', 'linspaced', 'logspaced', 'rollout']
