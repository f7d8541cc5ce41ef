"""Samples made ready: split into those to train on and those to test on, standardized, and posed as a problem."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations import activation
from nngames.core.errors import InputError
from nngames.core.profiles import Array, Profile
from nngames.core.verdicts import Verdict
from nngames.games import Game
from nngames.training.problem import TrainingProblem
from nngames.training.solutions import SolutionReport
from nngames.training.standardization import Standardization
from nngames.training.trained import TrainedNetwork

#: The residual and the errors up to which parameters count as a solution and as a fit.
REPORTED = 1e-8
#: What parameters can be.
KINDS = ("fit", "solution", "no minimiser", "equilibrium", "critical point", "neither")


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedSamples(ABC):
    """Samples in the data's units, and which of their rows are kept back; a subclass poses what is to be found.

    Attributes
    ----------
    inputs, targets : ndarray (T, n)
        All samples, in the data's units.
    train, test : ndarray of int
        Their rows.
    input_units, target_units : Standardization or None
    """

    inputs: Array
    targets: Array
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    input_units: Standardization | None = None
    target_units: Standardization | None = None

    @property
    @abstractmethod
    def game(self) -> Game:
        """The game whose equilibria are looked for."""

    def game_of(self, method: str) -> Game:
        """Return the game that a method plays."""
        return self.game

    @property
    def default_methods(self) -> list[Any]:
        """The methods to train by where none is named."""
        return ["auto"]

    def drawn_start(self, seed: int) -> Array | None:
        """Return where runs begin unless the user says it; None for zero."""
        return None

    def start_of(self, method: str, start: Array | None) -> Array | None:
        """Return where a method begins, given a profile of ``game``."""
        return start

    @property
    @abstractmethod
    def summary(self) -> str:
        """What is trained, in a few words."""

    @abstractmethod
    def trained(self, theta: Profile) -> TrainedNetwork:
        """Return the network in the data's units: where they are standardized, layers of identities convert them."""

    @abstractmethod
    def outcome(self, theta: Profile) -> Any:
        """Return what a run's profile came to."""

    @abstractmethod
    def point(self, theta: Array) -> tuple[float, float]:
        """Return loss and residual of the variational inequality, for a learning curve."""

    @cached_property
    def labels(self) -> bool:
        """Whether the targets are classes: 0 or 1 in one column, or a 1 in the class's column."""
        zero_one = bool(np.isin(self.targets, (0.0, 1.0)).all())
        return zero_one and (self.targets.shape[1] == 1 or bool((self.targets.sum(axis=1) == 1).all()))

    def in_units(self, own: TrainedNetwork) -> TrainedNetwork:
        """Return a network of standard units in the data's."""
        layers = list(zip(own.weights, own.biases, own.activations, strict=True))
        if self.input_units is not None:
            layers.insert(0, (*self.input_units.forward_layer, activation("identity")))
        if self.target_units is not None:
            layers.append((*self.target_units.backward_layer, activation("identity")))
        weights, biases, activations = zip(*layers, strict=True)
        return TrainedNetwork(tuple(weights), tuple(biases), tuple(activations))

    def figures(self, network: TrainedNetwork) -> dict[str, float | None]:
        """Return the network's errors and accuracies on the training rows and on those kept back."""
        found: dict[str, float | None] = {}
        for name, rows in (("training", self.train), ("test", self.test)):
            answers = network.predict(self.inputs[rows]) if rows.size else None
            targets = self.targets[rows]
            found[f"{name}_error"] = None if answers is None else _error(answers - targets)
            found[f"{name}_accuracy"] = (
                None if answers is None or not self.labels else float(np.mean(_classes(answers) == _classes(targets)))
            )
        return found

    @property
    def certificate_notes(self) -> tuple[str, ...]:
        """What to know of a certificate: it is about the ring in the units that the layers are trained in."""
        if self.input_units is None and self.target_units is None:
            return ()
        return (
            "certificates are about the ring of the trained layers in standard units; the network that is saved "
            "answers in the data's units, and its ring is another",
        )

    def counted(self, layers: int, parameters: int) -> str:
        """Return the numbers of layers, parameters and samples in words."""
        tested = f", {len(self.test)} more to test on" if self.test.size else ""
        words = f"training of {layers} layer{'s' * (layers != 1)}, {parameters} parameters"
        return f"{words}, {len(self.train)} samples{tested}"


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedTraining(PreparedSamples):
    """A training problem, every layer of which has targets.

    Attributes
    ----------
    problem : TrainingProblem
        On the training rows, in standard units where asked.
    """

    problem: TrainingProblem

    @property
    def game(self) -> Game:
        """The layer-by-layer game."""
        return self.problem.game()

    @property
    def summary(self) -> str:
        """The numbers of layers, parameters and samples."""
        return self.counted(len(self.problem.players), self.game.size)

    def trained(self, theta: Profile) -> TrainedNetwork:
        """Return the network in the data's units."""
        return self.in_units(self.problem.trained(theta))

    def point(self, theta: Array) -> tuple[float, float]:
        """Return the sum of the layers' losses, and the residual."""
        return self.problem.game().minimisation().value(theta), self.problem.residual(theta)

    def outcome(self, theta: Profile, tolerance: float = REPORTED) -> TrainingOutcome:
        """Return what parameters came to, on the training rows and on those kept back."""
        problem = self.problem
        report = problem.report(theta, tolerance)
        return TrainingOutcome(
            loss=problem.game().potential(theta),
            residual=problem.residual(theta),
            fit_error=max(report.errors.values()),
            report=report,
            notes=problem.notes if problem.ring_set is None else (*problem.notes, *self.certificate_notes),
            certificates={} if problem.ring_set is None else problem.certificates(theta),
            **self.figures(self.trained(theta)),
        )


