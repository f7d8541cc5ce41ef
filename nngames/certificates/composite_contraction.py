"""Whether the composite map O of a ring contracts in the Euclidean norm, by the product of norms over the ring."""

from __future__ import annotations

from typing import Any

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.composite_bounds import CompositeBound, composite_bound, composite_reason
from nngames.certificates.figures import shown
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game


@certificate_named("composite_contraction")
class CompositeContraction(Certificate):
    """O contracts with factor q = prod_l lip_l |W_l|_2 if q < 1; then the equilibrium exists and is unique (Banach).

    PROVED by an upper bound below 1. REFUTED only where O is affine: then its Lipschitz constant is the norm of its
    linear part. A product of 1 or more says nothing about a nonlinear O. Witness: ``factor`` q, ``norms`` and
    ``lipschitz_constants`` by layer, ``merged`` the runs of layers whose weights were multiplied first, ``unique``.
    """

    map = "composite"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game is that of a linear ring."""
        return composite_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide whether the bound is below 1."""
        bound = composite_bound(game.network)
        factor, witness = bound.lipschitz, bound_witness(bound)
        if factor < 1:
            statement = (
                f"the composite map O contracts in the Euclidean norm with factor {shown(factor)}, so it has exactly "
                "one fixed point"
            )
            evidence = {"factor": factor, **witness, "unique": True}
            return Verdict(Decision.PROVED, statement, bound.method, 1 - factor, evidence, ("bauschke2017",))
        if bound.lower is not None and bound.lower >= 1:
            statement = (
                f"the composite map O is affine and the norm of its linear part is at least {shown(bound.lower)}, so "
                "it is no contraction in the Euclidean norm"
            )
            evidence = {"norm_lower": bound.lower, **witness}
            return Verdict(Decision.REFUTED, statement, bound.method, bound.lower - 1, evidence)
        statement = (
            f"the composite map O is not shown to contract: the product of norms is at most {shown(factor)}, and below "
            "1 is only sufficient"
        )
        return Verdict(Decision.UNDECIDED, statement, bound.method, None, {"factor": factor, **witness})


def bound_witness(bound: CompositeBound) -> dict[str, Any]:
    """Return the figures from which another program can recompute the bound."""
    witness = {"norms": bound.norms, "lipschitz_constants": bound.lipschitz_constants}
    return {**witness, "merged": bound.merged} if bound.merged else witness
