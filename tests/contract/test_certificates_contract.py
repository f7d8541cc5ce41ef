"""What every registered certificate promises: a map, an honest reason, plain evidence, one computation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nngames.certificates import Certificate, certify, registry, verdict_of
from nngames.core.errors import UnknownNameError
from nngames.core.references import keys
from nngames.core.verdicts import Decision, Verdict
from nngames.games import Game, NetworkGame, QuadraticGame
from nngames.networks import BilinearCoupling, Network

NAMES = registry.names()
PHRASES = {"composite": "the composite map O", "inclusion": "the inclusion's operator M", "costs": "cost"}


def ring(weights, activations, **options):
    return Network.ring(weights, [np.full(np.shape(w)[0], 0.1) for w in weights], activations).game(**options)


def foreign():
    """Return a game of which nothing but the protocol is known."""
    blank = dict.fromkeys(Game.__abstractmethods__, lambda self, *_: 0.0)
    return type("Foreign", (Game,), {"cost_name": "foreign", **blank})()


def operator(matrix):
    from scipy.sparse.linalg import aslinearoperator

    return aslinearoperator(np.asarray(matrix))


GAMES = {
    "contraction": lambda: ring([[[0.5]], [[0.5]]], ["tanh", "relu"]),
    "isometry": lambda: ring([[[0, -1], [1, 0]]], ["identity"], players="neurons"),
    "expanding": lambda: ring([[[-2.0]]] * 3, ["identity"] * 3),
    "large": lambda: ring([[[3.0, 1.0]], [[5.0], [1.0]]], ["relu", "tanh"]),
    "softmax": lambda: ring([np.eye(3), np.eye(3)], ["softmax", "sigmoid"]),
    "tracking": lambda: ring([[[0.5]], [[0.5]]], ["silu", "tanh"]),
    "tracking neurons": lambda: ring([[[0.5, 2.0]], [[0.5], [1.0]]], ["silu", "tanh"], players="neurons"),
    "operator": lambda: ring([operator(np.eye(2) / 2), operator(np.eye(2))], ["tanh", "relu"]),
    "chain": lambda: Network.chain([[[2.0]], [[3.0]]], [[0.0]] * 2, ["relu"] * 2, [1.0]).game(),
    "empty": lambda: Network.graph({}, {"a": [1.0]}, "tanh").game(),
    "quadratic": lambda: QuadraticGame({"a": [[2.0, 1.0], [1.0, 3.0]], "b": 1.0}, {("a", "b"): [[1.0], [0.5]]}),
    "bilinear": lambda: Network(
        [BilinearCoupling(1, (2, 3), np.ones((1, 1, 1)))],
        {i: [0.0] for i in (1, 2, 3)},
        dict.fromkeys((1, 2, 3), "tanh"),
    ).game(),
    "foreign": foreign,
}


def test_the_names_are_what_others_rely_on():
    assert NAMES == (
        "cocoercive",
        "composite_averaged",
        "composite_contraction",
        "composite_lipschitz",
        "composite_nonexpansive",
        "diagonal_stability",
        "euclidean_contraction",
        "exact_potential",
        "existence",
        "joint_contraction",
        "monotone",
        "neuron_contraction",
        "nonnegative",
        "p_matrix",
        "weighted_potential",
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_certificate_says_what_it_is_about(name):
    certificate = registry[name]
    assert issubclass(certificate, Certificate)
    assert certificate.name == name
    assert certificate.map in {"composite", "joint", "inclusion", "costs"}
    assert "Witness" in certificate.__doc__


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_verdict_is_one_statement_about_its_map_with_plain_evidence(name, game):
    built = GAMES[game]()
    reason = registry[name]().applies(built)
    verdict = verdict_of(name, built)
    assert isinstance(verdict, Verdict)
    assert verdict.would_change
    assert verdict.text.endswith(f"; what would change this: {verdict.would_change}")
    if reason is not None:
        assert verdict.status is Decision.UNDECIDED
        assert verdict.statement == f"not applicable: {reason}"
        return
    joint = "the joint map T" if isinstance(built, NetworkGame) else "the best-response map"
    assert PHRASES.get(registry[name].map, joint) in verdict.statement
    assert not verdict.statement.endswith(".")
    assert set(verdict.references) <= set(keys())
    json.dumps(verdict.to_dict(), allow_nan=False)
    if verdict.status is not Decision.UNDECIDED:
        assert verdict.margin is None or verdict.margin >= 0
        assert verdict.witness


@pytest.mark.parametrize("game", GAMES)
def test_certify_asks_all_of_them_once(game):
    built = GAMES[game]()
    verdicts = certify(built)
    assert tuple(verdicts) == NAMES
    assert all(verdict_of(name, built) is verdict for name, verdict in verdicts.items())
    assert all(other is not verdicts[name] for name, other in certify(GAMES[game]()).items())


def test_what_nothing_is_known_about_is_refused_with_reasons():
    for verdict in certify(foreign()).values():
        assert verdict.statement.startswith("not applicable: ")


def test_verdicts_do_not_keep_games_alive():
    import gc
    import weakref

    game = GAMES["contraction"]()
    certify(game)
    watch = weakref.ref(game)
    del game
    gc.collect()
    assert watch() is None


def test_a_game_without_couplings_has_everything():
    verdicts = certify(GAMES["empty"]())
    for name in ("exact_potential", "joint_contraction", "monotone", "neuron_contraction", "weighted_potential"):
        assert verdicts[name].proved
    assert verdicts["joint_contraction"].witness["unique"] is True


def test_operators_are_judged_by_the_matrix_they_stand_for():
    operators, matrices = certify(GAMES["operator"]()), certify(ring([np.eye(2) / 2, np.eye(2)], ["tanh", "relu"]))
    for name in NAMES:
        assert operators[name].status is matrices[name].status


def test_an_operator_too_large_to_write_out_is_refused():
    from scipy.sparse.linalg import LinearOperator

    n = 3000
    half = LinearOperator((n, n), matvec=lambda x: x / 2, rmatvec=lambda x: x / 2, dtype=float)
    verdicts = certify(Network.ring([half, half], [np.zeros(n)] * 2, ["tanh"] * 2).game())
    # That bounded responses have an equilibrium needs no matrix.
    assert verdicts.pop("existence").proved
    assert all(verdict.status is Decision.UNDECIDED for verdict in verdicts.values())
    assert "a map without a matrix" in verdicts["joint_contraction"].statement
    assert verdicts["monotone"].statement.startswith("not applicable: a coupling is a map without a matrix")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown certificate 'monoton'; did you mean 'monotone'\?"):
        verdict_of("monoton", GAMES["contraction"]())
