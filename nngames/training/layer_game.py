"""The layer-by-layer game: each layer chooses its weights and bias, and pays its own Fenchel-Young loss.

With the inputs and targets of every layer given, no layer's cost depends on another layer's parameters: the game
separates, the sum of the costs is an exact potential, and its equilibria are the minimisers of all layers' problems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import NotApplicableError
from nngames.core.profiles import Array, Player, Profile, ProfileSpace
from nngames.games import Minimisation, ProfileMap
from nngames.games.game import scalar
from nngames.training.duality import regret_bound
from nngames.training.explain import explain_layers
from nngames.training.layer_problem import LayerProblem
from nngames.training.training_game import TrainingGame


class LayerGame(TrainingGame):
    """The game whose players are layers, with J_l = sum_t omega_t [g_l(A_t theta_l) - <A_t theta_l, y_t>].

    A player's action is its matrix (W, b) row by row, the bias at each row's end. R, the map of the residual, is a
    projected gradient step of each layer, R(theta) = P(theta - F(theta)/L): its fixed points are the equilibria, the
    solutions of the variational inequality.

    Parameters
    ----------
    layers : mapping player -> LayerProblem
    """

    cost_name = "layer loss"
    called = "layer-by-layer game"
    instead = "it has no best-response map: solve the game, nng.solve(game), whose layers do not depend on each other"

    def __init__(self, layers: Mapping[Player, LayerProblem]) -> None:
        self.layers = dict(layers)
        self.space = ProfileSpace(tuple(self.layers), tuple(layer.size for layer in self.layers.values()))

    @property
    def multiplications(self) -> int:
        """Scalar multiplications of the largest single product of a pass."""
        return max(layer.features.rows.size * layer.features.channels for layer in self.layers.values())

    def matrices(self, x: Array) -> dict[Player, Array]:
        """Return each layer's matrix (W, b) (channels, features), a view of the profile (N,)."""
        return {
            player: x[where].reshape(self.layers[player].features.shape) for player, where in self.space.slices.items()
        }

    @np.errstate(over="ignore", invalid="ignore")
    def cost(self, player: Player, profile: Profile) -> Any:
        """Return the layer's loss."""
        where = self.space.slice(player)
        layer, actions = self.layers[player], self.space.array(profile, batch=True)[..., where]
        losses = [layer.value(theta.reshape(layer.features.shape)) for theta in np.atleast_2d(actions)]
        return scalar(np.array(losses).reshape(actions.shape[:-1]))

    @property
    def potential_reason(self) -> str | None:
        """No layer's cost depends on another layer's parameters."""
        return "no player's cost depends on what the others choose, so the sum of all costs is an exact potential"

    def potential(self, profile: Profile) -> float:
        """Return the sum of the losses."""
        return self._minimisation.value(self.space.array(profile))

    def regret_bounds(self, profile: Profile) -> dict[Player, tuple[Any, Any]]:
        """Return, in place of each layer's regret, an upper bound on it by duality, with its rounding error.

        The bound is 0 at a minimiser and inf where duality gives none.
        """
        x = self.space.array(profile)
        return {player: regret_bound(self.layers[player], theta) for player, theta in self.matrices(x).items()}

    @cached_property
    def map(self) -> GradientMap:
        """The projected gradient step."""
        return GradientMap(self.minimisation())

    @cached_property
    def _minimisation(self) -> LayersMinimisation:
        return LayersMinimisation(self.layers, self.space)

    def minimisation(self) -> LayersMinimisation:
        """Return the sum of the layers' problems."""
        return self._minimisation

    def explain(self, format: str = "text") -> str:
        """Return the players, action spaces and costs, as ``"text"`` or ``"latex"``."""
        return explain_layers(self.layers, format)


