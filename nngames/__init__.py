"""Networks as explicit non-zero-sum games: built, solved, and decided with certificates.

>>> import nngames as nng
>>> network = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [0.0]], ["tanh", "relu"])
>>> result = nng.solve(network.game())
>>> str(result.status)
'converged'
"""

from __future__ import annotations

from nngames.activations import Activation, activation, activations
from nngames.certificates import certify
from nngames.core.errors import (
    DomainError,
    InputError,
    NNGamesError,
    NotApplicableError,
    OptionError,
    ShapeError,
    StepError,
    UnknownNameError,
)
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game, NetworkGame, QuadraticGame
from nngames.networks import BilinearCoupling, LinearCoupling, Network, Perturbation
from nngames.results.comparison import Comparison
from nngames.results.result import Result, Status
from nngames.solvers import Solver, methods, solve, solver

__version__ = "0.1.0"
