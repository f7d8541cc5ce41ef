"""Costs: what steps of each scheme take, by the sizes of a game.

They are counted, not measured, so that the same run makes the same choices on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from nngames.core.operators import DenseMap, SparseMap
from nngames.core.pieces import LONG
from nngames.games import CoupledGame, Game, NetworkGame
from nngames.networks import Network
from nngames.networks.couplings import LinearCoupling
from nngames.networks.from_base import LARGE_PRODUCT
from nngames.networks.order import is_acyclic
from nngames.solvers.automatic.forecast import JUDGED
from nngames.solvers.newton import DENSE_SIZE, affine
from nngames.solvers.newton_compiled import COMPILED, compiled_multiplications
from nngames.solvers.newton_systems import SINGLE

#: Displacements of plain passes from which the schemes are judged.
DISPLACEMENTS = 7
#: As many where a pass takes longer than a forecast, or a run of Newton's method at most this time.
EARLY, SHORT = 3, 4e-4
#: Where a compiled pass takes less, other schemes may need less time than the shortest run of Newton's method.
SHORT_PASS = 4e-6
#: Seconds that a forecast may cost: a run that needs no more goes on without one.
FORECAST = 1.5e-4
#: Seconds that it costs to judge a scheme. Plain passes that lower the residual by this factor are quick ones, not
#: worth a forecast of their accelerations.
LOOK, QUICK = 4e-5, 0.6
#: Seconds for a multiplication and addition in a dense product with a vector, and in a sparse one.
DENSE_PRODUCT, SPARSE_PRODUCT = 3e-10, 1.5e-9
#: The same in single precision in a product of matrices and in a factorisation; what each column of the latter adds.
MATRIX_PRODUCT, FACTOR_PRODUCT, FACTOR_COLUMN = 2e-11, 4e-11, 3.5e-7
#: Seconds that a compiled Newton direction takes beside products and factors, and for each column.
COMPILED_DIRECTION, COMPILED_COLUMN = 2e-6, 1.2e-7
#: Seconds that a Newton direction takes beside products and factors, and for each entry of its system.
DIRECTION, SYSTEM_ENTRY = 4e-5, 5e-10
#: For one in a sparse product with a vector of at least ``LONG`` entries, which does not fit into the cache.
SCATTERED_PRODUCT = 3.5e-9
#: Seconds for a call into compiled code, for an entry of a separable response, and for a response that is an algorithm.
CALL, ENTRY, ALGORITHM = 1.5e-6, 4e-9, 1e-4
#: Seconds that the loop takes for a plain step, and an accelerated one beside the products of its memory.
PLAIN_STEP, ACCELERATED_STEP = 4e-6, 3e-5
#: The same for compiled steps, and for a multiplication and addition in their products.
COMPILED_STEP, COMPILED_PRODUCT = 2e-7, 1.5e-10
#: For one in a compiled product of a sparse matrix whose vector fits into the cache.
COMPILED_SPARSE_PRODUCT = 8e-10
#: Seconds that a spectral step takes beside its pass, and for each entry; the latter where it is compiled.
SPECTRAL_STEP, SPECTRAL_ENTRY, COMPILED_SPECTRAL_ENTRY = 1.2e-5, 4e-9, 1.5e-9
#: Seconds that the beginning of another scheme takes.
BEGINNING = 3e-5
#: Estimated seconds for which compiled relaxed steps may be promised that follow plain ones without a beginning. Those
#: of dense steps are bounds: one of 20 neurons takes 0.07 us with a layer and 0.35 us with eight, of 1000 in one call,
#: where 0.34 and 1.3 are counted. So these last about as long as a beginning, and what does not keep its promise loses
#: less. All of them are to keep it, so it is made with more caution.
RELAXED, RELAXED_CAUTION = 4 * BEGINNING, 0.4
#: Newton directions that a run takes on a map that is not affine.
DIRECTIONS = 4
#: Seconds that an extrapolation of plain passes takes, which may save one of them.
EXTRAPOLATION = 2e-5
#: Passes for a direction by a Krylov method.
KRYLOV_PASSES = 60


@dataclass(frozen=True, slots=True)
class Costs:
    """Estimated seconds of a plain step, an accelerated step, a whole run of Newton's method, and a spectral step.

    The last are infinite where they would go singly beside compiled steps of the others. ``affine`` says that the first
    Newton direction ends the run, ``halved`` that plain steps in single precision take half the time. ``relaxed``
    compiled steps with relaxation 1/2 may follow plain ones without a pause: none on acyclic networks, whose plain
    passes end by themselves.

    Attributes
    ----------
    dear : bool
        Whether a pass takes so long that what acceleration adds to it hardly counts.
    at_once : int
        The passes whose displacements are kept, and those that take as long as a look at them.
    kept_share : float
        The share of the former among both.
    quick_share : float
        What quick passes leave of a residual in the time of a look.
    """

    plain: float
    accelerated: float
    newton: float
    spectral: float = math.inf
    affine: bool = False
    halved: bool = False
    relaxed: int = 0
    dear: bool = field(init=False)
    at_once: int = field(init=False)
    kept_share: float = field(init=False)
    quick_share: float = field(init=False)

    def __post_init__(self) -> None:
        look = LOOK / self.plain
        object.__setattr__(self, "dear", self.plain > FORECAST)
        object.__setattr__(self, "at_once", DISPLACEMENTS + int(look))
        object.__setattr__(self, "kept_share", DISPLACEMENTS / (DISPLACEMENTS + look))
        object.__setattr__(self, "quick_share", QUICK**look)

    @property
    def extrapolated(self) -> bool:
        """Whether Newton's method had better start from where the plain passes extrapolate to."""
        return not self.affine and self.newton > DIRECTIONS * EXTRAPOLATION


