"""Whether a nonnegative network's joint map has exactly one fixed point in the nonnegative orthant, and reaches it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.concave_responses import concave_part
from nngames.certificates.figures import bound_below_one, round_up, shown
from nngames.certificates.norms import linear_map_reason
from nngames.certificates.perron import contraction_weights, growth_vectors
from nngames.certificates.residuals import bias_rounding, joint_values
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game, NetworkGame
from nngames.networks.assembly import assembled_weight

_UNIT = 2.0**-53
_LEAST = 5e-324
_LOWERINGS = 50
# A vector with at most this many entries in its rows is compared in rationals.
_EXACT_ENTRIES = 20_000
_MOST_LEVELS = 1000


@dataclass(frozen=True)
class NonnegativeMap:
    """T on the nonnegative orthant: monotone, concave, with values in it.

    Attributes
    ----------
    recession : sparse array (N, N)
        diag(d) W, d the recession slopes.
    starting : ndarray of bool (N,)
        Where T(0) is positive.
    offset : ndarray (N,)
        c with T(x) <= c + diag(d) W x there.
    exact : ndarray of bool (N,)
        Where the row of ``recession`` was computed without rounding.
    everywhere : bool
        Whether no response is ever negative, so that all fixed points lie in the orthant.
    """

    recession: Any
    starting: NDArray[np.bool_]
    offset: Array
    exact: NDArray[np.bool_]
    everywhere: bool


@certificate_named("nonnegative")
class Nonnegative(Certificate):
    """T(x) = r(W x + b) with W >= 0 has exactly one fixed point x* >= 0 iff diag(d) W has a spectral radius below 1.

    Conditions: each r_i is nondecreasing and concave on [b_i, inf) with r_i(b_i) >= 0; d_i = lim r_i(v)/v. So T maps
    the nonnegative orthant into itself, is monotone and concave there, and N = diag(d) W is its asymptotic map. And
    every coordinate of T^k(0) becomes positive: S = T^k is then a positive concave map, a standard interference mapping
    [yates1995], S(a x) < a S(x) for a > 1, with at most one fixed point, to which S^j(x) converges from every x >= 0 if
    there is one. T x* is another one of S, so x* is that of T, which converges too.

    *Existence.* If N u <= q u with q < 1 and u > 0, T(s u) <= s u for some s, and T^k(0) rises to a fixed point.
    Conversely, slopes are at least d_i, so x* >= T(0) + N x*. Let N u >= u on the support of some u >= 0, u != 0, and s
    be the largest with x* >= s u: at a coordinate where that is tight it fails, if N u > u or T(0) > 0 there, or where
    entries of N lead from there [cavalcante2019, piotrowski2022].

    *Rate.* Where T(0) > 0, with k = min_i T(0)_i / x*_i: T(a x*) >= a x* + (1 - a) k x* for a in [0, 1], and the
    reverse for a > 1, so max_i |x_i - x*_i| / x*_i falls by 1 - k in each step.

    PROVED: exactly one, reached from every start in the orthant. REFUTED: none in the orthant. Witness: ``weights`` u
    and ``radius`` q; ``upper`` >= x*; ``rate`` 1 - k < 1 and ``lower`` <= T(0) where known; ``unique`` whether x*
    is the only equilibrium at all, as where no r is negative; or ``growing`` u, with ``exists`` false where there is no
    equilibrium at all.
    """

    map = "joint"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless weights are nonnegative and responses concave and nonnegative from the biases on."""
        reason = linear_map_reason(game)
        if reason is not None:
            return reason
        if not isinstance(game, NetworkGame):
            return "the game is not that of a network"
        for (target, source), weight in game.network.weights.items():
            if not hasattr(weight, "matrix") and not weight.has_dense:
                return "a coupling is a map without a matrix, too large to be written out"
            stored: Any = weight.matrix if hasattr(weight, "matrix") else weight.dense
            if stored.min() < 0:
                return f"the weight of {target} for {source} has negative entries"
        return _response_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide by the spectral radius of the asymptotic map."""
        asked = _nonnegative_map(game)
        references = ("yates1995", "cavalcante2019", "piotrowski2022")
        method = "a positive concave map and the spectral radius of its asymptotic map"
        silent = _never_positive(game, asked.starting)
        if silent is not None:
            statement = (
                f"the joint map T is not decided on the nonnegative orthant: coordinate {silent} of T^k(0) is never "
                "positive"
            )
            change = "a bias or a coupling that makes this coordinate positive"
            return Verdict(Decision.UNDECIDED, statement, method, references=references, would_change=change)
        weights, radius = _radius(game, asked)
        where = "equilibrium" if asked.everywhere else "fixed point in the nonnegative orthant"
        if radius < 1:
            evidence = {"weights": weights, "radius": radius, "unique": asked.everywhere}
            evidence |= _bounds(game, asked, weights, radius)
            statement = (
                f"the joint map T has exactly one {where}, and its iterates converge to it from every nonnegative "
                "start: it is monotone and concave there, and its asymptotic map has spectral radius at most "
                f"{shown(radius)}"
            )
            change = (
                "a negative weight, or larger weights around a circuit of unbounded responses; this proof holds until "
                f"the spectral radius, at most {shown(radius)} now, reaches 1"
            )
            return Verdict(Decision.PROVED, statement, method, 1 - radius, evidence, references, would_change=change)
        growing = _growing_vector(asked)
        if growing is not None:
            statement = (
                f"the joint map T has no {where}: it is monotone and concave there, and its asymptotic map has "
                "spectral radius at least 1"
            )
            evidence = {"growing": growing[0]} | ({"exists": False} if asked.everywhere else {})
            change = "smaller weights, with which the asymptotic map's spectral radius is below 1"
            return Verdict(Decision.REFUTED, statement, method, growing[1], evidence, references, would_change=change)
        statement = (
            f"the joint map T is not decided on the nonnegative orthant: the spectral radius of its asymptotic map is "
            f"at most {shown(radius)}"
        )
        change, evidence = bound_below_one(radius), {"radius": radius}
        return Verdict(Decision.UNDECIDED, statement, method, None, evidence, references, would_change=change)


def _radius(game: Any, asked: NonnegativeMap) -> tuple[Array, float]:
    """Return weights u and q with diag(d) W u <= q u; the recession slopes are at most the Lipschitz constants."""
    from nngames.certificates import verdict_of

    if not asked.recession.data.any():
        return np.ones(asked.starting.size), 0.0
    known = verdict_of("neuron_contraction", game)
    if known.proved:
        return known.witness["weights"], known.witness["factor"]
    return contraction_weights(asked.recession)


def _response_reason(game: Any) -> str | None:
    for player, activation in game.network.activations.items():
        part = concave_part(activation)
        if part is None:
            return f"the activation {activation.name!r} of player {player} is not known to be concave anywhere"
        bias = _bias(game, player)
        if not (bias >= part.start).all():
            return f"the activation {activation.name!r} of player {player} is not concave from its bias on"
        if not (bias >= part.root_above).all():
            return f"the activation {activation.name!r} of player {player} is negative, or zero throughout, at its bias"
    return None


def _bias(game: Any, player: Any) -> Array:
    """Return a lower bound on b, float64; a fixed input brings in a product that was rounded."""
    bias, rounding = np.asarray(game.network.effective_bias(player), dtype=float), bias_rounding(game.network, player)
    return np.where(rounding > 0, np.nextafter(bias - rounding, -np.inf), bias)


def _nonnegative_map(game: Any) -> NonnegativeMap:
    from scipy import sparse

    network = game.network
    slopes, offsets, starting, everywhere = [], [], [], True
    for player, n in network.dims.items():
        part: Any = concave_part(network.activations[player])
        bias = np.asarray(network.effective_bias(player), dtype=float)
        slope, offset = (np.broadcast_to(np.asarray(a, dtype=float), (n,)) for a in (part.recession, part.offset))
        slopes.append(slope)
        # Rounded up by more than the products and sums lose.
        terms = np.abs(offset) + slope * (np.abs(bias) + bias_rounding(network, player))
        shift = slope * bias_rounding(network, player) + 8 * _UNIT * terms + 8 * _LEAST
        offsets.append(np.where(terms > 0, np.nextafter(offset + slope * bias + shift, np.inf), 0.0))
        starting.append(_bias(game, player) > part.root_below)
        everywhere = everywhere and bool(network.activations[player].limits[0] >= 0)
    weight: Any = assembled_weight(network)
    matrix, scales = weight.matrix, np.concatenate(slopes)
    data = matrix.data * np.repeat(scales, np.diff(matrix.indptr))
    recession = sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    exact = (scales == 0) | (scales == 1)
    return NonnegativeMap(recession, np.concatenate(starting), np.concatenate(offsets), exact, everywhere)


def _never_positive(game: Any, starting: NDArray[np.bool_]) -> int | None:
    """Return a coordinate that no chain of positive weights joins to one where T(0) is positive; None if none is.

    A response is positive beyond its bias also where it is 0 there, so positivity passes along the weights.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order

    if starting.all():
        return None
    weight: Any = assembled_weight(game.network)
    n = starting.size
    heard = weight.matrix.T > 0
    first = sparse.csr_array(starting[None, :].astype(np.int8))
    graph = sparse.block_array([[None, first], [sparse.csr_array((n, 1), dtype=np.int8), heard.astype(np.int8)]])
    reached = breadth_first_order(sparse.csr_array(graph), 0, return_predecessors=False) - 1
    silent = np.setdiff1d(np.arange(n), reached)
    return int(silent[0]) if silent.size else None


