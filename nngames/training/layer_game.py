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
from nngames.games import FixedPoint, Minimisation
from nngames.games.game import scalar
from nngames.results.result import Status
from nngames.training.duality import regret_bound
from nngames.training.explain import explain_layers
from nngames.training.layer_problem import LayerProblem
from nngames.training.training_game import SCALE, TrainingGame


class LayerGame(TrainingGame):
    """The game whose players are layers, with J_l = sum_t omega_t [g_l(A_t theta_l) - <A_t theta_l, y_t>].

    A player's action is its matrix (W, b) row by row, the bias at each row's end. The residual is kappa u (R(theta) -
    theta), R(theta) = P(theta - F(theta) / (kappa D_0)) a projected gradient step with D_0 = S u^2 + ridge of each
    parameter (biases have no ridge), u the root mean square of its feature: what the step changes in the
    pre-activations. Without bounds it is u F / D_0, whatever kappa. Fixed points of R are the equilibria, the solutions
    of the variational inequality. Neither a large ridge nor features of very different size make the residual small
    where a parameter is far from where it should be.

    Parameters
    ----------
    layers : mapping player -> LayerProblem
    """

    cost_name = "layer loss"
    called = "layer-by-layer game"
    solved_by = "; newton_descent, accelerated_gradient and auto train layers whose targets are given"
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

    @np.errstate(over="ignore", invalid="ignore")
    def residuals(self, profile: Profile) -> Array:
        """Return kappa u (R(theta) - theta), in units of the pre-activations."""
        given = self.space.array(profile, batch=True, finite=False)
        view = self._minimisation
        found = [view.residuals(x, view.gradient(x, np.empty_like(x))) for x in np.atleast_2d(given)]
        return np.array(found).reshape(given.shape)

    def regret_bounds(self, profile: Profile) -> dict[Player, tuple[Any, Any]]:
        """Return, in place of each layer's regret, an upper bound on it by duality, with its rounding error.

        The bound is 0 at a minimiser and inf where duality gives none. With the rounding error it is proved for
        deviations that change no parameter by more than its size and what makes its feature 1; those k times as far
        gain at most k times as much.
        """
        x = self.space.array(profile)
        return {player: regret_bound(self.layers[player], theta) for player, theta in self.matrices(x).items()}

    @cached_property
    def map(self) -> GradientMap:
        """The projected gradient step, on parameters in their units."""
        return GradientMap(self.minimisation())

    @cached_property
    def _minimisation(self) -> LayersMinimisation:
        return LayersMinimisation(self.layers, self.space)

    def minimisation(self) -> LayersMinimisation:
        """Return the sum of the layers' problems."""
        return self._minimisation

    def advice(self, method: str, ended: Status, more: str) -> str:
        """Return a faster scheme, or what keeps the losses from having minimisers."""
        faster = "accelerated_gradient" if self._minimisation.constrained else "newton_descent"
        tries = [] if method == faster else [f"--method {faster}"]
        if ended in (Status.MAX_ITERATIONS, Status.MAX_SECONDS):
            tries.append(more)
        elif ended is Status.STALLED:
            tries.append("a larger --tolerance")
        advice = f"try {' or '.join([*tries, SCALE])}"
        layers = self.layers.values()
        if any(not layer.ridge and layer.allowed is None and not layer.activation.slope_range[0] for layer in layers):
            return f"{advice}; without a ridge separable classes have no minimiser"
        return advice

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
        """Whether a layer's weight is held in a set."""
        return any(layer.allowed is not None for layer in self._layers.values())

    @cached_property
    def curvature(self) -> Array:
        """L_l of each layer."""
        return self._each([layer.curvature for layer in self._layers.values()])

    @cached_property
    def printed_curvature(self) -> Array:
        """2 sum_t omega_t |A_t|^2 of each layer."""
        return self._each([layer.printed_curvature for layer in self._layers.values()])

    @cached_property
    def dominance(self) -> Array:
        """kappa of each layer."""
        return self._each([layer.dominance for layer in self._layers.values()])

    @cached_property
    def units(self) -> Array:
        """u of each parameter."""
        return self._of_features([layer.units for layer in self._layers.values()])

    @cached_property
    def own_curvature(self) -> Array:
        """D_0 of each parameter."""
        return self._of_features([layer.own_curvature for layer in self._layers.values()])

    @cached_property
    def metric(self) -> Array:
        """D of each parameter."""
        return self._of_features([layer.metric for layer in self._layers.values()])

    def _each(self, values: list[float]) -> Array:
        return np.repeat(values, self._space.sizes)

    def _of_features(self, values: list[Array]) -> Array:
        layers = self._layers.values()
        return np.concatenate(
            [np.tile(value, layer.features.channels) for value, layer in zip(values, layers, strict=True)]
        )

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


class GradientMap(FixedPoint):
    """theta -> P(theta - F(theta) / (kappa D_0)) on z = kappa u theta, whose displacement is the game's residual.

    Schemes that extrapolate leave the set of the allowed weights: there the map is that at the nearest theta of it.
    """

    name = "joint"

    def __init__(self, problem: Minimisation) -> None:
        self._problem, self.size = problem, problem.size
        self._scale = problem.dominance * problem.units

    def restrict(self, profile: Array) -> Array:
        """Return z."""
        return profile * self._scale

    def profile(self, x: Array) -> Array:
        """Return theta, the nearest within the bounds: the game's residual there is at most |map(x) - x|."""
        return self._problem.project(x / self._scale)

    def evaluate(self, x: Array, out: Array) -> Array:
        """Write the map's value into ``out``."""
        theta = self.profile(x)
        step = self._problem.residuals(theta, self._problem.gradient(theta, np.empty_like(theta)))
        if self._problem.constrained:
            x = np.where(theta == x / self._scale, x, self._scale * theta)
        return np.add(x, step, out=out)

    def linearise(self, x: Array) -> Callable[[Array], Array]:
        """Return d -> d - u/D_0 H (d / (kappa u)).

        Raises
        ------
        NotApplicableError
            If there are bounds.
        """
        if self._problem.constrained:
            raise NotApplicableError("the projected gradient step is not linearised where weights are bounded")
        product, steps = self._problem.hessian(self.profile(x)), self._problem.units / self._problem.own_curvature

        def linear(d: Array) -> Array:
            if d.ndim == 1:
                return d - steps * product(d / self._scale)
            return np.array([row - steps * product(row / self._scale) for row in d])

        return linear
