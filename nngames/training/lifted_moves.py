"""The moves of the lifted game's players: a few steps down each player's own convex cost, none of which raises it.

Weights. Accelerated steps Theta - H^-1 F in the metric H = S_l sum_t omega_t z z' + ridge, z = (z_{l-1,t}, 1), which is
above the Hessian; where |W_l| is bounded, projected steps with a diagonal above it. The first step is a
plain one and lowers the cost by at least c_l <F, H^-1 F>/2. A later one from Y to Theta+ lowers that of the last Theta
by at least -<H (Y - Theta+), Theta+ - Theta + (Y - Theta+)/2>; where that is negative it is not taken, and the momentum
starts anew.

Answers. With p = r_l(u), u as in the game and d = p - z, each sample's z goes to z + s d, s = 1/(1 + k S_l) with
k = (c_{l+1}/c_l) S_{l+1} |W_{l+1} d|^2/|d|^2. Write m for the sum of g_l*(z) - <z, v> and the next loss made linear at
z, over c_l: its minimiser is p, and m(z) - m(p) = D = g_l*(z) + g_l(u) - <z, u>. As g_l* is convex with modulus 1/S_l
and the next loss bends by at most k |d|^2 along d, the cost over c_l falls by at least

    s D + [s (1 - s)/S_l - s^2 k] |d|^2/2 = s D:

the share s of what the sample could gain. Only r_l is evaluated, and z stays in the domain, as that is convex.

Convergence. Let the hidden r_l be bounded, and let W_2, ..., W_L have ridges or bounds. E >= 0 falls from round to
round, so the W_l stay bounded (l >= 2), and so do the features of every layer, hence H. The falls have a finite sum, so
F -> 0, or the projected step does, at each round's start; and D -> 0 at each move of answers. Their costs are strongly
convex: z before and after the move are within 2 (2 S_l D)^(1/2) of each other, and |r_l(u) - z| <= (2 S_l D)^(1/2). u
depends on the answers in the round with bounded Lipschitz constants. So the residual of the game tends to 0, and every
limit point is an equilibrium. Without these conditions the same holds where the iterates stay bounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Alternation
from nngames.training.layer_problem import LayerProblem

if TYPE_CHECKING:
    from nngames.training.lifted_game import LiftedGame

#: Steps of a player in its turn.
STEPS = 5


class LiftedMoves(Alternation):
    """The players' moves in a round: all weights, then the hidden answers from the first layer to the last."""

    #: The steps of the weights, and of the answers.
    passes = 2 * STEPS

    def __init__(self, game: LiftedGame) -> None:
        self._game = game
        weights = (("weights", layer) for layer in range(1, game.depth + 1))
        self._order = [*weights, *(("activations", layer) for layer in range(1, game.depth))]
        self.turns = len(self._order)
        self._first: Metric | None = None

    @property
    def obstacle(self) -> str | None:
        """Why the iterates might not stay bounded; None where they are proved to settle."""
        game = self._game
        for layer in range(1, game.depth):
            if not game.activations[layer - 1].bounded:
                return f"the answers of layer {layer} are not bounded"
            if game.ridge[layer] == 0 and game.bounds[layer] is None:
                return f"the weights of layer {layer + 1} have neither a ridge nor a bound"
        return None

    def value(self, x: Array) -> float:
        """Return E."""
        return self._game.potential(x)

    def move(self, x: Array, turn: int) -> Array:
        """Return the profile after the mover's steps."""
        kind, layer = self._order[turn]
        following = x.copy()
        where = self._game.space.slices[(kind, layer)]
        if kind == "weights":
            problem = self._game.layer_problem(layer, x)
            following[where] = better_weights(
                problem, self._game.matrix(layer, x), self._metric(layer, problem)
            ).ravel()
        else:
            following[where] = self._better_answers(layer, x).ravel()
        return following

    def _metric(self, layer: int, problem: LayerProblem) -> Metric:
        """Return H; that of the first layer, whose features are the inputs, is made once."""
        if layer > 1:
            return Metric(problem)
        if self._first is None:
            self._first = Metric(problem)
        return self._first

    def _better_answers(self, layer: int, x: Array) -> Array:
        game = self._game
        own, after = game.activations[layer - 1], game.activations[layer]
        ratio = game.shares[layer] / game.shares[layer - 1]
        v, target = game.preactivations(layer, x), game.answers_held(layer + 1, x)
        theta = game.matrix(layer + 1, x)
        weight = theta[:, :-1]
        # Answers off the domain, as a start may have, cost infinitely much.
        z = own.domain.project(game.answers_held(layer, x))
        ahead = z @ weight.T + theta[:, -1]
        for _ in range(STEPS):
            d = own(v - ratio * (after(ahead) - target) @ weight) - z
            moved = d @ weight.T
            square = np.sum(d * d, axis=1)
            bend = np.divide(np.sum(moved * moved, axis=1), square, out=np.zeros_like(square), where=square > 0)
            s = (1 / (1 + own.lipschitz * after.lipschitz * ratio * bend))[:, None]
            z, ahead = z + s * d, ahead + s * moved
        return z


class Metric:
    """H, in which the steps of a layer's weights are made: it depends on the layer's features, not on its targets."""

    def __init__(self, problem: LayerProblem) -> None:
        self._diagonal = problem.steady_metric if problem.bound is not None else None
        if self._diagonal is not None:
            return
        from scipy.linalg import cho_factor

        bend = problem.activation.lipschitz * problem.features.gram(problem.weights)
        ridge = np.full(len(bend), problem.ridge)
        ridge[-1] = 0.0
        # Features that depend on each other, and rounding, leave H singular.
        bend[np.diag_indices_from(bend)] += ridge + 1e-10 * max(float(np.trace(bend)), 1e-290)
        self._bend, self._factor = bend, cho_factor(bend)

    def step(self, problem: LayerProblem, theta: Array) -> Array:
        """Return theta - H^-1 F, projected where weights are bounded."""
        if self._diagonal is not None:
            return problem.project(theta - problem.gradient(theta) / self._diagonal)
        from scipy.linalg import cho_solve

        return np.asarray(theta - cho_solve(self._factor, problem.gradient(theta).T).T)

    def __call__(self, d: Array) -> Array:
        """Return H d."""
        return d @ self._bend if self._diagonal is None else self._diagonal * d


def better_weights(problem: LayerProblem, theta: Array, metric: Metric | None = None) -> Array:
    """Return parameters (n, m + 1) whose loss is lower, unless theta solves the layer's problem, after a few steps."""
    metric = metric or Metric(problem)

    def step(at: Array) -> Array:
        return metric.step(problem, at)

    here = ahead = step(theta)
    t = 1.0
    for _ in range(STEPS - 1):
        following = step(ahead)
        moved, pull = following - here, metric(ahead - following)
        if float(np.sum(pull * (moved + 0.5 * (ahead - following)))) > 0:
            t, ahead = 1.0, here
            continue
        longer = (1 + math.sqrt(1 + 4 * t * t)) / 2
        here, ahead, t = following, following + (t - 1) / longer * moved, longer
    return here