def _bounds(game: Any, asked: NonnegativeMap, weights: Array, radius: float) -> dict[str, Any]:
    """Return an upper bound on x* and, where T(0) > 0, the rate; x* <= c + diag(d) W x* keeps bounds above x*."""
    low, high, _ = joint_values(game.network, np.zeros(asked.offset.size))
    upper = _upper(np.maximum(asked.offset, 0.0), asked.recession, weights, radius)
    steep = _steepest(game)
    if steep is not None:
        # T(x) <= T(0) + diag(S) W x, S the largest slopes: tighter where T(0) is small and r bounded.
        upper = np.minimum(upper, _upper(np.maximum(high, 0.0), *steep))
    if not np.isfinite(upper).all():
        return {}
    if not (asked.starting & (low > 0)).all():
        return {"upper": upper}
    share = float(np.min(low / upper)) * (1 - 4 * _UNIT)
    rate = round_up(1 - Fraction(share))
    return {"upper": upper, "lower": low, "rate": rate} if rate < 1 else {"upper": upper}


def _upper(positive: Array, matrix: Any, weights: Array, radius: float) -> Array:
    """Return an upper bound on the x >= 0 with x <= c + N x, c = ``positive``, from N u <= q u with q < 1."""
    n = positive.size
    grow = 1 + 4 * (n + 4) * _UNIT
    with np.errstate(over="ignore"):
        upper = np.asarray(weights * (float(np.max(positive / weights)) / (1 - radius) * (1 + 1e-12)) + _LEAST)
        for _ in range(_LOWERINGS):
            lowered = np.minimum(upper, (positive + matrix @ upper) * grow + (n + 4) * _LEAST)
            if not (lowered < upper * (1 - 1e-6)).any():
                break
            upper = lowered
    return upper


