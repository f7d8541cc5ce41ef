"""Whether the composite map O of a ring contracts in the Euclidean norm, by norms of products over the ring."""

from __future__ import annotations

from typing import Any

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.composite_bounds import CompositeBound, composite_bound, composite_reason
from nngames.certificates.composite_cuts import cut_bounds
from nngames.certificates.figures import bound_below_one, bound_reaches_one, error_factor, round_up, shown
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.networks import Network

# Up to this size the norms of all partial products cost little.
_SMALL_LAYER = 256


@certificate_named("composite_contraction")
class CompositeContraction(Certificate):
    """O contracts with factor q = prod_l lip_l |W_l|_2 if q < 1; then the equilibrium exists and is unique (Banach).

    Where that product is 1 or more, and for layers of up to 256 anyway, q is the sum over the sets of cuts
    (``composite_cuts``), which is never larger.
    PROVED by an upper bound below 1. REFUTED only where O is affine: then its Lipschitz constant is the norm of its
    linear part. A bound of 1 or more says nothing about a nonlinear O; ``composite_lipschitz`` has dearer ones.
    Witness: ``factor`` q, ``norms`` and ``lipschitz_constants`` by layer, ``merged`` the runs of layers whose weights
    were multiplied first, ``unique``, and ``error_factor`` 1/(1 - q), which bounds |x - x*| by |O(x) - x|.
    """

    map = "composite"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game is that of a linear ring."""
        return composite_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide whether the bound is below 1."""
        bound = composite_bound(game.network)
        (factor, method), witness = least_bound(game.network), bound_witness(bound)
        if factor < 1:
            statement = (
                f"the composite map O contracts in the Euclidean norm with factor {shown(factor)}, so it has exactly "
                "one fixed point"
            )
            evidence = {"factor": factor, **witness, "unique": True, "error_factor": error_factor(factor)}
            references, change = ("bauschke2017",), bound_reaches_one(factor)
            return Verdict(Decision.PROVED, statement, method, 1 - factor, evidence, references, would_change=change)
        if bound.lower is not None and bound.lower >= 1:
            statement = (
                f"the composite map O is affine and the norm of its linear part is at least {shown(bound.lower)}, so "
                "it is no contraction in the Euclidean norm"
            )
            evidence = {"norm_lower": bound.lower, **witness}
            change = "weights that bring the norm of the linear part below 1"
            margin = bound.lower - 1
            return Verdict(Decision.REFUTED, statement, bound.method, margin, evidence, would_change=change)
        statement = (
            f"the composite map O is not shown to contract: its Lipschitz constant is at most {shown(factor)}, and a "
            "bound below 1 is only sufficient"
        )
        change, evidence = bound_below_one(factor), {"factor": factor, **witness}
        return Verdict(Decision.UNDECIDED, statement, method, None, evidence, would_change=change)


def least_bound(network: Network) -> tuple[float, str]:
    """Return a Lipschitz constant of O and its method: the least of the product of norms and the sum over the cuts.

    Where the product is below 1 and layers are large, the cuts are not worth their time.
    """
    bound = composite_bound(network)
    if bound.lipschitz < 1 and max(network.dims.values()) > _SMALL_LAYER:
        return bound.lipschitz, bound.method
    reach = cut_bounds(network).lipschitz
    if reach < bound.lipschitz:
        return round_up(reach), "norms of partial products, summed over the sets of cuts between the layers"
    return bound.lipschitz, bound.method


def bound_witness(bound: CompositeBound) -> dict[str, Any]:
    """Return the figures from which another program can recompute the bound."""
    witness = {"norms": bound.norms, "lipschitz_constants": bound.lipschitz_constants}
    return {**witness, "merged": bound.merged} if bound.merged else witness
