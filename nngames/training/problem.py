"""The training problem: samples, layers and activations, and the weights and biases to find, posed layer by layer.

With targets y_l for every layer, layer l sees the inputs y_{l-1} (the samples' own for the first) and is to map them to
y_l. Exact fits solve it layer by layer; where there are none, the variational inequality

    sum_t omega_t <r_l(A_t theta_l) - y_{l,t}, A_t (theta - theta_l)> >= 0 for all theta

asks for the next best. Its solutions are the zeros of F_l(theta) = sum_t omega_t A_t'(r_l(A_t theta) - y_{l,t}), the
minimisers of the layer's Fenchel-Young loss, and exactly the fits if there is one [combettes2022].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations import Activation
from nngames.core.errors import InputError, ShapeError
from nngames.core.profiles import Array, Player, Profile
from nngames.core.verdicts import Verdict
from nngames.networks import Network
from nngames.training.constraints import WeightSet
from nngames.training.data import (
    check_reach,
    constant_columns,
    read_activation,
    read_csv,
    read_npz,
    read_numbers,
    sample_rows,
    sample_weights,
)
from nngames.training.layer_features import Convolution, LayerFeatures
from nngames.training.layer_game import LayerGame
from nngames.training.layer_problem import LayerProblem
from nngames.training.parameters import stacked
from nngames.training.ring_sets import ring_set
from nngames.training.solutions import SolutionReport, report_on
from nngames.training.trained import TrainedNetwork
from nngames.training.verification import VerificationReport, preactivation_game, verify


class TrainingProblem:
    """Find weights and biases with which a chain of layers maps given inputs to given targets.

    Parameters
    ----------
    inputs : array_like (T, n_0)
        One sample a row; a vector is a column.
    targets : array_like (T, n_L)
        What the last layer is to answer.
    activations : sequence of L names, {"name": ..., parameters} or Activation
        Of the layers; each the gradient of a convex function.
    hidden : sequence of L - 1 arrays (T, n_l), optional
        What the hidden layers are to answer.
    weights : array_like (T,), optional
        omega, positive; scaled to sum 1. Default: all samples alike.
    ridge : float or sequence of L floats
        rho_l >= 0: the layer's loss has rho_l |W_l|^2 / 2 added. Default 0.
    bounds : float or sequence of L floats or None, optional
        Bounds on the spectral norms |W_l|_2. Default: none.
    masks : mapping player -> array (n_l, n_{l-1}) of zeros and ones, optional
        The weights there are; others stay 0.
    convolutions : mapping player -> Convolution, optional
        Layers whose weights are those of a convolution.
    certificate : {"contraction", "averaged", "monotone"}, optional
        What is to hold of the ring that the trained layers make when they are fed their own answers: every layer's
        weight is held in a convex set in which it does (``ring_sets``). In place of bounds.
    margin : float, optional
        Of the certificate; default: that of ``design_network``.

    Attributes
    ----------
    players : tuple
        The layers, 1, ..., L.
    notes : tuple of str
        What is odd about the data and harmless, such as constant columns.

    Raises
    ------
    ShapeError, InputError, UnknownNameError, OptionError
        If rows do not match, an entry is not finite, or a target lies outside the closure of its activation's range:
        the message names the row.
    NotApplicableError
        If an activation is the gradient of no convex function.
    """

    def __init__(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        activations: Sequence[Any] | str,
        *,
        hidden: Sequence[ArrayLike] = (),
        weights: ArrayLike | None = None,
        ridge: Any = 0.0,
        bounds: Any = None,
        masks: Mapping[Any, ArrayLike] | None = None,
        convolutions: Mapping[Any, Convolution] | None = None,
        certificate: str | None = None,
        margin: float | None = None,
    ) -> None:
        chosen = [activations] if isinstance(activations, str | Mapping | Activation) else activations
        if not isinstance(chosen, list | tuple):
            raise InputError(f"activations is a list with one for each layer; got {chosen!r}")
        if not chosen:
            raise InputError("activations is empty: at least one layer is needed")
        if not isinstance(hidden, list | tuple | np.ndarray):
            raise InputError(f"hidden is a list with the targets of each hidden layer; got {hidden!r}")
        if len(hidden) != len(chosen) - 1:
            raise ShapeError(
                f"{len(chosen)} layers need targets for {len(chosen) - 1} hidden ones; hidden has {len(hidden)}. Where "
                "they are to be found too, use nng.LiftedTraining"
            )
        self.players: tuple[Player, ...] = tuple(range(1, len(chosen) + 1))
        self.inputs = sample_rows(inputs, "inputs")
        samples = len(self.inputs)
        self.activations = {player: read_activation(name) for player, name in zip(self.players, chosen, strict=True)}
        given = [sample_rows(h, f"hidden[{i}]", samples) for i, h in enumerate(hidden)]
        given.append(sample_rows(targets, "targets", samples))
        names = [f"hidden[{i}]" for i in range(len(hidden))] + ["targets"]
        for player in self.players:
            self.activations[player].require_penalty()
        self.targets = {
            player: check_reach(y, self.activations[player], name)
            for player, y, name in zip(self.players, given, names, strict=True)
        }
        self.weights = sample_weights(weights, samples)
        count = len(self.players)
        self.ridge = dict(zip(self.players, read_numbers("ridge", ridge, count, none=False), strict=True))
        self.bounds = dict(zip(self.players, read_numbers("bounds", bounds, count, none=True), strict=True))
        self.masks = self._named("masks", masks)
        self.convolutions = self._named("convolutions", convolutions)
        for player, shape in self.convolutions.items():
            if not isinstance(shape, Convolution):
                raise InputError(f"convolutions[{player}] must be a Convolution; got {shape!r}")
        sizes = (self.inputs.shape[1], *(y.shape[1] for y in self.targets.values()))
        self.ring_set = ring_set(certificate, margin, self.bounds.values(), sizes, list(self.activations.values()))
        self._allowed: dict[Player, float | WeightSet | None] = dict(self.bounds)
        if self.ring_set is not None:
            self._allowed = dict(zip(self.players, self.ring_set.own_sets, strict=True))
        self._layers: dict[Player, LayerProblem] = {}
        constant = constant_columns(self.inputs)
        self.notes: tuple[str, ...] = ()
        if constant:
            shown = ", ".join(map(str, constant[:8])) + (", ..." if len(constant) > 8 else "")
            self.notes = (
                f"columns {shown} of the inputs are constant: the bias does the same, so weights are not unique",
            )

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        inputs: Sequence[str | int],
        targets: Sequence[str | int],
        activations: Any,
        **options: Any,
    ) -> TrainingProblem:
        """Return the problem of columns of a CSV file with a line of names; ``options`` are those of the class."""
        return cls(read_csv(path, inputs), read_csv(path, targets), activations, **options)

    @classmethod
    def from_npz(cls, path: str | Path, activations: Any, **options: Any) -> TrainingProblem:
        """Return the problem of the arrays ``inputs``, ``targets`` and ``hidden_1``, ... of an npz file.

        Raises
        ------
        InputError
            If one of the arrays is missing, or there is another.
        """
        arrays = read_npz(path)
        for name in ("inputs", "targets"):
            if name not in arrays:
                raise InputError(f"{path}: there is no array {name!r}; there are {', '.join(sorted(arrays)) or 'none'}")
        hidden: list[Array] = []
        while f"hidden_{len(hidden) + 1}" in arrays:
            hidden.append(arrays[f"hidden_{len(hidden) + 1}"])
        known = {"inputs", "targets", *(f"hidden_{i + 1}" for i in range(len(hidden)))}
        for name in arrays:
            if name not in known:
                raise InputError(f"{path}: unknown array {name!r}; valid: inputs, targets, hidden_1, hidden_2, ...")
        return cls(arrays["inputs"], arrays["targets"], activations, hidden=hidden, **options)

    # The layers' problems

    def layer(self, player: Player) -> LayerProblem:
        """Return a layer's own problem, made at the first call: it sees the targets of the layer before it.

        Raises
        ------
        ShapeError, InputError, NotApplicableError
            If its mask, convolution or bound does not fit.
        """
        if player not in self._layers:
            place, targets = self.players.index(player), self.targets[player]
            seen = self.inputs if place == 0 else self.targets[self.players[place - 1]]
            features = LayerFeatures(seen, targets.shape[1], self.masks.get(player), self.convolutions.get(player))
            self._layers[player] = LayerProblem(
                features, targets, self.activations[player], self.weights, self.ridge[player], self._allowed[player]
            )
        return self._layers[player]

    @cached_property
    def layers(self) -> dict[Player, LayerProblem]:
        """Each layer's own problem."""
        return {player: self.layer(player) for player in self.players}

    @cached_property
    def _game(self) -> LayerGame:
        return LayerGame(self.layers)

    def game(self) -> LayerGame:
        """Return the layer-by-layer game, in which each layer pays its own Fenchel-Young loss."""
        return self._game

    def per_sample_game(self) -> LayerGame:
        """Return the game in which each sample has parameters of its own, as the source writes its algorithm.

        The players are (layer, sample), each with one sample of weight 1: ``gradient_descent`` with the rule
        ``printed`` makes the steps of the source. Its equilibria fit each sample by itself and say nothing about
        common parameters.
        """
        samples = range(len(self.inputs))
        problems: dict[Player, LayerProblem] = {
            (player, t): layer.alone(t) for player, layer in self.layers.items() for t in samples
        }
        return LayerGame(problems)

    # The variational inequality

    def operator(self, theta: Profile) -> dict[Player, Array]:
        """Return F_l(theta_l) of each layer (channels, features), the bias's column last."""
        matrices = self._game.matrices(self._game.space.array(theta))
        return {player: layer.gradient(matrices[player]) for player, layer in self.layers.items()}

    def residual(self, theta: Profile) -> float:
        """Return |theta - P(theta - F(theta))|, which is 0 exactly at solutions of the variational inequality."""
        matrices = self._game.matrices(self._game.space.array(theta))
        total = 0.0
        for player, layer in self.layers.items():
            here = matrices[player]
            total += float(np.sum(layer.natural_step(here, layer.gradient(here))[0] ** 2))
        return float(np.sqrt(total))

    def report(self, theta: Profile, tolerance: float = 1e-8) -> SolutionReport:
        """Return what theta is: an exact fit, a solution of the inequality without one, or neither."""
        return report_on(self.layers, self._game.matrices(self._game.space.array(theta)), tolerance)

    # The verification theorem

    def preactivation_game(self, theta: Profile, selection: str = "nearest") -> LayerGame:
        """Return the source's game (7) of least squares in the pre-activations, costs halved and less a constant.

        ``selection`` says which element of a preimage is taken where there are several: the ``"nearest"`` to those of
        theta, or the ``"least"`` in absolute value.
        """
        return preactivation_game(self._game, theta, selection)

    def verify(self, theta: Profile, tolerance: float = 1e-8) -> VerificationReport:
        """Return whether theta is an equilibrium of the source's game (7), and each sample's inclusion holds."""
        return verify(self._game, theta, tolerance)

    # The network

    def certificates(self, theta: Profile) -> dict[str, Verdict]:
        """Return the package's own verdicts on the certificate, of the ring of these parameters.

        Raises
        ------
        InputError
            If the problem was posed without a certificate.
        """
        if self.ring_set is None:
            raise InputError("the problem was posed without a certificate: TrainingProblem(..., certificate=...)")
        trained = self.trained(theta)
        return self.ring_set.verdicts(trained.weights, trained.biases, trained.activations)

    def trained(self, theta: Profile) -> TrainedNetwork:
        """Return the trained chain."""
        weights, biases = zip(*self.weights_and_biases(theta).values(), strict=True)
        return TrainedNetwork(tuple(weights), tuple(biases), tuple(self.activations.values()))

    def network(self, theta: Profile, input: ArrayLike | None = None) -> Network:
        """Return the trained chain on one input, by default the first sample's."""
        return self.trained(theta).chain(self.inputs[0] if input is None else input)

    def weights_and_biases(self, theta: Profile) -> dict[Player, tuple[Array, Array]]:
        """Return each layer's dense weight (n_l, n_{l-1}) and bias (n_l,)."""
        matrices = self._game.matrices(self._game.space.array(theta))
        return {player: layer.features.weight_and_bias(matrices[player]) for player, layer in self.layers.items()}

    def parameters(self, pairs: Mapping[Any, tuple[ArrayLike, ArrayLike]]) -> Array:
        """Return the profile of dense weights and biases by layer; not for convolutions.

        Raises
        ------
        InputError, ShapeError
            If a layer is missing or is a convolution, or a shape does not fit.
        """
        return stacked(self.layers, pairs)

    def predict(self, theta: Profile, inputs: ArrayLike | None = None) -> Array:
        """Return the network's answers (T', n_L) to inputs (T', n_0), by default the samples'."""
        return self.trained(theta).predict(self.inputs if inputs is None else inputs)

    def _named(self, what: str, given: Mapping[Any, Any] | None) -> dict[Player, Any]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise InputError(f"{what} must be a mapping of layers; got {type(given).__name__}")
        for player in given:
            if player not in self.players:
                raise InputError(f"{what} has the layer {player!r}; the layers are 1, ..., {len(self.players)}")
        return dict(given)