def _steepest(game: Any) -> tuple[Any, Array, float] | None:
    """Return diag(S) W, rounded up, with the weights and the factor by which T contracts; None where it does not."""
    from scipy import sparse

    from nngames.certificates import verdict_of

    known = verdict_of("neuron_contraction", game)
    if not known.proved:
        return None
    weight: Any = assembled_weight(game.network)
    scales = np.concatenate([np.full(n, game.network.activations[p].lipschitz) for p, n in game.network.dims.items()])
    matrix = weight.matrix
    data = np.nextafter(matrix.data * np.repeat(scales, np.diff(matrix.indptr)), np.inf)
    rows = sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    return rows, known.witness["weights"], known.witness["factor"]


def _growing_vector(asked: NonnegativeMap) -> tuple[Array, float] | None:
    """Return u >= 0, not 0, with N u >= u on its support, and the least (N u)_i / u_i - 1; None where none is found.

    From each coordinate of the support, entries of N lead to one where N u > u or T(0) > 0: where x* >= s u is tight
    with neither, it is tight at what that coordinate listens to as well.
    """
    matrix = asked.recession
    shrink = 1 - 2 * (int(np.diff(matrix.indptr).max(initial=0)) + 8) * _UNIT
    for u in growth_vectors(matrix):
        support = u > 0
        while support.any():
            u = np.where(support, u, 0.0)
            image = np.asarray(matrix @ u) * shrink
            strict = support & (image > u)
            grows = strict if strict[support].all() else strict | (support & asked.exact & _at_least(matrix, u, image))
            if not grows[support].all():
                support = grows
                continue
            if _all_lead_to(matrix, support, strict | (support & asked.starting)):
                return u, max(0.0, float(np.min(image[support] / u[support])) - 1)
            break
    return None


def _all_lead_to(matrix: Any, support: NDArray[np.bool_], goals: NDArray[np.bool_]) -> bool:
    """Return whether entries of N lead from every coordinate of the support to a goal."""
    reached = goals
    for _ in range(_MOST_LEVELS):
        if reached[support].all():
            return True
        following = reached | (support & (np.asarray(matrix @ reached.astype(float)) > 0))
        if (following == reached).all():
            return False
        reached = following
    return False


def _at_least(matrix: Any, u: Array, image: Array) -> NDArray[np.bool_]:
    """Return where N u >= u exactly, decided in rationals for rows near equality; False where there are too many."""
    result = np.zeros(u.size, dtype=bool)
    near = np.flatnonzero((u > 0) & (np.abs(image - u) <= 1e-9 * u))
    if int(np.diff(matrix.indptr)[near].sum()) > _EXACT_ENTRIES:
        return result
    for i in near:
        row = slice(matrix.indptr[i], matrix.indptr[i + 1])
        pairs = zip(matrix.data[row].tolist(), u[matrix.indices[row]].tolist(), strict=True)
        terms = (Fraction(a) * Fraction(b) for a, b in pairs)
        result[i] = sum(terms, Fraction(0)) >= Fraction(u[i])
    return result
