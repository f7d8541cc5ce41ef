"""Descent on the potential of an exact or weighted potential game, to equilibria that are its stationary points."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.least_eigenvalue import least_eigenvalue
from nngames.core.errors import DomainError, NotApplicableError, check_choice
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import CoupledGame, Game
from nngames.networks.assembly import activation_runs, assembled_weight
from nngames.solvers.inclusion import residual_factor
from nngames.solvers.potential_program import PotentialProgram, into_domains
from nngames.solvers.solver import Guarantee, Problem, Rate, Solver, State, no_guarantee, norm, solver_named

ENGINES = ("auto", "cvxpy", "lbfgs")
#: ``auto`` writes a convex program up to this size; beyond it descent is faster.
SMALL = 200
#: Pairs that the L-BFGS direction remembers.
MEMORY = 10
#: The first step of the proximal gradient method; it is halved where the potential bends more than 1/step.
FIRST_STEP = 1.0
_UNIT = 2.0**-53


@solver_named("potential_descent")
@dataclass(frozen=True)
class PotentialDescent(Solver):
    """Proximal gradient descent on the potential P = sum_l c_l F_l(x_l) + psi(x), with L-BFGS trials.

    psi is quadratic with the gradient C (M x + q) along the players' domains, F convex, as in the inclusion view, and C
    holds the weights of a proved exact or weighted potential. From x_k with p = prox of tau F at x_k - tau (M x_k + q):

    - tau, 1 at first, is halved until <M d, d>_C <= |d|_C^2 / tau for d = p - x_k, |d|_C^2 = sum_l c_l |d_l|^2;
    - the trial is w, the prox step from x_k + s, s the L-BFGS direction for x - p(x) = 0 in the metric C;
    - x_{k+1} = w if P(w) <= P(p), else p. The difference is computed as sum c gap(w, v_p) + <w - p, ...>, the gap of
      ``Activation.gap``, without the cancellation that would hide it near a minimum.

    Engine ``cvxpy`` takes the minimiser that Clarabel finds for w in the first step. It is an interior point's, good to
    about 1e-8; the steps that follow polish it until the game's own residual is small enough.

    Parameters
    ----------
    engine : {"auto", "cvxpy", "lbfgs"}
        ``auto``: cvxpy for up to 200 actions where the potential is a convex program (sym(C M) >= 0, the penalties with
        expressions), else lbfgs.

    Guarantee
    ---------
    With e(x) = P(x) - inf P: P(p) <= P(x) - |p - x|_C^2 / (2 tau), and no trial raises P, so P(x_k) never increases.
    tau >= t = min(1, 1/(2 L)) where <M d, d>_C <= L |d|_C^2.

    *P strongly convex*, <M d, d>_C >= m |d|_C^2, m > 0: as p minimises a model that lies above P at p, comparing it
    with x + theta (x* - x) gives P(p) - P* <= (1 - theta) e(x) + (theta^2/tau - theta m) |x - x*|_C^2 / 2. theta =
    tau m: e(x_{k+1}) <= (1 - t m) e(x_k). theta = 1 bounds e(x_1). With e(x) >= m |x - x*|_C^2 / 2:
    |x_k - x*|_C <= (1 - t m)^(k/2) / sqrt(t m) |x_0 - x*|_C.

    *P bounded below*, as where every dom f is bounded: the |p - x_k| are square summable, so the game's residual, at
    most a constant times |p - x_k| where the slopes are bounded, tends to 0, and every cluster point of the x_k is an
    equilibrium. Nothing is proved where P has no lower bound.

    References
    ----------
    Monderer and Shapley (1996) for potentials; Beck (2017), chapter 10, for the proximal gradient method; Liu and
    Nocedal (1989) for L-BFGS.
    """

    engine: str = "auto"

    def __post_init__(self) -> None:
        check_choice("potential_descent: engine", self.engine, ENGINES)

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on the pairs remembered."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether the potential is proved strongly convex, or bounded below."""
        weights, certificate = proved_weights(game)
        low, high = _curvatures(game, weights)
        step = min(FIRST_STEP, 1 / (2 * high) if high > 0 else FIRST_STEP)
        witness = {"map": "inclusion", "certificate": certificate, "step": step, "modulus": low}
        references = ("monderer1996", "beck2017")
        if low > 0 and step > 0:
            return _strongly_convex(weights, low, step, certificate, witness)
        own = [cost.activation for cost in game.own.values()]  # type: ignore[attr-defined]
        smooth = math.isfinite(residual_factor(game, step)) if step > 0 else False
        if smooth and all(activation.bounded for activation in own):
            return Guarantee(
                Decision.PROVED,
                "the potential falls with each step and is bounded below, all domains being bounded, so the residual "
                "tends to 0 and every cluster point of the iterates is an equilibrium",
                f"{certificate}, sufficient descent",
                witness={**witness, "exists": True},
                references=references,
            )
        return no_guarantee(
            f"{certificate} is proved and the potential never increases, but it is proved neither strongly convex "
            f"(least curvature {low:.3g}) nor bounded below"
        )

    def problem(self, game: Game, rng: np.random.Generator) -> DescentProblem:
        """Return the potential with its proximal steps."""
        weights, _ = proved_weights(game)
        program = None
        if self.engine == "cvxpy":
            program = PotentialProgram(game, weights)  # type: ignore[arg-type]
        elif self.engine == "auto" and game.size <= SMALL:
            try:
                program = PotentialProgram(game, weights)  # type: ignore[arg-type]
            except NotApplicableError:
                program = None
        return DescentProblem(game, weights, program)

    def start(self, problem: DescentProblem, x0: Array) -> State:
        """Return the state at x0, put on the players' domains."""
        return problem.begin(x0)

    def step(self, problem: DescentProblem, state: State) -> State:
        """Return the state after one descent step."""
        return problem.descend(state)


