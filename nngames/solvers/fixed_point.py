"""What the schemes on a fixed-point map share: the view with its buffers, the relaxed step, and the proofs for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates import verdict_of
from nngames.certificates.figures import round_down, shown
from nngames.core.errors import check_choice
from nngames.core.norms import euclidean_length
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.core.workspace import aligned, taken
from nngames.games import BatchView, FixedPoint, Game
from nngames.networks import Constant
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.solver import MAX_ITERATIONS, Guarantee, Problem, Rate, State, column_norms, no_guarantee, norm
from nngames.solvers.stopping import Stretch

MAPS = ("auto", "composite", "joint")


def check_map(owner: str, kind: str) -> None:
    """Raise OptionError unless ``kind`` names a map."""
    check_choice(f"{owner}: map", kind, MAPS)


class FixedPointProblem(Problem):
    """A fixed-point map with the buffers of one run."""

    #: lambda where every step is x + lambda (R(x) - x); None where a step follows another rule.
    constant: float | None = None
    #: Of how many displacements R(x) - x there is room, in rows: the first state's is written into the first one.
    room: int = 1
    batch_axis = 1
    #: Whether passes of the run have read weights in single precision, so that the last one may have.
    _read_single = False

    def __init__(self, view: FixedPoint) -> None:
        self.view = view
        self._evaluate = view.evaluate
        self._made: Callable[[Array], Array] = np.empty_like
        self._batched = False
        self.rows: Array
        self.difference: Array
        self._spare: Array

    def batched(self, dtype: np.dtype[Any]) -> FixedPointProblem:
        """Return the problem with the map on columns."""
        batched: Any = copy(self)
        batched.view = BatchView(self.view, dtype)
        batched._evaluate, batched._batched = batched.view.evaluate, True
        batched._made = lambda like: aligned(like.shape, like.dtype)
        return batched

    def profiles(self, x: Array, those: NDArray[np.intp]) -> Array:
        """Return the profiles of ``those`` columns, of a batched problem."""
        batched: Any = self.view
        return batched.profiles(x, those)

    def tell(self, state: State, those: NDArray[np.intp], profiles: Array, rows: NDArray[np.intp]) -> Array | None:
        """Write the profiles of ``those`` columns into ``rows`` and return the game's residuals at them.

        None, and nothing is written, where the last pass did not tell them.

        The joint map's argument is the profile; the composite map's is its last layer, and the others are what they
        answered in the pass from it. So |R(x) - x| of that pass is, up to rounding, the residual at that very profile.
        """
        batched: Any = self.view
        residuals: Any = state.residual
        return residuals[those] if batched.tell(state.x, those, profiles, rows) else None

    def kept_iterate(self, x: Array, kept: NDArray[np.intp]) -> Array:
        """Return those columns; where R(x) takes the place of x, only a place for as many."""
        if not self.replaces:
            return super().kept_iterate(x, kept)
        return x.reshape(-1)[: len(x) * len(kept)].reshape(len(x), -1)

    def keep(self, kept: NDArray[np.intp]) -> None:
        """Drop columns of the buffers."""
        if not self.replaces:
            self.difference = taken(self.difference, kept, axis=1)
            self._spare = self._made(self.difference)

    @property
    def fused(self) -> FusedMap | None:
        """The map for compiled steps, where they all have one relaxation."""
        return None if self.constant is None else self.view.fused

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after steps x + lambda (R(x) - x), with the residuals and passes on the way."""
        fused: Any = self.view.fused
        x, image = state.x.copy(), state.memory.copy()
        anchor = x if stretch.anchor is None else stretch.anchor
        limits = (stretch.target, stretch.bound, stretch.anchor_residual, stretch.scale, stretch.pause)
        numbers = np.array((self.constant, *limits, stretch.caution))
        watched = stretch.anchor is not None
        cycles = stretch.iteration, watched, stretch.anchor_at, stretch.renew_at
        counts = np.array((stretch.steps, *cycles, stretch.relaxed), dtype=np.int64)
        shape = fused.shape
        iterates = x.reshape(shape), image.reshape(shape), anchor.reshape(shape)
        kept = np.empty((0, x.size)) if stretch.displacements is None else stretch.displacements
        displacements = kept.reshape(-1, *shape)
        residuals = np.empty(max(stretch.steps, len(kept) + stretch.relaxed) if stretch.relaxed else stretch.steps)
        singles = fused.refined(self.refined)
        self._read_single = self._read_single or (len(singles) > 0 and len(singles[0]) > 0)
        made = fused.relaxed_steps(kernels)(
            *fused.arguments(),
            *iterates,
            numbers,
            counts,
            residuals,
            displacements,
            *singles,
        )
        if stretch.relaxed:
            stretch.relaxed = int(counts[5])
        if watched:
            _, _, _, stretch.anchor_at, stretch.renew_at, _ = counts.tolist()
            stretch.anchor_residual = float(numbers[3])
        # What the next single step finds in the buffer, which may be one of the rows of those that were taken.
        buffer = self.difference if stretch.displacements is None else None
        self.difference = np.subtract(image, x, buffer)
        passes = state.evaluations + made
        following = State(x, float(residuals[made - 1]), passes, image)
        return following, residuals[:made], range(state.evaluations + 1, passes + 1)

    def restrict(self, profile: Array) -> Array:
        """Return the map's argument, a fresh array."""
        argument = self.view.restrict(profile)
        return argument if self._batched else np.array(argument)

    def profile(self, x: Array) -> Array:
        """Return the profile of the map's argument."""
        return self.view.profile(x)

    def told(self, x: Array) -> tuple[Array, float, float] | None:
        """Return a fresh profile of the map's argument and the game's residual with its rounding, if one pass tells."""
        return self.view.told(x)

    def passed(self, state: State) -> tuple[Array, float, float] | None:
        """Return the profile of the iterate, and how far its image is from it, with its rounding."""
        # The difference of the last pass is still in the buffer.
        return None if self._read_single else displaced(self, state.x, self.difference)

    def start(self, x0: Array) -> State:
        """Return the state at x0; its memory is the map's value there."""
        if self._batched and self.constant == 1.0:
            # R(x) takes the place of x, and no difference is kept, which would take room in the cache.
            self.replaces = True
        else:
            self._make_buffers(x0)
        return self._state(x0, self._made(x0), 0)

    def _make_buffers(self, like: Array) -> None:
        if self.room > 1:
            self.rows = np.empty((self.room, like.size), like.dtype)
            self.difference = self.rows[0]
        else:
            self.difference = self._made(like)
        self._spare = self._made(like)

    def resume(self, state: State) -> State:
        """Begin at a state of which the displacement is known, its memory, and return it with the map's value there."""
        self._make_buffers(state.x)
        np.copyto(self.difference, state.memory)
        return State(np.array(state.x), state.residual, state.evaluations, state.x + state.memory)

    def follow(self, other: FixedPointProblem) -> None:
        """Go on with the buffers of a problem on the same map, which made the last state."""
        self.difference, self._spare, self.refined = other.difference, other._spare, other.refined
        self._read_single = other._read_single

    def left_by(self, state: State) -> tuple[Array, ...]:
        """Return the arrays of a run that ends at the state but for its iterate and the displacement there."""
        return state.memory, self._spare

    def relax(self, state: State, relaxation: float | Array) -> State:
        """Return the state at x + relaxation (R(x) - x); x itself stays whole, should the step be interrupted.

        Of a batch, which no interruption leaves a result of, R(x) takes the place of x, and each start may have its own
        relaxation.
        """
        x, image = state.x, state.memory
        if self.replaces:
            return self._state(image, x, state.evaluations)
        if not isinstance(relaxation, np.ndarray) and relaxation == 1.0:
            following, free = image, self._spare
        else:
            # The difference of the last residual is still in the buffer.
            following, free = np.multiply(self.difference, relaxation, out=self._spare), image
            following += x
            if isinstance(relaxation, np.ndarray):
                # R(x) itself, which x + (R(x) - x) rounds at the size of x.
                np.copyto(following, image, where=relaxation == 1.0)
        self._spare = x
        return self._state(following, free, state.evaluations)

    def _state(self, x: Array, spare: Array, evaluations: int) -> State:
        if self.replaces:
            batched: Any = self.view
            return State(x, batched.distances(x, spare), evaluations + 1, spare)
        if not self._batched and x.size >= LONG:
            return State(x, self.view.displaced_by_pieces(x, spare, self.difference), evaluations + 1, spare)
        image = self._evaluate(x, spare)
        difference = np.subtract(image, x, self.difference)
        residual: Any = column_norms(difference) if self._batched else norm(difference)
        return State(x, residual, evaluations + 1, image)