def _error(misses: Array) -> float:
    """Return the root mean square of the rows' norms, over their size, whose squares may be none of floats."""
    size = float(np.abs(misses).max())
    if size == 0 or not np.isfinite(size):
        return size
    return size * float(np.sqrt(np.mean(np.sum((misses / size) ** 2, axis=1))))


def _classes(answers: Array) -> NDArray[np.intp]:
    return (answers[:, 0] >= 0.5).astype(np.intp) if answers.shape[1] == 1 else np.argmax(answers, axis=1)


@dataclass(frozen=True, eq=False)
class TrainingOutcome:
    """What training came to.

    Attributes
    ----------
    loss : float
        The sum of the layers' losses, ridges included.
    residual : float
        Of the variational inequality.
    fit_error : float
        The largest |r(A_t theta) - y_t| of a layer, on its own inputs and targets.
    training_error, test_error : float or None
        The root mean square of |answer - target| of the whole network, in the data's units; None without rows.
    training_accuracy, test_accuracy : float or None
        The share of right classes; None where the targets are no classes.
    report : SolutionReport
        What the parameters are: a fit, a solution, or neither.
    notes : tuple of str
        What is odd about the data and harmless.
    certificates : mapping name -> Verdict
        Those that were asked for, of the ring that the trained layers make, in the units that they are trained in.
    """

    loss: float
    residual: float
    fit_error: float
    training_error: float | None
    test_error: float | None
    training_accuracy: float | None
    test_accuracy: float | None
    report: SolutionReport
    notes: tuple[str, ...] = field(default=())
    certificates: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``"fit"``, ``"solution"``, ``"no minimiser"`` or ``"neither"``."""
        return self.report.kind

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The report's verdicts by what they are about, and those of certificates by their names."""
        found = {"solves": self.report.solves, "fits": self.report.fits, "minimiser": self.report.minimiser}
        return {**found, **self.certificates}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, the kind and its verdicts as plain data."""
        own = ("loss", "residual", "fit_error", "training_error", "test_error", "training_accuracy", "test_accuracy")
        return {
            "kind": self.kind,
            **{name: getattr(self, name) for name in own},
            **{name: verdict.to_dict() for name, verdict in self.verdicts.items()},
            "notes": list(self.notes),
        }


def split_rows(
    samples: int, last: int | None, fraction: float | None, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows to train on and to test on, both in their order: the last ones, or a fraction that is drawn.

    Raises
    ------
    InputError
        If fewer than two rows are left to train on, or none is drawn to test on.
    """
    rows = np.arange(samples)
    if last is not None:
        count = last
    elif fraction is not None:
        count = round(fraction * samples)
    else:
        count = 0
    if samples - count < 2:
        kept = f"{count} of {samples} rows are kept back to test on" if count else f"there is {samples} row"
        raise InputError(f"{kept}; at least two are needed to train on")
    if fraction is not None and not count:
        raise InputError(f"{fraction:g} of {samples} rows is none to test on; take a larger fraction")
    if last is None and count:
        rows = rng.permutation(samples)
    return np.sort(rows[: samples - count]), np.sort(rows[samples - count :])
