"""What every registered check keeps to, and the errors that a user can cause."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import nngames as nng
from nngames.checks import Check, registry
from nngames.core.errors import InputError, OptionError, UnknownNameError

POINT = {"name": "singleton", "point": 0.5}


def bilinear():
    half = nng.Network.recurrent([[0.5]], [0.0], "tanh").weights[1, 1]
    couplings = [
        nng.LinearCoupling(1, 2, half),
        nng.BilinearCoupling(2, (1, 3), np.full((1, 1, 1), 0.5)),
        nng.LinearCoupling(3, 1, half),
    ]
    return nng.Network(couplings, {1: [0.1], 2: [0.2], 3: [0.3]}, dict.fromkeys((1, 2, 3), "tanh")).game()


GAMES = {
    "ring": nng.Network.ring([[[2.0]], [[-1.0]]], [[0.0], [0.5]], ["tanh", "relu"]).game(),
    "neurons": nng.Network.recurrent([[0.0, 0.5], [-0.5, 0.2]], [0.1, 0.0], "tanh").game(),
    "tracking": nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.5]], ["silu", "silu"]).game(),
    "bilinear": bilinear(),
    "quadratic": nng.QuadraticGame({1: [[2.0]], 2: [[2.0]]}, {(1, 2): [[1.0]], (2, 1): [[-1.0]]}),
    "points": nng.Network.ring([[[1.0]], [[-1.0]]], [[0.0], [0.0]], [POINT, POINT]).game(),
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", registry.names())
def test_every_check_answers_every_kind_of_game_with_plain_data(name, game):
    report = registry.create(name).run(GAMES[game], seed=1)
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert json.dumps(registry.create(name).run(GAMES[game], seed=1).to_dict(), allow_nan=False) == text


def verdicts_of(data, where=""):
    """Yield every verdict of a report's plain data, with its place."""
    if isinstance(data, dict):
        if {"status", "statement", "method"} <= data.keys():
            yield where, data
        for key, value in data.items():
            yield from verdicts_of(value, f"{where}.{key}")
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from verdicts_of(value, f"{where}[{number}]")


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", registry.names())
def test_every_verdict_says_what_would_change_it(name, game):
    found = list(verdicts_of(registry.create(name).run(GAMES[game], seed=1).to_dict()))
    assert found
    for where, verdict in found:
        assert verdict["would_change"], where
        assert not verdict["would_change"].endswith("."), where


@pytest.mark.parametrize("name", registry.names())
def test_every_check_is_a_documented_dataclass_of_its_options(name):
    entry = registry[name]
    assert issubclass(entry, Check)
    assert entry.name == name
    assert entry.__doc__.strip().splitlines()[0].endswith(".")
    for field in dataclasses.fields(entry):
        assert field.default is not dataclasses.MISSING
        assert field.name in entry.__doc__


def test_checks_are_found_by_name():
    names = ("certify", "enumeration", "existence", "outcomes", "periodic_projections", "potential", "stackelberg")
    assert registry.names() == names
    with pytest.raises(UnknownNameError, match="unknown check 'potentials'; did you mean 'potential'"):
        registry["potentials"]
    with pytest.raises(OptionError, match="check 'outcomes' has no option 'start'; did you mean 'starts'"):
        registry.create("outcomes", start=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: nng.check_potential(g, data_tolerance=-1.0), "data_tolerance"),
        (lambda g: nng.check_potential(g, max_seconds=0), "max_seconds must be a positive number; got 0"),
        (lambda g: nng.check_outcomes(g, starts=0), "starts must be a positive integer; got 0"),
        (lambda g: nng.check_outcomes(g, steps=2.5), "steps must be a positive integer; got 2.5"),
        (lambda g: nng.check_outcomes(g, tolerance=0.5), "tolerance must be below 1e-3; got 0.5"),
        (lambda g: nng.check_outcomes(g, relaxation=True), "relaxation must be a positive number; got True"),
        (lambda _: registry.create("potential", max_seconds=-2.0), "max_seconds must be a positive number; got -2.0"),
        (lambda g: nng.check_potential(g, seed=-1), "seed must be a nonnegative integer"),
    ],
)
def test_options_that_are_no_use_are_refused(call, message):
    with pytest.raises((OptionError, InputError), match=message):
        call(GAMES["ring"])


def test_a_network_is_not_a_game():
    network = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.0]], ["tanh", "tanh"])
    for check in (nng.check_potential, nng.check_outcomes):
        with pytest.raises(InputError, match=r"a check takes a game, not a network: pass network.game\(\)"):
            check(network)
        with pytest.raises(InputError, match="a check takes a game; got int"):
            check(3)


def test_one_start_is_the_zero_start():
    report = nng.check_outcomes(GAMES["ring"], starts=1)
    assert report.starts == 1
    assert not any(outcome.generic for outcome in report.outcomes)


def test_what_cannot_be_written_out_is_left_undecided_with_its_reason():
    report = nng.check_potential(GAMES["bilinear"])
    assert report.asymmetry is None
    for verdict in (report.acyclic, report.ordinal, report.best_response_acyclic):
        assert verdict.status == "UNDECIDED"
        assert verdict.statement.endswith("a coupling is not linear")


def test_importing_the_checks_loads_nothing_heavy():
    heavy = ("cvxpy", "matplotlib", "numba", "networkx", "scipy.optimize", "flint", "daqp")
    script = f"import sys, nngames.checks; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
