"""Whether an equilibrium exists: by an order of the players, by bounded responses, by growth, by other certificates."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.figures import bound_reaches_one, shown
from nngames.certificates.joint_contraction import JointContraction, joint_name
from nngames.certificates.norms import linear_map_reason, partial_response_reason, several_answers_reason
from nngames.certificates.response_boxes import mapped_box, range_of
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import CoupledGame, Game, NetworkGame

# Those that prove existence, the cheap ones first.
_OTHERS = (
    "composite_contraction",
    "joint_contraction",
    "neuron_contraction",
    "euclidean_contraction",
    "nonnegative",
    "monotone",
    "diagonal_stability",
    "p_matrix",
    "composite_lipschitz",
)


@certificate_named("existence")
class Existence(Certificate):
    """An equilibrium exists if T, continuous, maps a box into itself (Brouwer), or where another certificate has one.

    In this order. Players that can be put in an order in which each listens to earlier ones only have exactly one
    equilibrium, whatever r is. Where every r is bounded, or every dom f is, T maps a compact convex set into itself.
    Where r is bounded on one side only, as ReLU is, the box of its range passes through x -> r(Wx + b) until it is
    finite: x >= 0 and W <= 0 give x <= r(b). Where |r(v)| <= a|v| + c and the spectral radius of diag(a)|W| is below 1,
    with a = 0 for a bounded r, a box |x| <= h is mapped into itself (``growth_box``). Then contraction of T or of O,
    nonnegative networks, strong monotonicity, diagonal stability and P-matrices are asked. None of these is necessary;
    REFUTED only by ``nonnegative``, where no response is ever negative and T has no fixed point in the orthant.
    The margin is that of the certificate that has it, or 1 less the bound on the growth; None where the order, the
    ranges or a box prove it, which no small change of the weights undoes by an amount that is known.
    Witness: ``box`` (lower, upper), which contains every equilibrium, where one is known; ``unique`` where proved;
    ``certificate`` that has it.
    """

    map = "joint"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless responses are defined everywhere."""
        if not isinstance(game, NetworkGame | CoupledGame):
            return "the game has neither a network nor couplings between its players"
        return partial_response_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide by the first argument that holds."""
        if _in_an_order(game):
            text = "its players can be put in an order in which each listens to earlier ones only"
            change = "a coupling that closes a cycle among the players"
            return _proved(game, text, "order of the players", {"unique": True}, change, unique=True)
        continuous = several_answers_reason(game) is None
        if continuous and all(a.bounded for a in game.network.activations.values()):
            method = "bounded responses, Brouwer's fixed-point theorem"
            change = "a response without a bound, or one that jumps"
            text = "its range is bounded and it is continuous"
            return _proved(game, text, method, {}, change, box=_bounded_box(game))
        if continuous and linear_map_reason(game) is None:
            box = mapped_box(game)
            if box is not None:
                method = "interval bounds of x -> r(Wx + b), Brouwer's fixed-point theorem"
                change = "weights or responses with which no box is mapped into itself, or a response that jumps"
                return _proved(game, "it maps a box into itself and is continuous", method, {}, change, box=box)
            radius = _growth_of_blocks(game)
            if radius is not None:
                method = "growth of the responses, Brouwer's fixed-point theorem"
                text = f"its linear growth has a spectral radius of at most {shown(radius)}"
                change = bound_reaches_one(radius)
                return _proved(game, text, method, {"growth": radius}, change, margin=1 - radius)
        return _by_others(game)


def _in_an_order(game: Any) -> bool:
    """Whether the graph of couplings has no cycle, self-loops included."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    index = {player: i for i, player in enumerate(game.network.players)}
    edges = [(index[c.target], index[s]) for c in game.network.couplings for s in c.sources]
    if any(target == source for target, source in edges):
        return False
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    graph = sparse.csr_array((np.ones(len(edges)), (rows, columns)), shape=(len(index),) * 2)
    return int(connected_components(graph, connection="strong")[0]) == len(index)


def _bounded_box(game: Any) -> tuple[Array, Array] | None:
    """Return a box that contains every equilibrium of bounded responses; None where none is known."""
    if linear_map_reason(game) is None:
        return mapped_box(game)
    ranges = [range_of(game.network.activations[player], n) for player, n in game.network.dims.items()]
    low, high = (np.concatenate(part) for part in zip(*ranges, strict=True))
    return (low, high) if np.isfinite(low).all() and np.isfinite(high).all() else None


def _growth_of_blocks(game: Any) -> float | None:
    """Return a bound below 1 on the spectral radius of a_l |W_lk|_2, a_l = 0 where r_l is bounded; None without one."""
    from scipy import sparse

    from nngames.certificates.joint_contraction import norm_matrix
    from nngames.certificates.perron import contraction_weights

    if JointContraction().applies(game) is not None:
        return None
    matrix, reason = norm_matrix(game)
    if reason is not None:
        return None
    moving = [float(not game.network.activations[player].bounded) for player in game.network.players]
    growth = sparse.csr_array(sparse.diags_array(moving) @ matrix)
    growth.eliminate_zeros()
    bound = contraction_weights(growth)[1]
    return bound if bound < 1 else None


def _by_others(game: Any) -> Verdict:
    from nngames.certificates import verdict_of

    for name in _OTHERS:
        verdict = verdict_of(name, game)
        unique = bool(verdict.witness.get("unique"))
        if verdict.proved and (unique or name == "nonnegative"):
            witness = {"unique": True, "certificate": name} if unique else {"certificate": name}
            change = verdict.would_change
            return _proved(game, f"{name} proves it", name, witness, change, unique, verdict.margin)
        if verdict.refuted and verdict.witness.get("exists") is False:
            statement = f"{joint_name(game)} has no fixed point: {name} proves it"
            evidence = {"exists": False, "certificate": name}
            margin, references, change = verdict.margin, verdict.references, verdict.would_change
            return Verdict(Decision.REFUTED, statement, name, margin, evidence, references, would_change=change)
    statement = f"a fixed point of {joint_name(game)} is not shown to exist"
    method = "order, bounded responses, growth, other certificates"
    change = "bounded responses, or weights small enough for a contraction"
    return Verdict(Decision.UNDECIDED, statement, method, would_change=change)


def _proved(
    game: Any,
    reason: str,
    method: str,
    witness: dict[str, Any],
    change: str,
    unique: bool = False,
    margin: float | None = None,
    box: Any = None,
) -> Verdict:
    if box is not None:
        witness = witness | {"box": {"lower": box[0], "upper": box[1]}}
    count = "exactly one fixed point" if unique else "a fixed point"
    statement = f"{joint_name(game)} has {count}: {reason}"
    evidence, references = {"exists": True, **witness}, ("facchinei2003",)
    return Verdict(Decision.PROVED, statement, method, margin, evidence, references, would_change=change)
