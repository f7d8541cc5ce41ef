"""scikit-learn's multilayer perceptrons on a network that is to be trained, to compare with."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.core.errors import check_choice
from nngames.core.profiles import Array
from nngames.games import FixedPoint, Game
from nngames.solvers.external.whole_run import Answer, ExternalProblem, ExternalSolver
from nngames.solvers.options import number_that
from nngames.solvers.solver import solver_named

OPTIMISERS = ("adam", "lbfgs", "sgd")
#: What scikit-learn has for hidden layers.
_HIDDEN = ("identity", "logistic", "tanh", "relu")


class PerceptronProblem(ExternalProblem):
    """The network's loss, and the number that scikit-learn draws from."""

    def __init__(self, view: FixedPoint, game: Game, rng: np.random.Generator) -> None:
        super().__init__(view, game)
        self.drawn = int(rng.integers(2**31))


@solver_named("sklearn:mlp")
@dataclass(frozen=True)
class Perceptron(ExternalSolver):
    """scikit-learn's MLPClassifier, or MLPRegressor where the last layer is of identities, with its own defaults.

    It draws its first weights itself, and ends by its own rule: its loss has improved by less than 1e-4 in ten epochs.

    Parameters
    ----------
    optimiser : {"adam", "lbfgs", "sgd"}
    alpha : float
        The weight of its penalty alpha |W|^2 / (2 T) on all layers, T the number of samples; the ridges of the network
        play no part.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    ``sklearn.neural_network.MLPClassifier``; Kingma and Ba (2015).
    """

    optimiser: str = "adam"
    alpha: float = 1e-4

    def __post_init__(self) -> None:
        check_choice("sklearn:mlp: optimiser", self.optimiser, OPTIMISERS)
        alpha = number_that(self.name, "alpha", self.alpha, "be a nonnegative number", lambda value: value >= 0)
        object.__setattr__(self, "alpha", alpha)

    @property
    def autonomous(self) -> bool:
        """Never: it draws."""
        return False

    def problem(self, game: Game, rng: np.random.Generator) -> PerceptronProblem:
        """Return the network's loss. Raises NotApplicableError if scikit-learn does not train such a network."""
        made = super().problem(game, rng)
        return PerceptronProblem(made.view, game, rng)

    def refusal(self, game: Game) -> str | None:
        """Return what scikit-learn would not train."""
        view = game.descent()
        if importlib.util.find_spec("sklearn") is None:
            return "scikit-learn is not installed: it needs the extra 'data', pip install 'nngames[data]'"
        shape: Any = getattr(view, "shape", None)
        if shape is None or view.constrained:
            return "scikit-learn trains networks without bounds on their weights"
        *hidden, last = (activation.name for activation in shape.activations)
        if len(set(hidden)) != 1 or hidden[0] not in _HIDDEN or last not in ("softmax", "identity"):
            return (
                f"scikit-learn trains equal hidden layers of {', '.join(_HIDDEN)} before one of softmax or identities"
            )
        if np.ptp(shape.weights) > 1e-12 * shape.weights[0]:
            return "scikit-learn's perceptrons weigh all samples alike"
        classes = np.isin(shape.targets, (0.0, 1.0)).all() and (shape.targets.sum(axis=1) == 1).all()
        if last == "softmax" and not (classes and shape.targets.any(axis=0).all()):
            return "scikit-learn wants classes, a 1 in the class's column, and a sample of each"
        return None

    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Return what scikit-learn trains."""
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        view: Any = problem.game.descent()
        shape, own = view.shape, problem
        classes = shape.activations[-1].name == "softmax"
        drawn = own.drawn if isinstance(own, PerceptronProblem) else 0
        limit = max(1, problem.budget.max_iterations)
        made = (MLPClassifier if classes else MLPRegressor)(
            hidden_layer_sizes=shape.widths,
            activation=shape.activations[0].name,
            solver=self.optimiser,
            alpha=self.alpha,
            max_iter=limit,
            random_state=drawn,
        )
        targets = shape.targets.argmax(axis=1) if classes else shape.targets
        if targets.shape[1:] == (1,):
            targets = targets[:, 0]
        made.fit(shape.inputs, targets)
        found = [np.column_stack([w.T, b]) for w, b in zip(made.coefs_, made.intercepts_, strict=True)]
        if len(found[-1]) == 1 and shape.sizes[-1] == 2:
            # Of two classes it keeps the difference of the two answers alone.
            found[-1] = np.vstack([np.zeros_like(found[-1]), found[-1]])
        x = np.concatenate([matrix.ravel() for matrix in found])
        done = made.n_iter_ < limit
        said = "its loss improves by less than 1e-4 in ten epochs" if done else f"all {limit} epochs are used"
        return Answer(x, int(made.n_iter_), int(made.n_iter_), done, said, not done)
