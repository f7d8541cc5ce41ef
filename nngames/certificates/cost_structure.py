"""Cost structure: the coupling pairs of a game's costs, as far as the costs are quadratic in the others' actions.

Proximal costs and quadratic games: J_l = phi_l(z) - <z, c_l + sum B_lk x_k>, whatever the penalties.

Tracking costs: J_l = |z - r_l(v_l)|^2/2 with z free in R^{n_l}. A unilateral step d of l changes J_l by
<d, z + d/2 - r_l(v_l)>. In a (weighted) potential game, steps d of l and x_k -> x_k' of k commute:
c_l <d, r_l(v_l(x_k')) - r_l(v_l(x_k))> = c_k <x_k' - x_k, r_k(v_k(x_l + d)) - r_k(v_k(x_l))>, whose right side is
linear in x_k' - x_k. So r_l(v_l) is affine in x_k. Where r_l is separable and W_lk has a nonzero row, v_l runs over R
there and r_l must be affine itself; then the game is quadratic with B_lk = s_l W_lk, s_l the slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.certificates.coupling_pairs import CouplingPairs, LayerPairs
from nngames.certificates.direction_spaces import DirectionSpace
from nngames.certificates.neuron_pairs import NeuronPairs, paired_entries, paired_table
from nngames.core.errors import OptionError
from nngames.core.operators import LinearMap
from nngames.core.profiles import Player
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game, TrackingGame

#: Slopes that differ by more than this differ beyond the rounding of their bounds: the response is not affine.
_SLOPE_GAP = 1e-9
# Dense couplings of at most so many neurons are paired in one table, ten times faster than entry by entry.
_MOST_TABLE = 3000


def check_tolerance(data_tolerance: float) -> None:
    """Raise OptionError unless the data tolerance is a number in [0, 1)."""
    number = isinstance(data_tolerance, int | float | np.number) and not isinstance(data_tolerance, bool)
    if not number or not 0 <= data_tolerance < 1:
        raise OptionError(f"data_tolerance must be a number in [0, 1); got {data_tolerance!r}")


def costs_reason(game: Game) -> str | None:
    """Return why the potential certificates cannot be asked of a game; None if they can."""
    if not isinstance(game, CoupledGame | TrackingGame):
        return "the game has no linear couplings between its players"
    if not game.network.linear:
        return "a coupling is not linear"
    for (target, source), weight in game.network.weights.items():
        if not hasattr(weight, "matrix") and not weight.has_dense:
            return f"the coupling of {target} with {source} is a map without a matrix, too large to be written out"
        mixing = [p for p in (target, source) if not game.network.activations[p].separable]
        if mixing and not weight.has_dense and not isinstance(game, TrackingGame):
            return (
                f"the coupling of {target} with {source} is too large for the projection on the domain of {mixing[0]}"
            )
    return None


def described(game: Any) -> str:
    """Return the game with its cost and its players, for a statement."""
    players = "its players" if not hasattr(game, "neurons") else "neurons" if game.neurons else "layers"
    if not isinstance(game, TrackingGame) and game.cost_name == "quadratic":
        return "the game with quadratic costs"
    return f"the game with the {game.cost_name} cost and {players} as players"


def nonlinear_response(game: Any, kind: str) -> Verdict | None:
    """Return the verdict on a tracking game in which a response is not affine in what it hears; None otherwise."""
    if not isinstance(game, TrackingGame):
        return None
    article = "an" if kind == "exact" else "a"
    for (target, source), weight in game.network.weights.items():
        activation = game.network.activations[target]
        low, high = activation.slope_range
        if low == high or not _nonzero(weight):
            continue
        if not activation.defined_everywhere:
            statement = (
                f"it is not decided whether {described(game)} has {article} {kind} potential: the activation "
                f"{activation.name!r} of player {target} is not defined for every pre-activation, so some costs are not"
            )
            change = f"an activation of player {target} that is defined for every pre-activation"
            return Verdict(Decision.UNDECIDED, statement, "commuting unilateral steps", would_change=change)
        what = f"player {target} listens to {source} with the activation {activation.name!r}"
        # With parameters by coordinate, the coordinate that listens may be an affine one.
        if activation.separable and activation.size is None and high - low > _SLOPE_GAP:
            statement = (
                f"{described(game)} has no {kind} potential: {what}, whose slopes range from {low:.6g} to {high:.6g}, "
                "so its response is not affine in the other's action"
            )
            witness = {"player": target, "source": source, "slopes": [low, high]}
            return Verdict(
                Decision.REFUTED,
                statement,
                "commuting unilateral steps",
                high - low,
                witness,
                would_change=f"at least an affine activation of player {target}, or a coupling 0 with {source}",
            )
        statement = (
            f"it is not decided whether {described(game)} has {article} {kind} potential: {what}, which is not known "
            "to be affine; the criterion needs responses that are affine in each other player's action"
        )
        change = f"an activation of player {target} that is affine, or by coordinate and the same for all of them"
        return Verdict(Decision.UNDECIDED, statement, "commuting unilateral steps", would_change=change)
    return None


def coupling_pairs(game: Any) -> CouplingPairs:
    """Return the coupling pairs of a game that ``costs_reason`` and ``nonlinear_response`` let through."""
    spaces = _spaces(game)
    network = game.network
    factors = dict.fromkeys(network.players, 1.0)
    if isinstance(game, TrackingGame):
        # A response that is not affine hears nothing here; its factor does not matter.
        factors = {player: _slope(activation) for player, activation in network.activations.items()}
    couplings = {edge: _stored(weight) for edge, weight in network.weights.items()}
    if game.neurons:
        return _neuron_pairs(game, couplings, spaces, factors)
    apart = {edge: matrix for edge, matrix in couplings.items() if edge[0] != edge[1]}
    return LayerPairs(network.players, apart, spaces, factors)


def _spaces(game: Any) -> dict[Player, DirectionSpace]:
    from nngames.activations import AffineHull

    if isinstance(game, TrackingGame):
        return {player: DirectionSpace(AffineHull(np.zeros(n)), n) for player, n in game.network.dims.items()}
    own, dims = game.own, game.network.dims
    return {player: DirectionSpace(own[player].activation.domain.affine_hull(n), n) for player, n in dims.items()}


def _neuron_pairs(
    game: Any,
    couplings: dict[tuple[Player, Player], Any],
    spaces: dict[Player, DirectionSpace],
    factors: dict[Player, float],
) -> NeuronPairs:
    from scipy import sparse

    slices, dims = game.network.space.slices, game.network.dims
    index = {player: i for i, player in enumerate(game.network.players)}
    varies = np.concatenate([spaces[player].mask for player in dims])  # separable domains are products
    block_of = np.repeat(np.arange(len(dims)), list(dims.values()))
    all_factors = np.concatenate([np.full(n, factors[player]) for player, n in dims.items()])
    if not any(hasattr(matrix, "tocsr") for matrix in couplings.values()) and varies.size <= _MOST_TABLE:
        table, blocks = np.zeros((varies.size,) * 2), {}
        for (target, source), matrix in couplings.items():
            table[slices[target], slices[source]] = matrix
        np.fill_diagonal(table, 0.0)
        for target, source in couplings:
            entries = table[slices[target], slices[source]]
            largest = float(max(entries.max(initial=0.0), -entries.min(initial=0.0)))
            blocks[index[target], index[source]] = largest * abs(factors[target])
        table[~varies] = 0.0
        table[:, ~varies] = 0.0
        return NeuronPairs(game.players, paired_table(table), all_factors, block_of, blocks)
    rows, columns, values = [], [], []
    sizes: dict[tuple[int, int], float] = {}
    for (target, source), matrix in couplings.items():
        block = sparse.coo_array(matrix)
        i, j = block.row + slices[target].start, block.col + slices[source].start
        other = i != j
        sizes[index[target], index[source]] = float(np.abs(block.data[other]).max(initial=0.0)) * abs(factors[target])
        kept = other & varies[i] & varies[j] & (block.data != 0)
        rows.append(i[kept])
        columns.append(j[kept])
        values.append(block.data[kept])
    placed: Any = (
        np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
        for parts, dtype in ((rows, np.intp), (columns, np.intp), (values, np.float64))
    )
    return NeuronPairs(game.players, paired_entries(varies.size, *placed), all_factors, block_of, sizes)


def _stored(weight: LinearMap) -> Any:
    matrix: Any = weight.matrix if hasattr(weight, "matrix") else weight.dense
    return matrix.astype(np.float64)


def _slope(activation: Any) -> float:
    """Return the slope of an affine response, 0 for others."""
    low, high = activation.slope_range
    return float(low) if low == high else 0.0


def _nonzero(weight: LinearMap) -> bool:
    return bool(abs(_stored(weight)).max() > 0)
