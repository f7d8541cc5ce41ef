"""Whether a game has a weighted potential: an exact one after each player's cost is multiplied by a positive weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nngames.certificates.balance import Balance, find_weights
from nngames.certificates.certificate import Certificate, certificate_named
from nngames.certificates.cost_structure import (
    check_tolerance,
    costs_reason,
    coupling_pairs,
    described,
    nonlinear_response,
)
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.certificates.exact_balance import find_exact_weights
from nngames.certificates.exact_potential import potential_by_form, potential_not_applicable
from nngames.certificates.potential_changes import steps_along, weighted_change
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game

_CRITERION = "c_l P_l B_lk P_k = c_k (P_k B_kl P_l)' for every pair of players and some c > 0"
# What floating projectors leave open is not decided at tolerance 0; a violation beyond this is one.
_FLOATING = 1e-13


@certificate_named("weighted_potential")
class WeightedPotential(Certificate):
    """A game with bilinear couplings has a weighted potential iff some c > 0 makes the costs c_l J_l an exact one.

    That is c_l P_l B_lk P_k = c_k (P_k B_kl P_l)' for all l != k [monderer1996]: each pair must agree up to a positive
    factor, and the factors must multiply to 1 around every cycle of players. Witness: ``weights``, from which
    ``potential_function`` builds the potential; or the ``pair`` that no weights balance, with an ``entry`` and the two
    ``values`` there (where both signs agree, ``other_entry`` and ``other_values`` show another ratio); or the ``cycle``
    of players and the ``product`` of c_l / c_k around it, which is not 1.
    """

    map = "costs"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the couplings are linear and can be written out, or the costs' form decides."""
        return None if game.potential_reason else costs_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide for data known to the default tolerance."""
        return weighted_potential(game)


def weighted_potential(game: Any, data_tolerance: float = 1e-12, pairs: CouplingPairs | None = None) -> Verdict:
    """Decide whether ``game`` has a weighted potential; as ``exact_potential``, with weights in the witness."""
    check_tolerance(data_tolerance)
    if game.potential_reason is not None:
        return potential_by_form(game, "weighted")
    reason = costs_reason(game)
    if reason is not None:
        return potential_not_applicable(reason)
    decided = nonlinear_response(game, "weighted")
    if decided is not None:
        return decided
    pairs = coupling_pairs(game) if pairs is None else pairs
    if data_tolerance > 0:
        balance = find_weights(pairs, data_tolerance)
    elif pairs.exact:
        balance = find_exact_weights(pairs)
    else:
        balance = _floating_answer(pairs)
    verdict = _verdict(game, pairs, balance, data_tolerance)
    return replace(verdict, would_change=weighted_change(pairs, balance, data_tolerance))


def _floating_answer(pairs: CouplingPairs) -> Balance:
    """Return the exact answer where floating projectors allow one: a violation far beyond their rounding."""
    found = find_weights(pairs, _FLOATING)
    if found.decision is Decision.REFUTED and found.pair is not None:
        weaker = float(np.minimum(pairs.forward, pairs.backward)[found.pair])
        if weaker > _FLOATING or weaker == 0:
            return found
    return Balance(Decision.UNDECIDED, found.mismatch, pair=found.pair)


def _verdict(game: Any, pairs: CouplingPairs, balance: Balance, tolerance: float) -> Verdict:
    known = f"relative mismatch {balance.mismatch:.3g}, data tolerance {tolerance:.3g}"
    margin = abs(balance.mismatch - tolerance)
    if balance.weights is not None:
        statement = f"{described(game)} has a weighted potential: {_CRITERION} ({known})"
        proof = {"weights": dict(zip(pairs.players, balance.weights, strict=True))}
        return Verdict(balance.decision, statement, _CRITERION, margin, proof, ("monderer1996",))
    witness: dict[str, Any] = {"mismatch": balance.mismatch}
    culprit = ""
    if balance.cycle:
        witness |= _cycle_witness(pairs, balance)
        culprit = f"the weights that the cycle {' - '.join(map(str, witness['cycle']))} demands multiply to "
        culprit += f"{witness['product']:.6g}, not 1"
    elif balance.pair is not None:
        witness |= _pair_witness(pairs, balance.pair)
        culprit = "no weights balance players {} and {}: ".format(*witness["pair"]) + _opposed(witness)
    if balance.decision is Decision.REFUTED:
        statement = f"{described(game)} has no weighted potential: {culprit} ({known})"
        return Verdict(balance.decision, statement, _CRITERION, margin, witness, ("monderer1996",))
    left = "the data leave it open" if tolerance > 0 else "the rounding of the domains' directions leaves it open"
    statement = f"it is not decided whether {described(game)} has a weighted potential: {left} ({known})"
    return Verdict(balance.decision, statement, _CRITERION, None, witness, ("monderer1996",))


def _opposed(witness: dict[str, Any]) -> str:
    pairs = [witness[key] for key in ("values", "other_values") if key in witness]
    return " and ".join(f"{first:.6g} against {second:.6g}" for first, second in pairs)


def _pair_witness(pairs: CouplingPairs, pair: int) -> dict[str, Any]:
    names = [pairs.players[pairs.first[pair]], pairs.players[pairs.second[pair]]]
    entry, values = pairs.entry(pair, float(pairs.ratios()[pair]))
    witness = {"pair": names, "entry": entry, "values": values}
    if values[0] * values[1] <= 0:
        return witness
    other, largest = pairs.entry(pair, 1.0, 0.0)
    return {**witness, "other_entry": other, "other_values": largest}


def _cycle_witness(pairs: CouplingPairs, balance: Balance) -> dict[str, Any]:
    """Return the closed cycle and the product of c_l / c_k over its steps l -> k."""
    ratios = pairs.ratios()
    closed = (*balance.cycle, balance.cycle[0])
    product = 1.0
    for at, sign in steps_along(pairs, balance.cycle):
        product *= ratios[at] if sign > 0 else 1 / ratios[at]
    return {"cycle": [pairs.players[i] for i in closed], "product": float(product)}
