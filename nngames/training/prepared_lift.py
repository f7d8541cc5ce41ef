"""Samples made ready for a network whose hidden targets are to be found: by moves in turn, or by back-propagation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nngames.core.profiles import Array, Profile
from nngames.core.verdicts import Verdict
from nngames.games import Game
from nngames.training.chain_game import ChainGame
from nngames.training.data import constant_columns
from nngames.training.lifted import LiftedTraining
from nngames.training.lifted_game import role
from nngames.training.lifted_report import EquilibriumReport
from nngames.training.prepared import REPORTED, PreparedSamples
from nngames.training.trained import TrainedNetwork

#: The methods that play the game of the whole network.
WHOLE = ("backpropagation", "sklearn:mlp")
#: The gain up to which a profile counts as an equilibrium, and the gradient up to which it counts as critical.
SETTLED = 1e-6


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedLift(PreparedSamples):
    """Lifted training with the data's units and the samples kept back.

    Attributes
    ----------
    lift : LiftedTraining
        On the training rows, in standard units where asked.
    """

    lift: LiftedTraining

    @property
    def game(self) -> Game:
        """The game of weights and hidden answers."""
        return self.lift.game()

    @cached_property
    def chain(self) -> ChainGame:
        """The game of the same network in which the layers pay its own loss."""
        return self.lift.chain()

    def game_of(self, method: str) -> Game:
        """Return the lifted game; that of the whole network for methods that train it so."""
        return self.chain if method in WHOLE else self.game

    @property
    def default_methods(self) -> list[Any]:
        """Moves in turn, and back-propagation beside them."""
        optimiser = "projected_gradient" if self.chain.loss.constrained else "lbfgs"
        return ["alternating", {"method": "backpropagation", "optimiser": optimiser}]

    def drawn_start(self, seed: int) -> Array:
        """Return drawn weights with their forward pass: at zero nobody alone gains by moving."""
        return self.lift.start(seed)

    def start_of(self, method: str, start: Array | None) -> Array | None:
        """Return the start; of the whole network its weights alone."""
        if start is None or method not in WHOLE:
            return start
        return np.concatenate([matrix.ravel() for matrix in self.lift.matrices(start)])

    @property
    def summary(self) -> str:
        """The numbers of layers, parameters and samples, and how many hidden targets are found."""
        hidden = self.lift.game().size - self.chain.size
        return f"{self.counted(self.lift.shape.depth, self.chain.size)}, {hidden} hidden targets to find"

    def profile(self, theta: Profile) -> Array:
        """Return the profile of the lifted game that a run found; weights alone are held with their forward pass."""
        if isinstance(theta, np.ndarray) and theta.shape == (self.chain.size,):
            return self.lift.lifted(self.chain.loss.matrices(theta))
        return self.game.space.array(theta)

    def trained(self, theta: Profile) -> TrainedNetwork:
        """Return the network in the data's units."""
        return self.in_units(self.lift.trained(self.profile(theta)))

    def point(self, theta: Array) -> tuple[float, float]:
        """Return the network's own loss, and the residual at the hidden targets that are held."""
        x = self.profile(theta)
        return self.chain.potential(self._weights(x)), self.residual(x)

    def residual(self, x: Array) -> float:
        """Return |theta - P(theta - F(theta))| of the variational inequality with the hidden targets that x holds."""
        game, total = self.lift.game(), 0.0
        for layer in range(1, game.depth + 1):
            problem, here = game.layer_problem(layer, x), game.matrix(layer, x)
            total += float(np.sum(problem.natural_step(here, problem.gradient(here))[0] ** 2))
        return float(np.sqrt(total))

    def outcome(self, theta: Profile) -> LiftedOutcome:
        """Return what a run's profile came to, on the training rows and on those kept back."""
        x, shape = self.profile(theta), self.lift.shape
        own, ring = self.lift.trained(x), self.lift.ring_set
        constant = constant_columns(shape.inputs)
        known = () if ring is None else self.certificate_notes
        words = f"{len(constant)} columns of the inputs are constant: the bias does the same, so weights are not unique"
        return LiftedOutcome(
            loss=self.chain.potential(self._weights(x)),
            residual=self.residual(x),
            critical=float(np.linalg.norm(self.chain.residuals(self._weights(x)))),
            fit_error=float(np.abs(own.predict(shape.inputs) - shape.targets).max()),
            report=self.lift.report(x, SETTLED),
            notes=(words, *known) if constant else known,
            certificates={} if ring is None else ring.verdicts(own.weights, own.biases, own.activations),
            **self.figures(self.in_units(own)),
        )

    def _weights(self, x: Array) -> Array:
        return np.concatenate([matrix.ravel() for matrix in self.lift.matrices(x)])


@dataclass(frozen=True, eq=False, kw_only=True)
class LiftedOutcome:
    """What a network came to whose hidden targets were found.

    Attributes
    ----------
    loss : float
        The network's own: of its answers, ridges included.
    residual : float
        Of the variational inequality, at the hidden targets found.
    critical : float
        The size of the projected gradient of the network's own loss, which is 0 at its critical points.
    fit_error : float
        The largest entry of |network(x_t) - y_t|.
    training_error, test_error, training_accuracy, test_accuracy : float or None
        As of TrainingOutcome.
    report : EquilibriumReport
        The regrets of all players of the lifted game.
    notes : tuple of str
    certificates : mapping name -> Verdict
        As of TrainingOutcome.
    """

    loss: float
    residual: float
    critical: float
    fit_error: float
    training_error: float | None
    test_error: float | None
    training_accuracy: float | None
    test_accuracy: float | None
    report: EquilibriumReport
    notes: tuple[str, ...] = ()
    certificates: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``"fit"``, ``"equilibrium"``, ``"critical point"`` or ``"neither"``."""
        if self.fit_error <= REPORTED:
            return "fit"
        if self.report.equilibrium.proved:
            return "equilibrium"
        return "critical point" if self.critical <= SETTLED else "neither"

    @property
    def regret(self) -> float:
        """A bound on what any player of the lifted game gains by deviating alone."""
        return max(bound for _, bound in self.report.regrets.values())

    @property
    def regrets(self) -> dict[str, tuple[float, float]]:
        """Each player's: a gain that was found, and a bound on all."""
        return {f"{kind} {layer}": pair for (kind, layer), pair in self._roles()}

    def _roles(self) -> list[tuple[tuple[str, int], tuple[float, float]]]:
        return [(role(player), pair) for player, pair in self.report.regrets.items()]

    @property
    def drift(self) -> float:
        """The largest entry by which a hidden target is off what the network itself answers there."""
        return max(self.report.drift.values())

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Whether it is an equilibrium of the lifted game, and the certificates' by their names."""
        return {"equilibrium": self.report.equilibrium, **self.certificates}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, the kind and the verdict as plain data."""
        own = ["loss", "residual", "critical", "fit_error", "training_error", "test_error"]
        own += ["training_accuracy", "test_accuracy", "regret", "drift"]
        return {
            "kind": self.kind,
            **{name: getattr(self, name) for name in own},
            "regrets": {player: list(pair) for player, pair in self.regrets.items()},
            "potential": self.report.potential,
            **{name: verdict.to_dict() for name, verdict in self.verdicts.items()},
            "notes": list(self.notes),
        }
