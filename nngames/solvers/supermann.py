"""SuperMann: quasi-Newton updates where they pay, and else projections onto half-spaces that hold all fixed points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.solvers.broyden import InverseJacobian
from nngames.solvers.fixed_point import check_map
from nngames.solvers.options import nonnegative_integer, number_that, share
from nngames.solvers.safeguard import STEP_LIMIT, DisplacementProblem
from nngames.solvers.solver import Guarantee, Solver, State, no_guarantee, norm, solver_named

#: q: by q^k times the first residual the limit of educated updates may rise at iteration k.
SLACK = 0.99
#: How many t = 1, 1/2, 1/4, ... are tried before t = 0, which always passes.
CANDIDATES = 5
#: A candidate whose residual is that many rounding units of it is a fixed point: its half-space would be noise.
ROUNDING = 64


@solver_named("supermann")
@dataclass(frozen=True)
class SuperMann(Solver):
    """SuperMann: Broyden steps x_k - H g_k on g = R(x) - x where they pay, else projections by what they showed.

    At x = x_k, with the direction d = -H g, a candidate w = x + t d, and t = 1 at first,

        blind        x+ = w if |g| <= c_0 eta; then eta = |g|
        educated     x+ = w if |g| <= s and |g(w)| <= c_1 |g|; then s = |g(w)| + q^k |g_0|
        safeguarded  x+ = x + lambda (rho/|g(w)|^2) g(w), rho = |g(w)|^2 + 2 alpha <g(w), w - x>,
                     if rho >= sigma |g(w)||g|; else t is halved, here at most 4 times, and then 0,

    the first of them that applies; eta = s = |g_0| at the start, q = 0.99. The safeguarded update is a relaxed
    projection of x onto {z : |g(w)|^2 + 2 alpha <g(w), w - z> <= 0}, which holds every fixed point; with t = 0 it is
    the Krasnoselskii-Mann step x + lambda g. H is that of ``broyden``, learns from every w, and starts anew once its
    memory is full. A w that is a fixed point up to rounding is taken. An update costs a pass for every t > 0 tried, and
    a safeguarded one another.

    Parameters
    ----------
    memory : int
        How many updates of H are kept.
    blind_factor : float
        c_0 in [0, 1); 0 is no blind update.
    educated_factor : float
        c_1 in [0, 1); 0 is no educated update.
    projection_factor : float
        sigma in (0, 1).
    averagedness : float
        alpha in (0, 1], for which R is taken as averaged; 1 is nonexpansive.
    relaxation : float
        2 alpha lambda in (0, 2); 1 is the projection.
    map : {"auto", "composite", "joint"}
        R, as for picard.

    Guarantee
    ---------
    If R is alpha-averaged in the Euclidean norm and has a fixed point, x_k converges to one. For every fixed point z
    a safeguarded update has |x+ - z|^2 <= |x - z|^2 - lambda (1/alpha - lambda) rho^2 / |g(w)|^2, and
    rho^2 / |g(w)|^2 >= sigma^2 |g|^2; the |g_k|^2 at which one is made have a finite sum. No rate; with
    superlinear directions no safeguarded update is made in the end, but no certificate checks that.

    Proof. R = (1 - alpha) Id + alpha N, N nonexpansive, so g = alpha (N - Id) has
    |g(w)|^2 + 2 alpha <g(w), w - z> <= 0: z lies in the half-space, x misses it by rho / (2 alpha |g(w)|), and a
    projection relaxed by m = 2 alpha lambda lowers |x - z|^2 by m (2 - m) times that squared. t = 0 passes, for there
    rho = |g|^2. Blind updates have residuals of at most c_0^j |g_0|, educated ones of at most s_j with
    s_{j+1} <= c_1 s_j + q^j |g_0|: both are summable, and so are their steps, as |d| <= 10^10 |g|, or else t = 0. So
    |x_k - z| converges (quasi-Fejer monotonicity), the decrease of the safeguarded updates is summable, and g_k -> 0
    along all three kinds. A cluster point is a fixed point, and as the distance to it converges, x_k converges to it.

    References
    ----------
    Themelis and Patrinos (2019), Algorithm 2; Broyden (1965) for the directions.
    """

    memory: int = 20
    blind_factor: float = 0.0
    educated_factor: float = 0.99
    projection_factor: float = 0.1
    averagedness: float = 1.0
    relaxation: float = 1.0
    map: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", nonnegative_integer("supermann", "memory", self.memory))
        for name in ("blind_factor", "educated_factor"):
            value = number_that("supermann", name, getattr(self, name), "lie in [0, 1)", lambda c: 0 <= c < 1)
            object.__setattr__(self, name, value)
        sigma = number_that(
            "supermann", "projection_factor", self.projection_factor, "lie in (0, 1)", lambda c: 0 < c < 1
        )
        object.__setattr__(self, "projection_factor", sigma)
        object.__setattr__(self, "averagedness", share("supermann", "averagedness", self.averagedness))
        relaxation = number_that("supermann", "relaxation", self.relaxation, "lie in (0, 2)", lambda m: 0 < m < 2)
        object.__setattr__(self, "relaxation", relaxation)
        check_map("supermann", self.map)

    @property
    def autonomous(self) -> bool:
        """Never: a step depends on earlier ones."""
        return False

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether the map is proved to be averaged with ``averagedness``."""
        kind = game.fixed_point(self.map).name
        found = _averagedness(game, kind, self.averagedness)
        known = "nonexpansive" if self.averagedness == 1 else f"averaged with alpha = {shown(self.averagedness)}"
        if found is None:
            return no_guarantee(f"the {kind} map is not proved to be {known} in the Euclidean norm")
        certificate, unique = found
        return Guarantee(
            Decision.PROVED,
            f"the {kind} map is {known}, so SuperMann converges to "
            f"{'the unique equilibrium' if unique else 'an equilibrium, if there is one'}; how fast is not proved",
            f"{certificate}, quasi-Fejer monotonicity",
            witness={"map": kind, "certificate": certificate, "averagedness": self.averagedness, "unique": unique},
            references=("themelis2019", "bauschke2017"),
        )

    def problem(self, game: Game, rng: np.random.Generator) -> SuperMannProblem:
        """Return the fixed-point view with the updates of one run."""
        return SuperMannProblem(game, self)

    def start(self, problem: SuperMannProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0)

    def step(self, problem: SuperMannProblem, state: State) -> State:
        """Return the state after a blind, an educated or a safeguarded update."""
        return problem.advance(state)