def _strongly_convex(
    weights: Array, modulus: float, step: float, certificate: str, witness: dict[str, Any]
) -> Guarantee:
    gain = step * modulus * (1 - 1e-12)
    factor, lead = math.sqrt(1 - gain) * (1 + 4 * _UNIT), (1 + 1e-12) / math.sqrt(gain)
    roots = np.sqrt(weights)
    return Guarantee(
        Decision.PROVED,
        f"the potential is strongly convex with modulus {modulus:.6g}, so the descent converges linearly to the unique "
        "equilibrium",
        f"{certificate}, safe bounds on the curvature",
        margin=gain,
        witness={**witness, "unique": True},
        references=("monderer1996", "beck2017"),
        rate=Rate(
            "distance",
            lambda d: norm(roots * d),
            lambda k, distance: lead * factor**k * distance,
            f"|x_k - x*|_C <= {lead:.4g} {factor:.6g}^k |x_0 - x*|_C",
        ),
    )


def proved_weights(game: Game) -> tuple[Array, str]:
    """Return the weights c of a proved potential, one for each coordinate, the largest 1, and the certificate's name.

    Raises
    ------
    NotApplicableError
        If no potential is proved, naming the verdict, or the game has no inclusion view.
    """
    verdict = None
    for name in ("exact_potential", "weighted_potential"):
        verdict = verdict_of(name, game)
        if verdict.proved:
            game.inclusion()
            try:
                given = [float(verdict.witness["weights"][player]) for player in game.players]
            except OverflowError:
                given = [math.inf]
            largest = max(given)
            if not math.isfinite(largest) or not min(given) / largest > 0:
                raise NotApplicableError(f"{name} is proved, but its weights are beyond the range of floats")
            return np.repeat(np.array(given) / largest, list(game.dims.values())), name
    assert verdict is not None  # noqa: S101 - the loop has looked at two
    raise NotApplicableError(f"no potential is proved; weighted_potential is {verdict.status}: {verdict.statement}")


def _curvatures(game: Any, weights: Array) -> tuple[float, float]:
    """Return safe m and L with m |d|_C^2 <= <M d, d>_C <= L |d|_C^2 for all d."""
    from scipy import sparse

    roots = np.sqrt(weights)
    stored = game.inclusion().matrix
    matrix = sparse.csr_array(stored.matrix)
    scaled = sparse.csr_array(sparse.diags_array(roots) @ matrix @ sparse.diags_array(1 / roots))
    absolute = abs(scaled)
    own: Any = assembled_weight(game.network)
    # A diagonal entry Q - k - W_ii of M may have cancelled.
    cancelled = sparse.diags_array(abs(own.matrix.diagonal()) + 2.0)
    error = sparse.csr_array(16 * _UNIT * (absolute + absolute.T + cancelled))
    symmetric = sparse.csr_array((scaled + scaled.T) / 2)
    low, _, _ = least_eigenvalue(symmetric, error)
    negative, _, _ = least_eigenvalue(sparse.csr_array(-symmetric), error)
    return low, -negative


