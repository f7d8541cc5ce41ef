"""Certificates: what is proved about a game and which of its maps, one file each, with margin and witness.

To add one, define a class with ``@certificate_named`` in a module of this folder.
"""

from __future__ import annotations

import sys
from weakref import WeakKeyDictionary

import numpy as np

from nngames.certificates.certificate import Certificate, certificate_named, not_applicable, registry
from nngames.core.deadlines import look_ahead
from nngames.core.verdicts import Verdict
from nngames.games import Game, required_game

registry.discover(
    sys.modules[__name__],
    infrastructure=(
        "activation_masks",
        "balance",
        "certificate",
        "composite_bounds",
        "composite_cuts",
        "concave_responses",
        "cost_structure",
        "coupling_pairs",
        "direction_spaces",
        "error_bounds",
        "exact_balance",
        "expanding_pairs",
        "figures",
        "inclusion_matrix",
        "least_eigenvalue",
        "lipsdp",
        "neuron_pairs",
        "norms",
        "perron",
        "potential",
        "potential_changes",
        "principal_minors",
        "residuals",
        "response_boxes",
        "sectors",
        "slope_matrix",
        "stability_form",
        "stability_multipliers",
    ),
)

_verdicts: WeakKeyDictionary[Game, dict[str, Verdict]] = WeakKeyDictionary()


def verdict_of(name: str, game: Game) -> Verdict:
    """Return the verdict of one certificate on ``game``; it is computed once for a game object.

    Parameters
    ----------
    name : str
        A registered certificate.
    game : Game

    Returns
    -------
    Verdict
        UNDECIDED, with the reason as its statement, where the certificate does not apply.

    Raises
    ------
    UnknownNameError
        If no certificate has that name.
    TimeUpError
        In a run that has to end before the verdict is known.
    """
    certificate = registry[name]()
    known = _verdicts.setdefault(game, {})
    if name not in known:
        look_ahead()
        # Bounds decide by comparisons, which fail on what is not finite: data near the ends of floats are UNDECIDED.
        with np.errstate(all="ignore"):
            reason = certificate.applies(game)
            known[name] = certificate.decide(game) if reason is None else not_applicable(reason)
    return known[name]


def certify(game: Game) -> dict[str, Verdict]:
    """Return the verdict of every certificate on ``game``, by name.

    Each verdict is about one map of the game and says which; a certificate that does not apply is UNDECIDED and says
    why.

    Raises
    ------
    InputError
        If ``game`` is not a game.
    """
    game = required_game(game, "a certificate")
    return {name: verdict_of(name, game) for name in registry.names()}


__all__ = ["Certificate", "certificate_named", "certify", "registry", "verdict_of"]
