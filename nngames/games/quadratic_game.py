"""Quadratic games without a network: J_l = z'Q_l z/2 + z'(sum_k R_lk x_k + q_l) + f_l(z)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.activations import Activation, activation
from nngames.activations.foundations.base import registry
from nngames.core.bounds import symmetric_extremes
from nngames.core.errors import InputError, NotApplicableError, ShapeError, UnknownNameError
from nngames.core.operators import as_linear_map
from nngames.core.profiles import Array, Player, float_array
from nngames.games.coupled_game import CoupledGame
from nngames.games.own_cost import OwnCost
from nngames.networks import Network


class QuadraticGame(CoupledGame):
    """J_l = z'Q_l z/2 + z'(sum_{k != l} R_lk x_k + q_l) + f_l(z), Q_l positive definite.

    Parameters
    ----------
    quadratic : mapping player -> matrix (n_l, n_l)
        Q_l; its keys are the players. A number for a scalar action.
    coupling : mapping (player, other) -> matrix (n_l, n_k)
        R_lk.
    linear : mapping player -> vector (n_l,), optional
        q_l; default 0.
    penalties : mapping player -> set name, {"name": ..., parameters} or Activation, optional
        f_l: the indicator of a set, named as its projection is (``"nonnegative"``, ``"box"``, ``"simplex"``, ...), or
        the penalty of an activation object; default none.

    Raises
    ------
    ShapeError, InputError, UnknownNameError
        If a shape does not fit, a Q_l is not symmetric positive definite, or a name is not known.
    """

    cost_name = "quadratic"

    def __init__(
        self,
        quadratic: Mapping[Any, Any],
        coupling: Mapping[tuple[Any, Any], Any] | None = None,
        linear: Mapping[Any, ArrayLike] | None = None,
        penalties: Mapping[Any, Any] | None = None,
    ) -> None:
        for what, mapping in (
            ("quadratic", quadratic),
            ("coupling", coupling),
            ("linear", linear),
            ("penalties", penalties),
        ):
            if mapping is not None and not isinstance(mapping, Mapping):
                raise InputError(f"{what} must be a mapping; got {type(mapping).__name__}")
        if not quadratic:
            raise InputError("a quadratic game needs at least one player: quadratic is empty")
        linear, penalties = linear or {}, penalties or {}
        matrices = {player: _positive_definite(player, q) for player, q in quadratic.items()}
        sizes = {player: len(q) for player, q in matrices.items()}
        for what, given in (("linear", linear), ("penalties", penalties)):
            for player in given:
                if player not in sizes:
                    raise UnknownNameError(f"player in {what}", player, [str(p) for p in sizes])
        offsets = {player: _vector(player, linear.get(player), n) for player, n in sizes.items()}
        chosen = {player: _penalty(player, penalties.get(player), n) for player, n in sizes.items()}
        weights = {}
        for edge, matrix in (coupling or {}).items():
            weights[edge] = _coupling(edge, matrix, sizes)
        network = Network.graph(weights, {player: -q for player, q in offsets.items()}, chosen)
        own = {player: OwnCost(chosen[player], _metric(matrices[player], chosen[player])) for player in sizes}
        super().__init__(network, own, {}, neurons=False)

    def explain(self, format: str = "text") -> str:
        """Return the players, action spaces, costs and couplings, as ``"text"`` or ``"latex"``."""
        from nngames.games.explain import explain_quadratic

        return explain_quadratic(self, format)


def _positive_definite(player: Player, value: Any) -> Array:
    matrix = as_linear_map(value, f"the quadratic term of {player}").dense
    if matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"the quadratic term of {player} has shape {matrix.shape}; expected a square matrix")
    if not np.array_equal(matrix, matrix.T):
        raise InputError(f"the quadratic term of {player} is not symmetric; give (Q + Q')/2, which has the same cost")
    smallest, _ = symmetric_extremes(matrix)
    if not smallest.lower > 0:
        raise InputError(
            f"the quadratic term of {player} is not positive definite: its smallest eigenvalue is {smallest.lower:.6g}"
        )
    return matrix


def _vector(player: Player, value: ArrayLike | None, n: int) -> Array:
    if value is None:
        return np.zeros(n)
    vector = np.atleast_1d(float_array(value, f"the linear term of {player}"))
    if vector.shape != (n,):
        raise ShapeError(f"the linear term of {player} has shape {vector.shape}; expected ({n},)")
    return vector


def set_names() -> tuple[str, ...]:
    """Return the names of the sets whose indicators are penalties, those of their projections."""
    from nngames.activations.foundations.projections import SetProjection

    return tuple(sorted(name for name in registry if issubclass(registry[name], SetProjection)))


def _sets() -> str:
    return f"a set ({', '.join(set_names())})"


def _penalty(player: Player, value: Any, n: int) -> Activation:
    if value is None:
        return activation("identity")
    if isinstance(value, Activation):
        chosen = value
    else:
        name = value if isinstance(value, str) else value.get("name") if isinstance(value, Mapping) else None
        if name not in set_names():
            if name in registry:
                named = activation(str(name))
                what = f"the penalty of {player}: {name!r} names an activation"
                if not named.monotone:
                    raise InputError(f"{what}, and one without a penalty: {named.penalty_obstacle}; name {_sets()}")
                raise InputError(
                    f"{what}, the prox of a penalty; name {_sets()}, or pass nng.activation({name!r}) to use its "
                    "penalty"
                )
            raise UnknownNameError(f"penalty of {player}:", name if name is not None else value, set_names())
        options = {} if isinstance(value, str) else {str(k): v for k, v in value.items() if k != "name"}
        chosen = activation(str(name), **options)
    if not chosen.monotone:
        refused = NotApplicableError if chosen.self_map else ShapeError
        raise refused(f"the penalty of {player}: {chosen.penalty_obstacle}; name {_sets()}, or pass another activation")
    try:
        chosen.check_size(n)
    except ShapeError as error:
        raise ShapeError(f"the penalty of {player}: {error}") from None
    return chosen


def _coupling(edge: Any, matrix: Any, sizes: Mapping[Player, int]) -> Any:
    if not isinstance(edge, tuple) or len(edge) != 2:
        raise InputError(f"coupling has the key {edge!r}; expected a pair (player, other)")
    what = f"the coupling of {edge[0]} with {edge[1]}"
    for player in edge:
        if player not in sizes:
            raise UnknownNameError(f"player in {what}:", player, [str(p) for p in sizes])
    if edge[0] == edge[1]:
        raise InputError(f"{what}: a player's own curvature belongs into quadratic")
    weight = as_linear_map(matrix, what, (sizes[edge[0]], sizes[edge[1]]))
    return _negated(weight)


def _negated(weight: Any) -> Any:
    if hasattr(weight, "matrix"):
        return -weight.matrix
    return -weight.operator


def _metric(q: Array, penalty: Activation) -> Array | None:
    if np.array_equal(q, np.eye(len(q))):
        return None
    diagonal = np.diag(q)
    if penalty.separable and np.array_equal(q, np.diag(diagonal)):
        return diagonal.copy()
    return q
