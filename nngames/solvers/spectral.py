"""The spectral scheme: steps along the displacement, as long as the last one showed to be right, safeguarded.

All players answer at once, or pieces of them in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.certificates.figures import shown
from nngames.core.errors import NotApplicableError, OptionError, check_choice
from nngames.core.pieces import LONG
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision
from nngames.games import FixedPoint, Game, NetworkGame
from nngames.networks.block_sweep import BlockSweep, block_sweep
from nngames.networks.compiled.loading import Kernels
from nngames.networks.compiled.maps import FusedMap
from nngames.solvers.fixed_point import check_map
from nngames.solvers.reused_arrays import ReusedArrays
from nngames.solvers.safeguard import (
    DECAY,
    RELAXATION,
    RESIDUAL_LIMIT,
    SMALLEST_RELAXATION,
    STEP_LIMIT,
    SafeguardedSolver,
    growth_option,
)
from nngames.solvers.solver import Guarantee, State, no_guarantee, norm, solver_named
from nngames.solvers.stopping import Stretch

#: The short length is taken where it is below this share of the long one.
RATIO = 0.5
#: What the compiled steps go by, in their order.
_RULES = np.array([STEP_LIMIT, RESIDUAL_LIMIT, DECAY, RELAXATION, SMALLEST_RELAXATION, RATIO])


@solver_named("spectral")
@dataclass(frozen=True)
class Spectral(SafeguardedSolver):
    """The spectral residual scheme x_{k+1} = x_k + alpha_k g_k, g_k = R(x_k) - x_k, with Barzilai and Borwein's alpha.

    With s = x_k - x_{k-1} and y = g_k - g_{k-1} the long and the short length are those with which s / alpha and
    alpha y fit -y and -s best: alpha' = |s|^2 / -<s, y> and alpha'' = -<s, y> / |y|^2 <= alpha'. The short one is taken
    where it is below alpha' / 2, else the long one; 1 where <s, y> >= 0, and in the first step. On an affine map, x + g
    with g = b - A x, they are reciprocals of Rayleigh quotients of A = Id - J, and the method is a gradient method for
    the potential where J is symmetric, as in a game with an exact potential: it takes about as many passes as a scheme
    that remembers several differences, and two inner products for each. On a map whose J is far from symmetric it is
    no good. A step that fails the safeguard is replaced by x_k + lambda g_k, lambda <= 1/2. The residual does not fall
    steadily.

    With ``order="sequential"`` R is a block Gauss-Seidel sweep over a sparse network: 32 to 256 players at a time, an
    eighth of all if that is between, answer to what those before have just answered. It has the same fixed points. Its
    Jacobian mostly has eigenvalues nearer to 0, so that the scheme takes about two thirds of the passes on scale-free
    graphs, and fewer than plain passes also where J is skew. An iterate is the profile after the sweep, in double
    precision.

    Parameters
    ----------
    growth : float
        A proposal is rejected where its residual exceeds this multiple of the smallest one so far.
    map : {"auto", "composite", "joint"}
        R, as for picard.
    order : {"simultaneous", "sequential"}
        Whether all players answer at once, or pieces of them in turn.

    Guarantee
    ---------
    Of the safeguard, whatever alpha is: if O is nonexpansive and has a fixed point, or R contracts in some norm, x_k
    converges to a fixed point. No rate. Without the safeguard the long lengths alone converge on every affine map with
    a symmetric J whose eigenvalues are below 1, r-linearly; no certificate is made of that, for the safeguard and the
    short lengths are no part of it. In sequential order R contracts where the joint map contracts in a weighted maximum
    norm.

    References
    ----------
    Barzilai and Borwein (1988); Raydan (1993) and Dai and Liao (2002) for affine maps; La Cruz, Martinez and Raydan
    (2006) for systems of equations; Zhou, Gao and Dai (2006) for the choice between the lengths; Zhang, O'Donoghue and
    Boyd (2020) for the safeguard.
    """

    growth: float = 100.0
    map: str = "auto"
    order: str = "simultaneous"

    def __post_init__(self) -> None:
        object.__setattr__(self, "growth", growth_option("spectral", self.growth))
        check_map("spectral", self.map)
        check_choice("spectral: order", self.order, ("simultaneous", "sequential"))
        if self.order == "sequential" and self.map == "composite":
            raise OptionError("spectral: in sequential order the map must be 'auto' or 'joint'; got 'composite'")

    def guarantee(self, game: Game) -> Guarantee:
        """Return whether a contraction or nonexpansiveness of the map is proved; of a sweep, the former."""
        if self.order == "simultaneous":
            return super().guarantee(game)
        verdict = verdict_of("neuron_contraction", game)
        if not verdict.proved:
            return no_guarantee("no contraction of the joint map in a weighted maximum norm is proved")
        factor = float(verdict.witness["factor"])
        return Guarantee(
            Decision.PROVED,
            f"the joint map contracts by {shown(factor)} in a weighted maximum norm, and so do sweeps, so the "
            "safeguarded scheme converges to the unique equilibrium; how fast is not proved",
            "neuron_contraction, summable accepted steps",
            margin=1 - factor,
            witness={"map": "joint", "factor": factor, "certificate": "neuron_contraction", "unique": True},
            references=("zhang2020", "bertsekas1989"),
        )

    def problem(self, game: Game, rng: np.random.Generator) -> SpectralProblem:
        """Return the fixed-point view with the safeguard of one run."""
        if self.order == "simultaneous":
            view = game.fixed_point(self.map)
            if view.size < LONG:
                return SpectralProblem(view, self.growth)
            from nngames.solvers.long_spectral import LongSpectralProblem

            return LongSpectralProblem(view, self.growth)
        sweep = block_sweep(game.network) if isinstance(game, NetworkGame) else None
        if sweep is None:
            raise NotApplicableError(
                "in sequential order it takes networks with one sparse matrix and activations that act entry by entry, "
                "with the same parameters for every entry"
            )
        return SweepProblem(game.fixed_point("joint"), self.growth, sweep)

    def start(self, problem: SpectralProblem, x0: Array) -> State:
        """Return the state at x0."""
        return problem.begin(x0)

    def step(self, problem: SpectralProblem, state: State) -> State:
        """Return the state after the step, or the relaxed one."""
        return problem.move(state)


class SpectralProblem(ReusedArrays):
    """A fixed-point map with the length of the next step.

    Attributes
    ----------
    length : float
        alpha.
    """

    def __init__(self, view: FixedPoint, growth: float) -> None:
        super().__init__(view, growth)
        self.length = 1.0

    def attempt(self, state: State, step: Array) -> tuple[State | None, int]:
        """Return the state at x + step, which takes the place of the step, or None, and the passes so far."""
        return self.tried(np.add(state.x, step, step), state.evaluations)

    def move(self, state: State) -> State:
        """Return the state after the step, or the relaxed one."""
        relaxation = self._relaxation
        following = self.advance(state, self.length * state.memory)
        used = relaxation if self.rejected else self.length
        self.length = spectral_length(used, state.residual, state.memory, following.memory)
        self._kept = ()
        return following

    def know(self, rows: Array, count: int) -> None:
        """Begin with the length that the last two of the first rows show, the displacements of plain passes."""
        before, after = rows[count - 2], rows[count - 1]
        self.length = spectral_length(1.0, norm(before), before, after)

    def overwritten(self, rows: Array) -> Array:
        """Return those of the rows that ``know`` writes into: none."""
        return rows[:0]

    @property
    def fused(self) -> FusedMap | None:
        """The map for compiled steps, if it is sparse."""
        fused = self.view.fused
        return fused if fused is not None and fused.sparse else None

    #: Whether players answer in turn.
    in_turn = False

    def several_steps(self, kernels: Kernels, state: State, stretch: Stretch) -> tuple[State, Array, Any]:
        """Return the state after compiled steps, which write into the arrays of the old one unless others know them.

        Those then hold the last iterate or the one before. On long ones, new arrays would take as long as a pass.
        """
        fused: Any = self.fused
        pairs = (self._writable(state.x), self._own(state.memory)), (self._array(state.x), self._array(state.x))
        residuals, evaluations = np.empty(stretch.steps), np.empty(stretch.steps, dtype=np.int64)
        given = stretch.target, stretch.bound, self._initial, self.growth
        numbers = np.array((*given, self._best, self._relaxation, self.length))
        counts = np.array((stretch.steps, state.evaluations, self._accepted, 0, self.in_turn), dtype=np.int64)
        made = kernels.spectral_steps(
            *fused.arguments(),
            *(array.reshape(fused.shape) for array in (state.x, *pairs[0], *pairs[1])),
            _RULES,
            numbers,
            counts,
            residuals,
            evaluations,
        )
        self._best, self._relaxation, self.length = numbers[4:].tolist()
        _, passes, self._accepted, place, _ = counts.tolist()
        x, g = pairs[place]
        self._kept = ()
        self._spare += pairs[1 - place]
        return State(x, float(residuals[made - 1]), passes, g), residuals[:made], evaluations[:made]


class SweepProblem(SpectralProblem):
    """The same with sweeps S: a state stands at y = S(x), its memory is S(x) - x, and steps go on from x."""

    in_turn = True

    def __init__(self, view: FixedPoint, growth: float, sweep: BlockSweep) -> None:
        super().__init__(view, growth)
        self._sweep = sweep

    @property
    def fused(self) -> FusedMap | None:
        """The map for compiled steps."""
        return self._sweep.fused

    def begin(self, x0: Array) -> State:
        """Return the state of a sweep from x0."""
        return self._begun(np.asarray(x0, dtype=np.float64), 0)

    def resume(self, state: State) -> State:
        """Begin with a sweep from where the displacement leads, and return its state."""
        return self._begun(state.x + state.memory, state.evaluations)

    def _begun(self, x: Array, evaluations: int) -> State:
        state = super().resume(self._at(x, evaluations))
        self._kept = ()
        return state

    def know(self, rows: Array, count: int) -> None:
        """Learn nothing: displacements of plain passes are no sweeps'."""

    def passed(self, state: State) -> None:
        """Return nothing: the pass was no joint one, and from another iterate."""

    def _apart(self, x: Array) -> float | None:
        """Return 0: single passes of the joint map are those of the game's residual."""
        return 0.0

    def attempt(self, state: State, step: Array) -> tuple[State | None, int]:
        """Return the state of a sweep from x + step, which takes the place of the step, or None, and the passes."""
        step -= state.memory
        return super().attempt(state, step)

    def along(self, state: State, length: float) -> Array:
        """Return x + length (S(x) - x)."""
        return super().along(state, length - 1.0)

    def _at(self, x: Array, evaluations: int) -> State:
        """Return the state of a sweep from x, whose place its displacement takes."""
        y = x.copy()
        self._sweep(y)
        displacement = np.subtract(y, x, x)
        return State(y, norm(displacement), evaluations + 1, displacement)


def spectral_length(used: float, residual: float, before: Array, after: Array) -> float:
    """Return the length of the step that follows one of length ``used``, from the displacements on both sides of it.

    ``residual`` is the norm of ``before``.
    """
    change = after - before
    return length_by(used, residual, -float(change.dot(before)), float(change.dot(change)))


def length_by(used: float, residual: float, curvature: float, square: float) -> float:
    """Return the length that follows one of length ``used``, with g and y as the scheme names them.

    Parameters
    ----------
    used : float
    residual, curvature, square : float
        |g|, -<y, g> and |y|^2.
    """
    if not (curvature > 0 and square > 0):
        return 1.0
    long, short = used * residual * residual / curvature, used * curvature / square
    return short if short < RATIO * long else long