class LayersMinimisation(Minimisation):
    """The sum of the layers' losses as one function of all parameters."""

    def __init__(self, layers: Mapping[Player, LayerProblem], space: ProfileSpace) -> None:
        self._layers, self._space = dict(layers), space
        self.size = space.size
        counts = {layer.features.samples for layer in self._layers.values()}
        self.samples = max(counts)
        self._alike = len(counts) == 1

    def _blocks(self, x: Array) -> list[tuple[LayerProblem, slice, Array]]:
        return [
            (layer, where, x[where].reshape(layer.features.shape))
            for layer, where in zip(self._layers.values(), self._space.slices.values(), strict=True)
        ]

    def value(self, x: Array) -> float:
        """Return the sum of the losses."""
        return sum(layer.value(theta) for layer, _, theta in self._blocks(x))

    def gradient(self, x: Array, out: Array) -> Array:
        """Write all layers' F into ``out``."""
        for layer, where, theta in self._blocks(x):
            out[where] = layer.gradient(theta).ravel()
        return out

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """Return the sum of the losses and all layers' F."""
        value, gradient = 0.0, np.empty_like(x)
        for layer, where, theta in self._blocks(x):
            loss, slope = layer.value_and_gradient(theta)
            value += loss
            gradient[where] = slope.ravel()
        return value, gradient

    def project(self, x: Array) -> Array:
        """Return the nearest parameters within the bounds."""
        if not self.constrained:
            return x
        return np.concatenate([layer.project(theta).ravel() for layer, _, theta in self._blocks(x)])

    @cached_property
    def constrained(self) -> bool:
        """Whether a layer's weight is bounded."""
        return any(layer.bound is not None for layer in self._layers.values())

    @cached_property
    def curvature(self) -> Array:
        """L_l of each layer."""
        return self._each([layer.curvature for layer in self._layers.values()])

    @cached_property
    def printed_curvature(self) -> Array:
        """2 sum_t omega_t |A_t|^2 of each layer."""
        return self._each([layer.printed_curvature for layer in self._layers.values()])

    def _each(self, values: list[float]) -> Array:
        return np.repeat(values, self._space.sizes)

    def hessian(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> H d, layer by layer."""
        products = [(layer.hessian(theta), where, theta.shape) for layer, where, theta in self._blocks(x)]

        def product(d: Array) -> Array:
            return np.concatenate([of(d[where].reshape(shape)).ravel() for of, where, shape in products])

        return product

    def precondition(self, d: Array) -> Array:
        """Return each layer's d times the inverse of its Gram matrix."""
        return np.concatenate([layer.precondition(block).ravel() for layer, _, block in self._blocks(d)])

    def part(self, samples: NDArray[np.intp]) -> LayersMinimisation:
        """Return the problem of the sum over some samples.

        Raises
        ------
        NotApplicableError
            If the layers have different numbers of samples.
        """
        if not self._alike:
            raise NotApplicableError(
                "the layers have different numbers of samples, so the game has no parts by samples"
            )
        parts = {player: layer.part(samples) for player, layer in self._layers.items()}
        return LayersMinimisation(parts, self._space)


class GradientMap(ProfileMap):
    """R(theta) = P(theta - D^-1 phi'(theta)): a projected gradient step with each layer's safe step."""

    def __init__(self, problem: Minimisation) -> None:
        self._problem, self.size = problem, problem.size

    def evaluate(self, x: Array, out: Array) -> Array:
        """Write R(x) into ``out``."""
        gradient = self._problem.gradient(x, np.empty_like(x))
        gradient /= self._problem.curvature
        np.subtract(x, gradient, out=out)
        if self._problem.constrained:
            out[:] = self._problem.project(out)
        return out

    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> d - D^-1 H d.

        Raises
        ------
        NotApplicableError
            If there are bounds.
        """
        if self._problem.constrained:
            raise NotApplicableError("the projected gradient step is not linearised where weights are bounded")
        product, curvature = self._problem.hessian(x), self._problem.curvature

        def linear(d: Array) -> Array:
            if d.ndim == 1:
                return d - product(d) / curvature
            return np.array([row - product(row) / curvature for row in d])

        return linear