#: Without compiled steps, and with them.
_costs: tuple[WeakKeyDictionary[Game, Costs], ...] = (WeakKeyDictionary(), WeakKeyDictionary())


def costs_of(game: Game, compiled: bool) -> Costs:
    """Return the estimates for a game, with plain and accelerated steps compiled or not."""
    known = _costs[compiled].get(game)
    if known is None:
        known = _costs[compiled][game] = _counted(game, compiled)
    return known


def _counted(game: Game, compiled: bool) -> Costs:
    once, view = pass_seconds(game), game.fixed_point()
    single = affine(game)
    directions = 1 if single else DIRECTIONS
    newton = _newton_seconds(game, view.size, once, directions)
    accelerated = once + ACCELERATED_STEP + 2e-9 * view.size * 2 * JUDGED
    if not compiled or view.fused is None:
        spectral = once + SPECTRAL_STEP + SPECTRAL_ENTRY * view.size
        return Costs(once + PLAIN_STEP, accelerated, newton, spectral, single, _read_mostly(game))
    fused, product = view.fused, COMPILED_PRODUCT
    if fused.sparse:
        product = COMPILED_SPARSE_PRODUCT if view.size < LONG else SCATTERED_PRODUCT
    plain = COMPILED_STEP + product * fused.multiplications + ENTRY * fused.entries
    multiplications = compiled_multiplications(fused)
    in_steps = multiplications <= COMPILED or (math.isfinite(multiplications) and not single)
    if in_steps and isinstance(game, NetworkGame):
        begun = COMPILED_DIRECTION + COMPILED_COLUMN * view.size
        newton = directions * (begun + _system_seconds(game, view.size) + 4 * plain)
    if fused.sparse:
        return Costs(plain, accelerated, newton, plain + COMPILED_STEP + COMPILED_SPECTRAL_ENTRY * view.size, single)
    accelerated = plain + 2 * COMPILED_STEP + 2e-8 * view.size
    acyclic = isinstance(game, NetworkGame) and is_acyclic(game.network)
    relaxed = 0 if acyclic else int(RELAXED / plain)
    return Costs(plain, accelerated, newton, affine=single, relaxed=relaxed)


def passes_before_forecast(costs: Costs) -> int:
    """Return how many plain passes come before the first forecast: few where one costs more than the forecast."""
    return EARLY if costs.dear or costs.newton < SHORT else DISPLACEMENTS


def pass_seconds(game: Game) -> float:
    """Return the estimated seconds of one pass over the game."""
    if not isinstance(game, NetworkGame | CoupledGame):
        return ALGORITHM
    network, total = game.network, 0.0
    entry = SCATTERED_PRODUCT if network.size >= LONG else SPARSE_PRODUCT
    if network.joint.assembled:
        total = CALL + entry * network.joint.multiplications
    else:
        for coupling in network.couplings:
            sparse = isinstance(coupling, LinearCoupling) and isinstance(coupling.weight, SparseMap)
            total += 2 * CALL + coupling.multiplications * (entry if sparse else DENSE_PRODUCT)
    total += _response_seconds(network, CALL)
    return total if isinstance(game, NetworkGame) else total + 2e-5 * len(game.own)


def shared_pass_seconds(game: Game) -> float:
    """Return the estimated seconds of one start's part of a pass over many: its calls are shared as well."""
    if not isinstance(game, NetworkGame | CoupledGame):
        return ALGORITHM
    total = 0.0
    for coupling in game.network.couplings:
        dense = isinstance(coupling, LinearCoupling) and not isinstance(coupling.weight, SparseMap)
        total += coupling.multiplications * (MATRIX_PRODUCT if dense else SPARSE_PRODUCT)
    return total + _response_seconds(game.network, 0.0)


def _response_seconds(network: Network, call: float) -> float:
    """Return the seconds of all responses, each of which takes a call."""
    total = 0.0
    for where, activation in network.joint.runs:
        total += call + ENTRY * (where.stop - where.start) if activation.separable else ALGORITHM
    return total


def _read_mostly(game: Game) -> bool:
    """Whether a pass takes the time of reading dense weights, so that weights of half the size halve it."""
    return isinstance(game, NetworkGame) and all(
        isinstance(coupling, LinearCoupling)
        and isinstance(coupling.weight, DenseMap)
        and coupling.multiplications >= LARGE_PRODUCT
        for coupling in game.network.couplings
    )


def _newton_seconds(game: Game, size: int, once: float, directions: int) -> float:
    if size > DENSE_SIZE or not isinstance(game, NetworkGame):
        return directions * min(size, KRYLOV_PASSES) * (once + ACCELERATED_STEP)
    return directions * (DIRECTION + FACTOR_COLUMN * size + _system_seconds(game, size) + 4 * once)


def _system_seconds(game: NetworkGame, size: int) -> float:
    """Return the seconds for the products and factors of a system."""
    products = sum(coupling.multiplications for coupling in game.network.couplings)
    layers = len(game.network.players)
    # On a ring of L layers L - 1 products of matrices make the system.
    system = MATRIX_PRODUCT * size * products * (layers - 1) / layers
    precision = 1 if size >= SINGLE else 2
    return precision * (system + FACTOR_PRODUCT * size**3 / 3) + SYSTEM_ENTRY * size**2