def displaced(problem: Any, x: Array, displacement: Array) -> tuple[Array, float, float] | None:
    """Return the profile of x, |R(x) - x| and how far the game's residual may be from it.

    None where the argument of R is not the profile, or in single precision. x itself is the profile: a run that ends
    there needs it no more, and one that goes on has no use for the profile.
    """
    rounding = problem.view.apart(x) if x.dtype == np.float64 else None
    return None if rounding is None else (problem.view.profile(x), euclidean_length(displacement), rounding)


class Accumulated:
    """The sequence a_0 = start, a_{k+1} = step(k, a_k), each term computed once."""

    def __init__(self, step: Callable[[int, float], float], start: float) -> None:
        self._step, self._terms = step, [start]

    def __call__(self, k: int) -> float:
        """Return a_k."""
        while len(self._terms) <= k:
            self._terms.append(self._step(len(self._terms) - 1, self._terms[-1]))
        return self._terms[k]


def contraction(game: Game, kind: str) -> tuple[float, Callable[[Array], float], str] | None:
    """Return a proved contraction factor of the map, its norm and the certificate's name; None where there is none."""
    if kind == "composite":
        verdict = verdict_of("composite_contraction", game)
        return (float(verdict.witness["factor"]), norm, "composite_contraction") if verdict.proved else None
    for name in ("joint_contraction", "neuron_contraction", "euclidean_contraction"):
        verdict = verdict_of(name, game)
        if verdict.proved:
            weights = verdict.witness.get("weights")
            measure = norm if weights is None else weighted_max_norm(game, weights)
            return float(verdict.witness["factor"]), measure, name
    return None


