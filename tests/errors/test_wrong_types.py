"""What is of the wrong type is refused by a typed error that says what is valid, wherever it enters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import nngames as nng

#: Values that are no array of real numbers.
NO_NUMBERS = {
    "text": "x",
    "number as text": "1",
    "bytes": b"1",
    "none": None,
    "complex": np.array([1j, 2.0]),
    "ragged": [1, [2]],
    "mapping": {},
    "function": len,
    "sparse": sparse.eye(2),
    "too large": 10**400,
}


def masked(shape: Any) -> Any:
    """Return an array whose first entry is masked."""
    return np.ma.masked_less(np.arange(float(np.prod(shape))).reshape(shape), 1)


def network() -> nng.Network:
    """Return a ring of two layers of size 2."""
    return nng.Network.ring([np.eye(2) / 2, np.eye(2) / 3], [[1, 1], [0, 1]], ["tanh", "relu"])


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS.keys())
@pytest.mark.parametrize("method", ["__call__", "derivative", "penalty", "primitive", "conjugate", "prox"])
@pytest.mark.parametrize("name", nng.activations())
def test_an_activation_takes_real_numbers_only(name: str, method: str, value: Any) -> None:
    """No activation passes on what NumPy would make of a text, a complex number or a sparse matrix."""
    with pytest.raises(nng.NNGamesError):
        getattr(nng.activation(name), method)(value)


@pytest.mark.parametrize("name", ["relu", "tanh", "softplus_beta", "linear", "silu"])
@pytest.mark.parametrize("dtype", [np.int8, np.bool_, np.float16, np.float64])
def test_an_activation_answers_in_double_precision(name: str, dtype: Any) -> None:
    """Only float32 input is answered in its own precision."""
    act = nng.activation(name)
    given = np.array([0, 1], dtype=dtype)
    assert act(given).dtype == np.float64
    np.testing.assert_array_equal(act(given), act(given.astype(np.float64)))
    assert act(given.astype(np.float32)).dtype == np.float32


def test_a_message_does_not_list_every_player_of_a_large_game() -> None:
    """The first names are listed, the nearest one is suggested wherever it stands."""
    players = [f"p{i:04d}" for i in range(1000)]
    game = nng.Network.graph({}, {player: [0.0] for player in players}, "relu").game()
    with pytest.raises(nng.UnknownNameError) as caught:
        game.cost("q0999", np.zeros(1000))
    assert str(caught.value).startswith("unknown player 'q0999'; did you mean 'p0999'? valid: p0000, p0001, ")
    assert str(caught.value).endswith(", p0049, ... (1000 in all)")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nng.activation("tanh")("x"), "the argument is not an array of real numbers"),
        (lambda: nng.activation("relu").prox([1.0], "x"), "prox of 'relu': the step is not an array of real numbers"),
        (lambda: nng.activation("leaky_relu", slope=[1, [2]]), "slope must be a finite number; got"),
        (
            lambda: nng.activation("box", lower=masked(2), upper=1),
            "activation 'box': lower must be a number or a nonempty",
        ),
        (
            lambda: nng.Network.recurrent(masked((2, 2)), [1, 1], "relu"),
            "the weight of the edge 1 -> 1 has masked",
        ),
        (lambda: nng.FiniteGame([masked((2, 2)), np.ones((2, 2))]), "costs has masked entries; fill them"),
        (lambda: nng.activation("softmax")([]), "acts on a layer; got an empty one"),
        (lambda: nng.certify(network()), "a certificate takes a game, not a network: pass network.game()"),
        (lambda: nng.certify({}), "a certificate takes a game; got dict"),
        (lambda: nng.solve(network()), "a solver takes a game, not a network: pass network.game()"),
        (lambda: nng.check_potential(network()), "a check takes a game, not a network: pass network.game()"),
        (lambda: nng.check_potential(network().game(), data_tolerance="x"), "data_tolerance must be a number in"),
        (lambda: nng.check_outcomes(network().game(), starts=10**12), "starts must be at most 100000; got 10000000"),
        (lambda: nng.solve(network().game(), callback="x"), "callback must be a function of an Iterate; got 'x'"),
        (lambda: nng.solve(network().game(), np.eye(2)), "unknown method array"),
        (lambda: nng.solve(network().game(), {"a": 1}), "unknown method {'a': 1}"),
        (lambda: nng.solve(network().game(), "km", map=np.eye(2)), "km: map=array"),
        (lambda: nng.solve(network().game(), "km", relaxation=10**400), "relaxation must be finite and nonnegative"),
        (lambda: nng.solve(network().game(), start=[10**400] * 4), "start is not an array of real numbers"),
        (lambda: nng.compare(network().game(), methods=3), "methods must be a list with at least one method; got 3"),
        (lambda: network().game(players=np.eye(2)), "players=array"),
        (lambda: network().game().explain({}), "format={} is unknown; valid: latex, text"),
        (lambda: network().feed([0, 0], rule=np.eye(2)), "unknown feed rule array"),
        (lambda: network().feed([0, 0], tolerance="x"), "tolerance must lie between 0 and 1; got 'x'"),
        (lambda: network().feed([0, 0], schedule=3), "schedule must be a function of the step or a Perturbation"),
        (lambda: network().feed([0, 0], tolerence=1e-3), "feed has no option 'tolerence'; did you mean 'tolerance'?"),
        (lambda: network().effective_bias(3), "unknown player 3; valid: 1, 2"),
        (lambda: nng.Network.ring(sparse.eye(2), [[0]], ["relu"]), "weights must be a list with one entry for each"),
        (lambda: nng.Network.ring(np.array(1.0), [[0]], ["relu"]), "weights must be a list with one entry for each"),
        (lambda: nng.Network.ring([1.0], None, ["relu"]), "biases must be a list with one entry for each"),
        (lambda: nng.Network.ring([1.0], [0], ["relu"], names=[[1]]), "names must be hashable"),
        (lambda: nng.Network.graph([1], {"a": [0]}, "relu"), "weights must be a mapping; got list"),
        (lambda: nng.Network.graph({}, [0], "relu"), "biases must be a mapping; got list"),
        (lambda: nng.QuadraticGame(np.eye(2)), "quadratic must be a mapping; got ndarray"),
        (lambda: nng.QuadraticGame({1: 1.0}, penalties="box"), "penalties must be a mapping; got str"),
        (lambda: nng.load_scenario(None), "a scenario is loaded from a path, 'gallery:NAME' or text; got NoneType"),
    ],
)
def test_the_message_says_what_is_valid(call: Callable[[], Any], message: str) -> None:
    """Each wrong type has its message."""
    with pytest.raises(nng.InputError) as caught:
        call()
    assert message in str(caught.value)
