"""Diagnosis: does a game settle, is that unique, how fast, is there a potential, and what to try next.

Every line names its evidence: PROVED and REFUTED by a certificate, measured in a few runs, or open. Nothing is decided
here: certificates, solvers and the search for cycles are asked, and their answers put into plain words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.core.errors import InputError, NNGamesError
from nngames.core.operators import as_linear_map
from nngames.core.seeds import Seed, generator
from nngames.games import Game
from nngames.games.finite_game import refuse_finite
from nngames.networks import Network
from nngames.report.diagnosis import Diagnosis, print_diagnosis
from nngames.report.feed_diagnosis import diagnose_feed
from nngames.report.game_diagnosis import diagnose_game


def diagnose(subject: Any, bias: Any = None, activation: Any = None, *, seed: Seed = None) -> Diagnosis:
    """Print and return what is known about a network's long-run behaviour: settled, unique, how fast, what next.

    Parameters
    ----------
    subject : Game, Network, or array_like (n, n)
        A matrix W stands for the recurrent layer x = r(W x + b).
    bias : array_like (n,), optional
        b of the recurrent layer; default zero.
    activation : name, {"name": ..., parameters} or Activation
        r of the recurrent layer.
    seed : int or Generator, optional
        Of the starts of the runs.

    Returns
    -------
    Diagnosis

    Raises
    ------
    InputError, ShapeError, UnknownNameError
        If the subject, the bias or the activation is not usable.

    Examples
    --------
    >>> import nngames as nng
    >>> report = nng.diagnose([[0.2, -0.4], [0.5, 0.1]], [1.0, 0.0], "tanh")  # doctest: +SKIP
    """
    from rich.console import Console

    found = diagnosis_of(subject, bias, activation, seed=seed)
    print_diagnosis(Console(highlight=False), found)
    return found


def diagnosis_of(subject: Any, bias: Any = None, activation: Any = None, *, seed: Seed = None) -> Diagnosis:
    """Return the diagnosis without printing it; see ``diagnose``."""
    rng = generator(seed)
    refuse_finite(subject, "diagnose")
    if isinstance(subject, Game | Network):
        if bias is not None or activation is not None:
            raise InputError("diagnose takes a bias and an activation with a weight matrix only")
        if isinstance(subject, Game):
            return diagnose_game(subject, "game", rng)
        return _of_network(subject, "network", rng)
    if activation is None:
        raise InputError("diagnose needs the activation of the recurrent layer: nng.diagnose(W, b, 'tanh')")
    weight = as_linear_map(subject, "W")
    network = Network.recurrent(weight, np.zeros(weight.shape[0]) if bias is None else bias, activation)
    shown = f"[0.0] * {weight.shape[0]}" if bias is None else "b"
    named = repr(activation) if isinstance(activation, str) else "activation"
    return _of_network(network, f"nng.Network.recurrent(W, {shown}, {named})", rng)


def _of_network(network: Network, written: str, rng: np.random.Generator) -> Diagnosis:
    """Return the diagnosis of the first game that the network has: of its layers, else of its neurons."""
    reason = ""
    for arguments in ({}, {"players": "neurons"}):
        try:
            game = network.game(**arguments)
        except NNGamesError as error:
            reason = reason or str(error)
            continue
        chosen = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        return diagnose_game(game, f"{written}.game({chosen})", rng)
    return diagnose_feed(network, written, reason, rng)
