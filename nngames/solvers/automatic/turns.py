"""The turns of an automatic run: what is known of a scheme while it has its turn, and which schemes may have one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeGuard
from weakref import WeakKeyDictionary

import numpy as np

from nngames.core.operators import SparseMap
from nngames.core.profiles import Array
from nngames.games import Game, NetworkGame
from nngames.networks import Constant
from nngames.networks.block_sweep import block_sweep
from nngames.networks.compiled.loading import kernels
from nngames.solvers.automatic.costs import FORECAST, pass_seconds
from nngames.solvers.differences import LARGEST_GRAM
from nngames.solvers.fixed_point import FixedPointProblem
from nngames.solvers.newton import keeps_factors
from nngames.solvers.reused_arrays import ReusedArrays
from nngames.solvers.safeguard import SafeguardedProblem
from nngames.solvers.solver import Problem, Solver, State, registry
from nngames.solvers.spectral import SpectralProblem, SweepProblem
from nngames.solvers.turn_order import forward_pass

#: Passes of at most these seconds are not worth the plain ones before a forecast where influence is mutual.
SHORT_PASSES = 10 * FORECAST
#: To this relative precision u'W v = v'W u says that W is symmetric.
MUTUAL = 1e-9
#: How many differences anderson keeps in a short run at least, and of iterates of this many entries, of which ten
#: leave no room in the cache.
MEMORY, LITTLE_MEMORY, LONG_ITERATE = 10, 4, 2**15
#: The share of the multiplications of a pass that keeping more may take.
READ = 0.1
#: Newton's method is tried from a last resort after this many of its steps, and again after twice as many.
TRIAL = 32


@dataclass(slots=True)
class Turn:
    """One scheme's part of a run; ``check`` is the step at which it is judged, ``before`` the residual it has to lower.

    ``displacements`` is the number of those kept of the plain passes so far, None where none are kept.
    A last resort has ``steps``, without end where it is proved, and ``trial`` of them before Newton's method is tried;
    one that ``strays`` is not left because its residual grows.
    """

    scheme: Solver
    problem: Problem
    check: int
    before: float
    steps: float | None = None
    trial: int = TRIAL
    strays: bool = False
    count: int = 0
    checked: int = 0
    displacements: int | None = None


def lends(problem: Problem) -> TypeGuard[ReusedArrays]:
    """Whether a scheme leaves an iterate whole where it is asked to, and goes on in other arrays."""
    return isinstance(problem, ReusedArrays) and problem.lends


def known_displacement(problem: Problem, state: State) -> Array | None:
    """Return R(x) - x at the last state, which is not overwritten; None where the scheme does not know it."""
    if isinstance(problem, SweepProblem):
        return None
    if isinstance(problem, FixedPointProblem):
        return np.array(problem.difference) if state.x.dtype == np.float64 else None
    if isinstance(problem, SpectralProblem):
        # Compiled steps write into the arrays of a state.
        return np.array(state.memory)
    return state.memory if isinstance(problem, SafeguardedProblem) else None


#: Without the kernels, and with them loaded.
_first: tuple[WeakKeyDictionary[Game, Solver], ...] = (WeakKeyDictionary(), WeakKeyDictionary())


def first_scheme(game: Game, single: bool = False) -> Solver:
    """Return plain passes; or what needs no forecast, since it would take longer than what it might save.

    That is a sweep where one of them is a forward pass; Newton's method where it solves one system of linear equations,
    whose factors are kept; on a sparse network compiled sweeps with spectral steps, which seldom need more passes than
    any other scheme, but not on a ring of several layers, which answer in turn in every plain pass; and spectral steps
    where influence is mutual and passes are short. A run in ``single`` precision makes no compiled steps.
    Raises TimeUpError where it is not known in the time of the run whether there is a forward pass.
    """
    loaded = not single and kernels(limited=True) is not None
    first = _first[loaded].get(game)
    if first is None:
        if forward_pass(game) is not None:
            first = registry.create("best_response", order="topological")
        elif keeps_factors(game, view := game.fixed_point()) and view.elimination is not None:
            first = registry.create("newton")
        elif loaded and view.size == game.size and _sweeps(game):
            first = registry.create("spectral", order="sequential")
        else:
            first = fast_scheme("spectral" if pass_seconds(game) <= SHORT_PASSES and mutual(game) else "picard")
        _first[loaded][game] = first
    return first


def _sweeps(game: Game) -> bool:
    return isinstance(game, NetworkGame) and block_sweep(game.network) is not None


def mutual(game: Game) -> bool:
    """Whether a network's couplings are one sparse matrix W, W' = W for all that two products tell, and responses rise.

    Then the eigenvalues of the map's Jacobian are real: with S >= 0 the diagonal matrix of slopes, S W has those of
    S^(1/2) W S^(1/2).
    """
    if not isinstance(game, NetworkGame):
        return False
    network = game.network
    alone = next(iter(network.weights.values()), None) if network.linear and len(network.players) == 1 else None
    if not (network.joint.assembled or isinstance(alone, SparseMap)):
        return False
    if not all(activation.separable and activation.monotone for activation in network.activations.values()):
        return False
    weight, _ = network.joint.assembly(np.dtype(np.float64))
    rng = np.random.default_rng(0)
    u, v = rng.random((2, network.size))
    with np.errstate(over="ignore", invalid="ignore"):
        one, other = u.dot(weight.apply(v)), v.dot(weight.apply(u))
        return bool(abs(one - other) <= MUTUAL * max(abs(one), abs(other)))


#: Not for longer than the game is there.
_kept: WeakKeyDictionary[Game, int] = WeakKeyDictionary()


def kept_differences(game: Game) -> int:
    """Return how many differences anderson keeps in a short run.

    With m of n entries a step makes about 4 m n multiplications. Where these are at most ``READ`` of those of a pass, m
    is up to ``LARGEST_GRAM``; else it is ``MEMORY``, and less of long iterates.
    """
    known = _kept.get(game)
    if known is None:
        known = _kept[game] = _affordable_differences(game)
    return known


def _affordable_differences(game: Game) -> int:
    if game.size >= LONG_ITERATE and game.fixed_point().size >= LONG_ITERATE:
        return LITTLE_MEMORY
    if not isinstance(game, NetworkGame):
        return MEMORY
    network, size = game.network, game.fixed_point().size
    assembled = network.joint.assembled
    passed = network.joint.multiplications if assembled else sum(c.multiplications for c in network.couplings)
    return max(MEMORY, min(LARGEST_GRAM, int(READ * passed / (4 * size))))


@cache
def fast_scheme(name: str, memory: int = MEMORY) -> Solver:
    """Return the scheme of that name with the options that serve a short run, and anderson with that memory."""
    # A relaxation that is one already takes no reading.
    known: dict[str, dict[str, Any]] = {
        "anderson": {"memory": memory},
        "km": {"relaxation": Constant(0.5)},
    }
    # Whose options are known needs no look at them.
    kind: Any = registry[name]
    solver: Solver = kind(**known.get(name, {}))
    return solver