class DescentProblem(Problem):
    """The potential of one game with what one run remembers.

    Attributes
    ----------
    step : float
        tau.
    """

    def __init__(self, game: Game, weights: Array, program: PotentialProgram | None) -> None:
        assert isinstance(game, CoupledGame)  # noqa: S101 - others have no inclusion view
        self.game, self.weights, self.view = game, weights, game.inclusion()
        self._program = program
        self._runs = activation_runs(game.network)
        self._shift = np.empty(game.size)
        for where, activation in self._runs:
            slope = activation.slope_range[1]
            self._shift[where] = 1 - 1 / slope if slope > 1 else 0.0

    def restrict(self, profile: Array) -> Array:
        """Return a copy of the profile, float64."""
        return np.array(profile, dtype=np.float64)

    def profile(self, x: Array) -> Array:
        """Return the profile itself."""
        return x

    def begin(self, x0: Array) -> State:
        """Return the state at x0 put on the domains; its memory is M x + q there."""
        self.step = FIRST_STEP
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=MEMORY)
        self._last: tuple[Array, Array] | None = None
        x = into_domains(self.game, x0)
        value = self._value(x)
        return State(x, norm(self.view.response(x, value) - x), 1, value)

    def descend(self, state: State) -> State:
        """Return the state at the trial, or at the proximal gradient step where the trial is no better."""
        x, value = state.x, state.memory
        p, value_p, passes = self._proximal_step(x, value)
        displacement = x - p
        self._remember(x, displacement)
        chosen, value_chosen = p, value_p
        w, more = self._trial(x, displacement)
        passes += more
        if w is not None:
            value_w = self._value(w)
            passes += 1
            if self.change(p, self._preactivation(x, value, p), value_p, w, value_w) <= 0:
                chosen, value_chosen = w, value_w
            else:
                self._pairs.clear()
        residual = norm(self.view.response(chosen, value_chosen) - chosen)
        return State(chosen, residual, state.evaluations + passes, value_chosen)

    def change(self, p: Array, v: Array, value_p: Array, w: Array, value_w: Array) -> float:
        """Return P(w) - P(p) for p = r(v), from ``value`` = M x + q at both.

        f(w) - f(p) = gap(w, v) + <w - p, v> - (|w|^2 - |p|^2)/2 as gap(p, v) = 0, and psi(w) - psi(p) is <C (M m + q +
        k m), w - p> at the midpoint m, psi here without the shift k.
        """
        total = 0.0
        for where, activation in self._runs:
            gap, _ = activation.gap(w[where], v[where])
            total += float(np.sum(self.weights[where] * gap)) if np.ndim(gap) else float(self.weights[where][0] * gap)
        middle, value = (p + w) / 2, (value_p + value_w) / 2
        slope = v - (1 - self._shift) * middle + value
        change = total + float(np.dot(self.weights * (w - p), slope))
        return change if math.isfinite(change) else math.inf

    def _proximal_step(self, x: Array, value: Array) -> tuple[Array, Array, int]:
        """Return p, M p + q, and the passes made: tau is halved until the potential bends by no more than 1/tau."""
        passes = 0
        while True:
            passes += 1
            p = self.view.prox(x - self.step * value, self.step)
            value_p = self._value(p)
            d = p - x
            weighted = self.weights * d
            square = float(np.dot(weighted, d))
            # Of d the rounding of both values is left where it is tiny; there the last step stands.
            rounding = 8 * _UNIT * float(np.dot(np.abs(weighted), np.abs(value) + np.abs(value_p)))
            bent = float(np.dot(weighted, value_p - value))
            if not bent > square / self.step + rounding:
                return p, value_p, passes
            self.step /= 2
            self._pairs.clear()
            self._last = None

    def _preactivation(self, x: Array, value: Array, p: Array) -> Array:
        """Return v with p = r(v): (x - p)/tau - (M x + q) is a subgradient of F at p."""
        return (1 - self._shift) * p + (x - p) / self.step - value

    def _trial(self, x: Array, displacement: Array) -> tuple[Array | None, int]:
        """Return the point that is tried against the proximal gradient step, and the passes made."""
        if self._program is not None:
            found, self._program = self._program.minimiser(), None
            return found, 0
        if not self._pairs:
            return None, 0
        ahead = x + self._direction(displacement)
        try:
            w = self.view.prox(ahead - self.step * self._value(ahead), self.step)
        except DomainError:
            return None, 1
        return (w if np.isfinite(w).all() else None), 1

    def _remember(self, x: Array, displacement: Array) -> None:
        """Keep the pair of the last two points and displacements if it is curved upwards."""
        if self._last is not None:
            s, y = x - self._last[0], displacement - self._last[1]
            curvature = float(np.dot(self.weights * s, y))
            if curvature > _UNIT * norm(s) * norm(y):
                self._pairs.append((s, y, curvature))
        self._last = (x, displacement)

    def _direction(self, displacement: Array) -> Array:
        """Return the L-BFGS direction for x - p(x) = 0 in the metric C, by the two loops."""
        d, shares = -displacement, []
        for s, y, curvature in reversed(self._pairs):
            share = float(np.dot(self.weights * s, d)) / curvature
            shares.append(share)
            d = d - share * y
        _, y, curvature = self._pairs[-1]
        d = d * (curvature / float(np.dot(self.weights * y, y)))
        for (s, y, curvature), share in zip(self._pairs, reversed(shares), strict=True):
            d = d + s * (share - float(np.dot(self.weights * y, d)) / curvature)
        return d

    def _value(self, x: Array) -> Array:
        return self.view.operator(x, np.empty_like(x))