def weighted_max_norm(game: Game, weights: Any) -> Callable[[Array], float]:
    """Return the norm max_l |d_l|_2 / u_l over blocks (a mapping), or max_i |d_i| / u_i over coordinates (an array)."""
    if isinstance(weights, dict):
        blocks = getattr(game, "blocks", game.space)
        if hasattr(game, "network"):
            blocks = game.network.space
        parts = [(where, float(weights[block])) for block, where in blocks.slices.items()]
        return lambda d: max(norm(d[where]) / u for where, u in parts)
    u = np.asarray(weights, dtype=float)
    return lambda d: float(np.max(np.abs(d) / u))


def relaxed_guarantee(game: Game, kind: str, relaxation: Any) -> Guarantee:
    """Decide the convergence of x + lambda_t (R(x) - x) for a constant relaxation, or a sequence of known form.

    Contraction: |R x - R y| <= q |x - y| gives |x_k - x*| <= prod (|1 - lambda_t| + lambda_t q) |x_0 - x*| [Banach].
    Averagedness: R = (1 - alpha) Id + alpha N with N nonexpansive, so with mu_t = alpha lambda_t in (0, 1] the iterates
    are those of N relaxed by mu_t, and |R x - x| = alpha |N x - x|. If a fixed point exists, |x_{t+1} - x*|^2 <=
    |x_t - x*|^2 - mu_t (1 - mu_t) |N x_t - x_t|^2 = |x_t - x*|^2 - lambda_t (1/alpha - lambda_t) |R x_t - x_t|^2, and
    the residual does not increase, so |R x_k - x_k| <= |x_0 - x*| / sqrt(sum_{t <= k} lambda_t (1/alpha - lambda_t)),
    and the iterates converge if the sum diverges [bauschke2017, Theorem 5.15 and Proposition 5.16]. A nonexpansive R is
    the case alpha = 1.

    Where both are proved, the one is told that bounds the residual by less after ``MAX_ITERATIONS`` passes, a
    contraction by |R x_k - x_k| <= (1 + q) |x_k - x*|: one by 1 - 1e-9 says nothing there, and averagedness with
    alpha = 1/2 that what is left is |x_0 - x*| / sqrt(k + 1). A contraction that leaves no more than that is told
    without another proof.

    Nonnegative networks: R is monotone and concave on the nonnegative orthant, which its values do not leave, and its
    one fixed point is reached from everywhere (``nonnegative``; O's iterates are every L-th of T's).
    """
    if relaxation.satisfies(0.5) is None:
        return no_guarantee("the relaxation is a user's function: no property of its sequence is proved")
    found = contraction(game, kind)
    contracts = None if found is None else _by_contraction(kind, relaxation, *found)
    if contracts is not None and _left(contracts) <= 1 / math.sqrt(MAX_ITERATIONS + 1):
        return contracts
    averaged = _averaged(game, relaxation, unique=found is not None) if kind == "composite" else None
    if averaged is not None and (contracts is None or _left(averaged) < _left(contracts)):
        return averaged
    if contracts is not None:
        return contracts
    if isinstance(relaxation, Constant) and relaxation.value == 1:
        verdict = verdict_of("nonnegative", game)
        if verdict.proved and verdict.witness["unique"]:
            return _by_concavity(kind, verdict.margin)
    return no_guarantee(
        f"neither a contraction nor nonexpansiveness (averagedness, for 1 or more) of the {kind} map licenses "
        f"{relaxation}"
    )


