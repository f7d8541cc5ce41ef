"""Networks as explicit non-zero-sum games: built, solved, and decided with certificates.

>>> import nngames as nng
>>> network = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [0.0]], ["tanh", "relu"])
>>> result = nng.solve(network.game())
>>> str(result.status)
'converged'
"""

from __future__ import annotations

# Before the rest, which takes a while.
import nngames.core.loading  # noqa: F401

# isort: split
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nngames.activations import Activation, activation, activations
from nngames.certificates import certify
from nngames.certificates.error_bounds import ErrorBound, error_bound, error_bounds
from nngames.compare import compare
from nngames.core.errors import (
    DomainError,
    InfeasibleError,
    InputError,
    NNGamesError,
    NotApplicableError,
    OptionError,
    ShapeError,
    StepError,
    UnknownNameError,
)
from nngames.core.verdicts import Decision, Verdict
from nngames.games import FiniteGame, Game, NetworkGame, QuadraticGame
from nngames.networks import BilinearCoupling, LinearCoupling, Network, Perturbation
from nngames.results.batch import BatchResult
from nngames.results.comparison import Comparison
from nngames.results.result import Result, Status
from nngames.solvers import Solver, methods, solve, solve_batch, solver

if TYPE_CHECKING:
    from nngames.checks import (
        certify_equilibrium,
        check_outcomes,
        check_periodic_projections,
        check_potential,
        check_stackelberg,
        enumerate_equilibria,
        maximum_pairwise_difference,
        potential_distance,
    )
    from nngames.claims import audit_activations
    from nngames.networks.compiled.loading import compile_passes
    from nngames.report.diagnose import diagnose
    from nngames.scenario import load_scenario, run_scenario
    from nngames.scenario.train import train_scenario
    from nngames.training import (
        Convolution,
        LiftedTraining,
        TrainedNetwork,
        TrainingProblem,
        train_by_backpropagation,
    )
    from nngames.training.design import design_network
    from nngames.training.saved_network import load_network, save_network

__version__ = "0.1.0"

#: Names that are imported on first use: they bring YAML, pydantic or rich with them.
_LATER = {
    "audit_activations": "nngames.claims",
    "certify_equilibrium": "nngames.checks",
    "check_outcomes": "nngames.checks",
    "check_periodic_projections": "nngames.checks",
    "check_potential": "nngames.checks",
    "check_stackelberg": "nngames.checks",
    "compile_passes": "nngames.networks.compiled.loading",
    "design_network": "nngames.training.design",
    "diagnose": "nngames.report.diagnose",
    "enumerate_equilibria": "nngames.checks",
    "load_network": "nngames.training.saved_network",
    "load_scenario": "nngames.scenario",
    "maximum_pairwise_difference": "nngames.checks",
    "potential_distance": "nngames.checks",
    "run_scenario": "nngames.scenario",
    "Convolution": "nngames.training",
    "LiftedTraining": "nngames.training",
    "TrainedNetwork": "nngames.training",
    "TrainingProblem": "nngames.training",
    "save_network": "nngames.training.saved_network",
    "train_by_backpropagation": "nngames.training",
    "train_scenario": "nngames.scenario.train",
}

__all__ = [
    "Activation",
    "BatchResult",
    "BilinearCoupling",
    "Comparison",
    "Convolution",
    "Decision",
    "DomainError",
    "ErrorBound",
    "FiniteGame",
    "Game",
    "InfeasibleError",
    "InputError",
    "LiftedTraining",
    "LinearCoupling",
    "NNGamesError",
    "Network",
    "NetworkGame",
    "NotApplicableError",
    "OptionError",
    "Perturbation",
    "QuadraticGame",
    "Result",
    "ShapeError",
    "Solver",
    "Status",
    "StepError",
    "TrainedNetwork",
    "TrainingProblem",
    "UnknownNameError",
    "Verdict",
    "activation",
    "activations",
    "audit_activations",
    "certify",
    "certify_equilibrium",
    "check_outcomes",
    "check_periodic_projections",
    "check_potential",
    "check_stackelberg",
    "compare",
    "compile_passes",
    "design_network",
    "diagnose",
    "enumerate_equilibria",
    "error_bound",
    "error_bounds",
    "load_network",
    "load_scenario",
    "maximum_pairwise_difference",
    "methods",
    "potential_distance",
    "run_scenario",
    "save_network",
    "solve",
    "solve_batch",
    "solver",
    "train_by_backpropagation",
    "train_scenario",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'nngames' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
