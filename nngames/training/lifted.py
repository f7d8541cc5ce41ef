"""Lifted training: a chain whose hidden targets are found together with its weights, as a game of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.core.errors import InputError, NotApplicableError, ShapeError
from nngames.core.profiles import Array, Profile
from nngames.core.seeds import Seed, generator
from nngames.training.chain import ChainShape, forward_pass, initial_parameters
from nngames.training.chain_game import ChainGame
from nngames.training.chain_loss import ChainLoss
from nngames.training.constraints import project_spectral
from nngames.training.data import read_numbers
from nngames.training.lifted_game import LiftedGame
from nngames.training.lifted_report import EquilibriumReport, report_on_profile
from nngames.training.ring_sets import ring_set
from nngames.training.trained import TrainedNetwork


class LiftedTraining:
    """Find weights of a chain, and with them what its hidden layers are to answer.

    Parameters
    ----------
    inputs : array_like (T, n_0)
        One sample a row.
    targets : array_like (T, n_L)
    activations : sequence of L names, mappings with a name, or Activation
        Gradients of convex functions with Lipschitz constants.
    widths : sequence of L - 1 int
        The sizes of the hidden layers.
    weights : array_like (T,), optional
        omega, positive; scaled to sum 1.
    ridge : float or sequence of L floats
        ridge_l |W_l|^2/2 is added to the cost of layer l's weights.
    bounds : float or sequence of L floats or None, optional
        Bounds on the spectral norms |W_l|_2. Default: none.
    certificate : {"contraction", "averaged", "monotone"}, optional
        What is to hold of the ring that feeds its answers back, in place of bounds. Layers that choose their weights
        each on their own keep norms that suffice for it; ``chain`` keeps the whole set (``ring_sets``).
    margin : float, optional
        Of the certificate.
    shares : float or sequence of L floats
        c_l > 0, how much the loss of a layer counts. The larger c_l is against c_{l+1}, the closer the hidden answers
        stay to what the layer would answer by itself.

    Raises
    ------
    ShapeError, InputError, UnknownNameError, NotApplicableError
        As TrainingProblem.
    """

    def __init__(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        activations: Sequence[Any],
        widths: Sequence[int],
        *,
        weights: ArrayLike | None = None,
        ridge: Any = 0.0,
        bounds: Any = None,
        certificate: str | None = None,
        margin: float | None = None,
        shares: Any = 1.0,
    ) -> None:
        self.shape = ChainShape(inputs, targets, activations, widths, weights=weights, ridge=ridge)
        for activation in self.shape.activations:
            activation.require_penalty()
            if not np.isfinite(activation.lipschitz):
                raise NotApplicableError(
                    f"activation {activation.name!r} has no Lipschitz constant, so no step is safe"
                )
        given = list(shares) if isinstance(shares, list | tuple | np.ndarray) else [shares] * self.shape.depth
        if len(given) != self.shape.depth:
            raise ShapeError(f"shares has {len(given)} numbers; expected one, or {self.shape.depth}")
        for share in given:
            number = isinstance(share, int | float | np.number) and not isinstance(share, bool)
            if not number or not 0 < share < np.inf:
                raise InputError(f"shares must be positive numbers; got {share!r}")
        shape = self.shape
        limits = read_numbers("bounds", bounds, shape.depth, none=True)
        self.ring_set = ring_set(certificate, margin, limits, shape.sizes, shape.activations)
        self._game = LiftedGame(
            shape.inputs,
            shape.targets,
            shape.activations,
            shape.widths,
            shape.weights,
            shape.ridge,
            tuple(float(share) for share in given),
            tuple(limits if self.ring_set is None else self.ring_set.norm_bounds),
        )

    def game(self) -> LiftedGame:
        """Return the game of weights and hidden answers, for ``nng.solve(game, method="alternating", start=...)``.

        The start matters: where r_l(0) = 0, no player alone gains by leaving weights that are all 0.
        """
        return self._game

    def start(self, seed: Seed = None) -> Array:
        """Return a profile of random weights, scaled by the layers' widths, and the answers of their forward pass.

        Weights beyond their bounds are moved onto them.
        """
        matrices = initial_parameters(self.shape, generator(seed))
        for matrix, bound in zip(matrices, self._game.bounds, strict=True):
            if bound is not None:
                matrix[:, :-1] = project_spectral(matrix[:, :-1], bound)
        return self.lifted(matrices)

    def chain(self) -> ChainGame:
        """Return the game of the same network in which its layers pay its own loss, for ``method="backpropagation"``.

        Its profile holds W and b of each layer. Ridges and bounds are the same, and shares play no part.
        """
        if self.ring_set is not None:
            return ChainGame(ChainLoss(self.shape, [None] * self.shape.depth, self.ring_set))
        return ChainGame(ChainLoss(self.shape, self._game.bounds))

    def lifted(self, matrices: Sequence[Array]) -> Array:
        """Return the profile of the matrices (W, b) in which every hidden layer holds what the network answers."""
        _, answers = forward_pass(self.shape, matrices, self.shape.inputs)
        parts = []
        for layer, matrix in enumerate(matrices, start=1):
            parts.append(matrix.ravel())
            if layer < self.shape.depth:
                parts.append(answers[layer].ravel())
        return np.concatenate(parts)

    def report(self, profile: Profile, tolerance: float = 1e-6) -> EquilibriumReport:
        """Return whether the profile is an equilibrium within the tolerance, by the regrets of all players."""
        return report_on_profile(self._game, profile, tolerance)

    def trained(self, profile: Profile) -> TrainedNetwork:
        """Return the chain with the profile's weights; its hidden answers are those of its forward pass."""
        return TrainedNetwork.of_matrices(self.matrices(profile), self.shape.activations)

    def matrices(self, profile: Profile) -> list[Array]:
        """Return the matrices (W, b) of the profile."""
        x = self._game.space.array(profile)
        return [self._game.matrix(layer, x) for layer in range(1, self.shape.depth + 1)]