def _by_contraction(
    kind: str, relaxation: Any, factor: float, measure: Callable[[Array], float], certificate: str
) -> Guarantee | None:
    def step_factor(step: int) -> float:
        lam = relaxation(step)
        return (abs(1 - lam) + lam * factor) * (1 + 4e-16)

    first = step_factor(0)
    if first >= 1 or not relaxation.satisfies((1 + factor) / 2):
        return None
    linear = isinstance(relaxation, Constant)
    products = Accumulated(lambda k, total: total * step_factor(k), 1.0)
    bound = (lambda k, d: first**k * d) if linear else (lambda k, d: products(k) * d)
    rate = Rate("distance", measure, bound, f"|x_k - x*| <= prod_t (|1 - lambda_t| + {factor:.6g} lambda_t) |x_0 - x*|")
    return Guarantee(
        Decision.PROVED,
        f"the {kind} map contracts by {shown(factor)}, so with {relaxation} it converges"
        f"{' linearly' if linear else ''} to the unique equilibrium",
        f"{certificate}, Banach's fixed-point theorem",
        margin=1 - first,
        witness={"map": kind, "factor": factor, "certificate": certificate},
        references=("bauschke2017", "bertsekas1989"),
        rate=rate,
    )


def _by_concavity(kind: str, margin: float | None) -> Guarantee:
    return Guarantee(
        Decision.PROVED,
        f"the {kind} map is positive and concave on the nonnegative orthant, so from every start its iterates converge "
        "to the unique equilibrium",
        "nonnegative, standard interference mappings",
        margin=margin,
        witness={"map": kind, "certificate": "nonnegative", "unique": True},
        references=("yates1995", "cavalcante2019"),
    )


def _left(guarantee: Guarantee) -> float:
    """Return the bound on the residual after ``MAX_ITERATIONS`` passes from a distance of 1."""
    rate: Any = guarantee.rate
    bound = float(rate.bound(MAX_ITERATIONS, 1.0))
    return bound if rate.quantity == "residual" else (1 + guarantee.witness["factor"]) * bound


def _averaged(game: Game, relaxation: Any, unique: bool) -> Guarantee | None:
    """Return the guarantee by averagedness of the composite map, with the smaller constant that is proved."""
    verdict = verdict_of("composite_averaged", game)
    if verdict.proved and relaxation.satisfies(verdict.witness["alpha"]):
        return _by_averagedness(relaxation, verdict.witness["alpha"], "composite_averaged", unique)
    verdict = verdict_of("composite_nonexpansive", game)
    if verdict.proved and relaxation.satisfies(1.0):
        return _by_averagedness(relaxation, 1.0, "composite_nonexpansive", unique)
    return None


def _by_averagedness(relaxation: Any, alpha: float, certificate: str, unique: bool) -> Guarantee:
    # Below 1/alpha; lambda_t <= 1/alpha was decided exactly, so what is below 0 is rounding.
    most = round_down(1 / Fraction(alpha))
    sums = Accumulated(lambda k, total: total + max(0.0, relaxation(k) * (most - relaxation(k))), 0.0)

    def bound(k: int, distance: float) -> float:
        total = sums(k + 1)
        return distance / math.sqrt(total) * (1 + 1e-12) if total > 0 else math.inf

    known = "nonexpansive" if alpha == 1 else f"averaged with alpha = {shown(alpha)}"
    divisor = "lambda_t (1 - lambda_t)" if alpha == 1 else f"lambda_t ({most:.6g} - lambda_t)"
    return Guarantee(
        Decision.PROVED,
        f"the composite map is {known}, so with {relaxation} it converges to "
        + ("the unique equilibrium" if unique else "an equilibrium, if there is one"),
        f"{certificate}, Krasnoselskii-Mann theorem",
        witness={"map": "composite", "certificate": certificate, "alpha": alpha, "unique": unique},
        references=("bauschke2017", "cominetti2014"),
        rate=Rate("residual", norm, bound, f"|O(x_k) - x_k| <= |x_0 - x*| / sqrt(sum_(t<=k) {divisor})"),
    )