def _averagedness(game: Game, kind: str, wanted: float) -> tuple[str, bool] | None:
    """Return the certificate by which the map is averaged with ``wanted``, and whether its fixed point is unique."""
    name = "composite_contraction" if kind == "composite" else "euclidean_contraction"
    contraction = verdict_of(name, game)
    # A q-Lipschitz map is (1 + q)/2-averaged.
    if contraction.proved and 1 + Fraction(contraction.witness["factor"]) <= 2 * Fraction(wanted):
        return name, True
    if kind == "composite":
        if wanted == 1 and verdict_of("composite_nonexpansive", game).proved:
            return "composite_nonexpansive", False
        averaged = verdict_of("composite_averaged", game)
        if averaged.proved and averaged.witness["alpha"] <= wanted:
            return "composite_averaged", False
    return None


def _solved(state: State) -> bool:
    """Whether the state is a fixed point up to rounding."""
    return state.residual <= ROUNDING * float(np.finfo(state.x.dtype).eps) * norm(state.x)


class SuperMannProblem(DisplacementProblem):
    """A fixed-point map with H and the limits of blind and educated updates of one run.

    Attributes
    ----------
    kind : str
        What the last update was: ``"blind"``, ``"educated"``, ``"projection"``, ``"relaxed"`` for t = 0, or
        ``"solved"``.
    """

    def __init__(self, game: Game, method: SuperMann) -> None:
        super().__init__(game.fixed_point(method.map))
        self._method = method
        self._inverse = InverseJacobian(method.memory)
        self.kind = ""

    def begin(self, x0: Array) -> State:
        """Return the state at x0."""
        state = self._at(x0, 0)
        # eta, s and q^k |g_0|
        self._level = self._limit = self._slack = state.residual
        return state

    def advance(self, state: State) -> State:
        """Return the state after the first update that applies."""
        method, evaluations, part = self._method, state.evaluations, 1.0
        self._slack *= SLACK
        direction = -self._inverse(state.memory)
        # Not so either for a direction that is not finite.
        short = norm(direction) <= STEP_LIMIT * state.residual
        for number in range(CANDIDATES if short else 0):
            trial, evaluations = self.attempt(replace(state, evaluations=evaluations), part * direction)
            if trial is not None:
                self._learn(state, trial)
                if _solved(trial):
                    self.kind = "solved"
                    return trial
                if number == 0 and self._trusted(state, trial):
                    return trial
                unit = trial.memory / trial.residual
                depth = trial.residual + 2 * method.averagedness * float(unit @ (trial.x - state.x))
                if depth >= method.projection_factor * state.residual:
                    self.kind = "projection"
                    move = method.relaxation * depth / (2 * method.averagedness)
                    return self._at(state.x + move * unit, evaluations)
            part /= 2
        self.kind = "relaxed"
        relaxation = method.relaxation / (2 * method.averagedness)
        following = self._at(state.x + relaxation * state.memory, evaluations)
        self._learn(state, following)
        return following

    def _trusted(self, state: State, trial: State) -> bool:
        """Whether the candidate with t = 1 is taken as a blind or an educated update."""
        method = self._method
        if state.residual <= method.blind_factor * self._level:
            self._level, self.kind = state.residual, "blind"
            return True
        if state.residual <= self._limit and trial.residual <= method.educated_factor * state.residual:
            self._limit, self.kind = trial.residual + self._slack, "educated"
            return True
        return False

    def _learn(self, state: State, other: State) -> None:
        if self._inverse.full:
            self._inverse.forget()
        self._inverse.update(other.x - state.x, other.memory - state.memory)
