"""How Lipschitz the composite map O of a ring is, by every bound that its size affords."""

from __future__ import annotations

import math
from typing import Any

from nngames.certificates.activation_masks import MASKED_COORDINATES, hidden_coordinates, masked_norm
from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.composite_bounds import composite_bound, composite_reason
from nngames.certificates.composite_cuts import cut_bounds
from nngames.certificates.figures import error_factor, round_up, shown
from nngames.certificates.lipsdp import LIPSDP_ORDER, lipsdp
from nngames.core.profiles import Array
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game
from nngames.networks import Network


@certificate_named("composite_lipschitz")
class CompositeLipschitz(Certificate):
    """O is q-Lipschitz, q the least of several bounds; q < 1 makes it a contraction.

    - ``norm_product``: prod_l lip_l |W_l|, weights around affine layers multiplied first;
    - ``combettes_pesquet``: theta/2^{m-1} for firmly nonexpansive layers, and its like for slopes in [s, S]
      (``composite_cuts``) [combettes2020];
    - ``masks``: the largest |W_m D_{m-1} ... D_1 W_1| over diagonal D of slopes s and S, which is the supremum over all
      slopes between (``activation_masks``); up to 10 hidden coordinates, separable;
    - ``lipsdp``: a semidefinite program with diagonal multipliers (``lipsdp``) [fazlyab2019]; up to 40 coordinates
      in all, and only where ``masks``, which is never above it, is not had.

    Always masks <= combettes_pesquet <= norm_product, and masks <= lipsdp. PROVED says that q is a Lipschitz constant
    with respect to the Euclidean norm; the margin is 1 - q, or 0 for q >= 1. Witness: ``lipschitz`` q, ``bounds`` by
    name, ``best`` the name of q's, ``multipliers`` of ``lipsdp`` by hidden layer where floats hold them,
    ``masks_lower``, below which no bound from weights and slopes alone can be; for q < 1 ``unique`` and
    ``error_factor`` 1/(1 - q), which bounds |x - x*| by |O(x) - x|.
    """

    map = "composite"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the game is that of a linear ring with Lipschitz layers."""
        return composite_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Take the least of the bounds."""
        network = game.network
        bounds, extra = _bounds(network)
        best = min(bounds, key=lambda name: bounds[name])
        value = bounds[best]
        finite = {name: bound for name, bound in bounds.items() if math.isfinite(bound)}
        witness: dict[str, Any] = {"lipschitz": value, "bounds": finite, "best": best, **extra}
        method = f"{best}, of {', '.join(bounds)}"
        if not math.isfinite(value):
            statement = "the composite map O has no Lipschitz constant that is known: no bound on a coupling is"
            change = "a bound on every coupling and every slope"
            return Verdict(Decision.UNDECIDED, statement, method, would_change=change)
        statement = f"the composite map O is Lipschitz with constant {shown(value)}, by {best}"
        if value < 1:
            statement += ", so it contracts and has exactly one fixed point"
            witness |= {"unique": True, "error_factor": error_factor(value)}
        change = "larger weights or slopes; a sharper bound would prove a smaller constant"
        margin, references = max(0.0, 1 - value), _REFERENCES.get(best, ())
        return Verdict(Decision.PROVED, statement, method, margin, witness, references, would_change=change)


_REFERENCES = {"combettes_pesquet": ("combettes2020",), "lipsdp": ("fazlyab2019", "pauli2022")}


def _bounds(network: Network) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the bounds by name, those that cost more only where sizes are small, and what they leave as evidence."""
    # Each bound is at most the one before it, so what rounding added beyond that is taken off.
    bounds = {"norm_product": composite_bound(network).lipschitz}
    bounds["combettes_pesquet"] = min(bounds["norm_product"], _rounded(cut_bounds(network).lipschitz))
    extra: dict[str, Any] = {}
    hidden = hidden_coordinates(network)
    if hidden is not None and hidden <= MASKED_COORDINATES and all(w.has_dense for w in network.weights.values()):
        found = masked_norm(network)
        bounds["masks"] = min(bounds["combettes_pesquet"], found.upper)
        extra["masks_lower"] = found.lower
    elif network.size <= LIPSDP_ORDER and len(network.players) > 1:
        answer: tuple[float, list[Array] | None] | None = lipsdp(network)
        if answer is not None:
            bounds["lipsdp"] = answer[0]
            if answer[1] is not None:
                extra["multipliers"] = dict(zip(network.ring_order or (), answer[1], strict=False))
    return bounds, extra


def _rounded(bound: Any) -> float:
    return math.inf if bound == math.inf else round_up(bound)
