"""Whether a game has an exact potential: one function with the costs' differences under unilateral deviations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nngames.certificates.balance import decide_mismatch
from nngames.certificates.certificate import Certificate, certificate_named, not_applicable
from nngames.certificates.cost_structure import (
    check_tolerance,
    costs_reason,
    coupling_pairs,
    described,
    nonlinear_response,
)
from nngames.certificates.coupling_pairs import CouplingPairs
from nngames.certificates.potential_changes import exact_change
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game

_CRITERION = "P_l B_lk P_k = (P_k B_kl P_l)' for every pair of players"


@certificate_named("exact_potential")
class ExactPotential(Certificate):
    """A game with bilinear couplings has an exact potential iff P_l B_lk P_k = (P_k B_kl P_l)' for all l != k.

    P_l is the projector on the direction space of player l's domain: two players' closed paths of four unilateral steps
    cost nothing in sum iff <d_l, B_lk d_k> = <d_k, B_kl d_l> for all feasible d [monderer1996]. The own costs do not
    matter. Witness: ``weights`` (all 1), from which ``potential_function`` builds the potential; or the ``pair`` with
    the ``entry`` and the two ``values`` of P_l B_lk P_k and (P_k B_kl P_l)' there.
    """

    map = "costs"

    def applies(self, game: Game) -> str | None:
        """Return a reason unless the couplings are linear and can be written out, or the costs' form decides."""
        return None if game.potential_reason else costs_reason(game)

    def decide(self, game: Any) -> Verdict:
        """Decide for data known to the default tolerance."""
        return exact_potential(game)


def exact_potential(game: Any, data_tolerance: float = 1e-12, pairs: CouplingPairs | None = None) -> Verdict:
    """Decide whether ``game`` has an exact potential.

    Parameters
    ----------
    game : Game
    data_tolerance : float
        The couplings are known to this tolerance, relative to the largest entry of each matrix: a relative mismatch up
        to it is PROVED, above ten times it REFUTED. 0 asks for the exact rational answer.
    pairs : CouplingPairs, optional
        Those of the game, where they are known already.

    Returns
    -------
    Verdict

    Raises
    ------
    OptionError
        If the tolerance is not a number in [0, 1).
    """
    check_tolerance(data_tolerance)
    if game.potential_reason is not None:
        return potential_by_form(game, "exact")
    reason = costs_reason(game)
    if reason is not None:
        return potential_not_applicable(reason)
    decided = nonlinear_response(game, "exact")
    if decided is not None:
        return decided
    pairs = coupling_pairs(game) if pairs is None else pairs
    mismatch = pairs.mismatch(np.ones(len(pairs.players)))
    at = int(np.argmax(mismatch)) if mismatch.size else None
    if data_tolerance == 0 and pairs.exact:
        at = pairs.unequal()
        decision = Decision.PROVED if at is None else Decision.REFUTED
        largest = 0.0 if at is None else float(mismatch[at])
    else:
        decision = decide_mismatch(mismatch, pairs.rounding, data_tolerance)
        largest = float(mismatch.max(initial=0.0))
    verdict = _verdict(game, pairs, decision, at, largest, data_tolerance)
    return replace(verdict, would_change=exact_change(pairs, decision, at, mismatch, data_tolerance))


def potential_not_applicable(reason: str) -> Verdict:
    """Return the verdict on a game whose costs have no couplings that the criteria can read."""
    change = "proximal, tracking or quadratic costs with linear couplings that can be written out"
    return replace(not_applicable(reason), would_change=change)


def potential_by_form(game: Game, kind: str) -> Verdict:
    """Return the proof of an exact potential, which is a weighted one too, by the form of the costs alone."""
    statement = f"{described(game)} has {'an exact' if kind == 'exact' else 'a weighted'} potential"
    weights = dict.fromkeys(game.players, 1.0)
    return Verdict(
        Decision.PROVED,
        f"{statement}: {game.potential_reason}",
        "the form of the costs, whatever the data",
        witness={"weights": weights},
        references=("monderer1996",),
        would_change="only costs of another form: no change of the data does",
    )


def _verdict(
    game: Any, pairs: CouplingPairs, decision: Decision, at: int | None, mismatch: float, tolerance: float
) -> Verdict:
    known = f"relative mismatch {mismatch:.3g}, data tolerance {tolerance:.3g}"
    margin = abs(mismatch - tolerance)
    if decision is Decision.PROVED:
        statement = f"{described(game)} has an exact potential: {_CRITERION} ({known})"
        witness: dict[str, Any] = {"weights": dict.fromkeys(pairs.players, 1.0)}
        return Verdict(decision, statement, _CRITERION, margin, witness, ("monderer1996",))
    assert at is not None  # noqa: S101 - without pairs the potential is proved
    pair = [pairs.players[pairs.first[at]], pairs.players[pairs.second[at]]]
    entry, values = pairs.entry(at)
    witness = {"pair": pair, "entry": entry, "values": values, "mismatch": mismatch}
    if decision is Decision.REFUTED:
        statement = (
            f"{described(game)} has no exact potential: what players {pair[0]} and {pair[1]} are to each other "
            f"differs, {values[0]:.6g} against {values[1]:.6g} ({known})"
        )
        return Verdict(decision, statement, _CRITERION, margin, witness, ("monderer1996",))
    known = f"the data ({known})" if tolerance > 0 else f"the rounding of their domains' directions ({known})"
    statement = (
        f"it is not decided whether {described(game)} has an exact potential: players {pair[0]} and {pair[1]} differ "
        f"by too little for {known}"
    )
    return Verdict(decision, statement, _CRITERION, None, witness, ("monderer1996",))
