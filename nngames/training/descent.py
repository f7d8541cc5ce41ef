"""A few Newton steps down one layer's loss, for players who improve in turn."""

from __future__ import annotations

import numpy as np

from nngames.core.profiles import Array
from nngames.solvers import solver
from nngames.solvers.solver import Ended
from nngames.training.layer_game import LayerGame
from nngames.training.layer_problem import LayerProblem


def newton_steps(problem: LayerProblem, theta: Array, steps: int) -> Array:
    """Return the parameters (channels, features) after at most so many steps of ``newton_descent``."""
    scheme = solver("newton_descent")
    bound = scheme.problem(LayerGame({1: problem}), np.random.default_rng(0))
    state = scheme.start(bound, theta.ravel().copy())
    for _ in range(steps):
        if state.residual == 0:
            break
        try:
            state = scheme.step(bound, state)
        except Ended:
            break
    return state.x.reshape(theta.shape)
