"""Whether the composite map O of a ring is nonexpansive in the Euclidean norm, decided exactly at the threshold 1."""

from __future__ import annotations

from typing import Any

from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.composite_bounds import composite_bound, composite_reason
from nngames.certificates.composite_contraction import bound_witness, least_bound
from nngames.certificates.figures import shown
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game


@certificate_named("composite_nonexpansive")
class CompositeNonexpansive(Certificate):
    """O is nonexpansive if prod_l lip_l |W_l|_2 <= 1, or the sum over the sets of cuts (``composite_cuts``) is.

    This licenses Krasnoselskii-Mann steps on O with sum lambda_t (1 - lambda_t) = infinity, constant ones in (0, 1)
    included, where O has a fixed point [bauschke2017, ch. 5]; it claims no fixed point. A nonexpansive map need not be
    averaged; a q-Lipschitz one is (1 + q)/2-averaged if q < 1, since |1 - 1/gamma| + q/gamma = 1 there. REFUTED only
    where O is affine. The cuts, which take the norms of partial products, are asked where the product of the norms is
    above 1. Witness: ``lipschitz``, ``norms`` and ``lipschitz_constants`` by layer, ``merged``.
    """

    map = "composite"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game is that of a linear ring."""
        return composite_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide whether the bound is at most 1."""
        bound = composite_bound(game.network)
        value, method = (bound.lipschitz, bound.method) if bound.lipschitz <= 1 else least_bound(game.network)
        witness = {"lipschitz": value, **bound_witness(bound)}
        if value <= 1:
            statement = (
                "the composite map O is nonexpansive in the Euclidean norm: its Lipschitz constant is at most "
                f"{shown(value)}"
            )
            change = f"larger weights or slopes; this proof holds until the bound, {shown(value)} now, exceeds 1"
            references = ("bauschke2017",)
            return Verdict(Decision.PROVED, statement, method, 1 - value, witness, references, would_change=change)
        if bound.lower is not None and bound.lower > 1:
            statement = (
                f"the composite map O is affine and the norm of its linear part is at least {shown(bound.lower)}, so "
                "it is not nonexpansive in the Euclidean norm"
            )
            evidence = {"norm_lower": bound.lower, **witness}
            change = "weights that bring the norm of the linear part down to 1"
            margin = bound.lower - 1
            return Verdict(Decision.REFUTED, statement, bound.method, margin, evidence, would_change=change)
        statement = (
            "the composite map O is not shown to be nonexpansive: its Lipschitz constant is at most "
            f"{shown(value)}, and a bound of at most 1 is only sufficient"
        )
        change = f"a sharper bound, or smaller weights or slopes that bring this one, {shown(value)} now, down to 1"
        return Verdict(Decision.UNDECIDED, statement, method, None, witness, would_change=change)
