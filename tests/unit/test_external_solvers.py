"""External solvers as methods: SciPy's on our games, how runs of other packages end, and maps in their libraries."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator
from scipy.special import erf, expit, softmax

import nngames as nng
from nngames.cli.catalogue import listings, page
from nngames.games.views.fixed_points import FixedPoint
from nngames.results.result import Status
from nngames.solvers import registry
from nngames.solvers.external import whole_run
from nngames.solvers.external.formulas import FORMULAS, Library, response
from nngames.solvers.external.network_maps import translated, untranslatable
from nngames.solvers.external.whole_run import Answer, ExternalProblem, ExternalSolver

SCIPY = ("scipy:anderson", "scipy:df-sane", "scipy:hybr", "scipy:krylov")
#: These take losses, no fixed-point maps.
MINIMISERS = ("scipy:l-bfgs-b", "sklearn:mlp")
PEERS = tuple(name for name in registry.names() if registry[name].external and name not in (*SCIPY, *MINIMISERS))

NUMPY = Library(
    name="numpy",
    asarray=np.asarray,
    where=np.where,
    expm1=np.expm1,
    tanh=np.tanh,
    sin=np.sin,
    arctan=np.arctan,
    erf=erf,
    sqrt=np.sqrt,
    abs=np.abs,
    clip=np.clip,
    relu=lambda v: np.maximum(v, 0.0),
    sigmoid=expit,
    softplus=lambda v: np.logaddexp(0.0, v),
    softmax=softmax,
    descending=lambda v: -np.sort(-v),
    cumulative=np.cumsum,
    concatenate=np.concatenate,
    einsum=np.einsum,
    sparse=lambda matrix: (matrix, lambda held, x: held @ x),
)


def ring(activation: Any = "tanh", n: int = 6, layers: int = 3, norm: float = 0.9) -> nng.NetworkGame:
    rng = np.random.default_rng(4)
    weights = [a * norm / np.linalg.norm(a, 2) for a in rng.standard_normal((layers, n, n))]
    return nng.Network.ring(weights, list(rng.standard_normal((layers, n))), [activation] * layers).game()


def drifting() -> nng.NetworkGame:
    """x -> x + 1 around a ring: no equilibrium."""
    return nng.Network.ring([[[1.0]], [[1.0]]], [[1.0], [0.0]], ["identity"] * 2).game()


# SciPy's


@pytest.mark.parametrize("method", SCIPY)
@pytest.mark.parametrize("activation", ["tanh", "relu", "softmax"])
def test_the_equilibrium_is_ours(method: str, activation: str) -> None:
    game = ring(activation)
    result = nng.solve(game, method)
    assert result.converged, result.message
    assert game.residual(result.profile) <= 1e-9 * result.scale
    np.testing.assert_allclose(result.profile, nng.solve(game, "picard", tolerance=1e-12).profile, atol=2e-8)
    assert not result.guarantee.proved
    assert len(result.trace.residual) == 2


@pytest.mark.parametrize("method", SCIPY)
def test_games_without_a_network_are_solved_too(method: str) -> None:
    game = nng.QuadraticGame({1: 2.0, 2: 2.0}, {(1, 2): 1.0, (2, 1): 1.0}, {1: -1.0, 2: -0.3}, {2: "nonnegative"})
    result = nng.solve(game, method)
    assert result.converged, result.message
    np.testing.assert_allclose(result.profile, [0.5, 0.0], atol=1e-8)


class Counted(FixedPoint):
    """A view that counts its evaluations, and may be slow."""

    name = "composite"

    def __init__(self, view: FixedPoint, pause: float = 0.0) -> None:
        self._view, self._pause, self.size, self.calls = view, pause, view.size, 0

    def evaluate(self, x: Any, out: Any) -> Any:
        self.calls += 1
        time.sleep(self._pause)
        return self._view.evaluate(x, out)

    def restrict(self, profile: Any) -> Any:
        return self._view.restrict(profile)

    def profile(self, x: Any) -> Any:
        return self._view.profile(x)

    def linearise(self, x: Any) -> Any:
        return self._view.linearise(x)


@pytest.mark.parametrize("method", SCIPY)
def test_every_call_of_the_map_is_counted(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    game = ring()
    view = Counted(game.fixed_point("auto"))
    monkeypatch.setattr(game, "fixed_point", lambda kind: view)
    result = nng.solve(game, method)
    assert result.converged
    assert result.evaluations == view.calls
    assert 0 < result.iterations <= result.evaluations


@pytest.mark.parametrize("method", SCIPY)
def test_without_an_equilibrium_nothing_converges(method: str) -> None:
    result = nng.solve(drifting(), method, max_iterations=60)
    assert result.status in {Status.MAX_ITERATIONS, Status.STALLED, Status.FAILED, Status.NOT_FINITE, Status.DIVERGED}
    assert method in result.message
    assert result.residual >= 0.9


def test_a_cycle_of_plain_passes_is_solved_by_derivatives() -> None:
    game = nng.Network.recurrent([[0.0, -1.0], [1.0, 0.0]], [1.0, 0.0], "identity").game()
    assert nng.solve(game, "picard").status is Status.CYCLING
    for method in ("scipy:krylov", "scipy:hybr"):
        np.testing.assert_allclose(nng.solve(game, method).profile, [0.5, 0.5], atol=1e-8)
    spent = nng.solve(game, "scipy:df-sane", max_iterations=500)
    assert spent.status is Status.MAX_ITERATIONS
    assert "too many function evaluations" in spent.message


def test_the_iterations_are_limited() -> None:
    result = nng.solve(ring(norm=0.99), "scipy:anderson", max_iterations=3)
    assert result.status is Status.MAX_ITERATIONS
    assert result.iterations == 3


def test_the_clock_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    game = drifting()
    view = Counted(game.fixed_point("auto"), pause=0.01)
    monkeypatch.setattr(game, "fixed_point", lambda kind: view)
    result = nng.solve(game, "scipy:anderson", max_seconds=0.03)
    assert result.status is Status.MAX_SECONDS
    assert view.calls < 100


def test_leaving_the_set_where_an_activation_is_defined_fails_with_the_reason() -> None:
    game = nng.Network.ring([[[1.0]], [[-3.0]]], [[0.5], [-2.0]], ["softsign_probit", "identity"]).game()
    result = nng.solve(game, "scipy:df-sane")
    assert result.status is Status.FAILED
    assert "scipy:df-sane left the set where an activation is defined" in result.message


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("scipy:krylov", {"inner_iterations": 0}, "scipy:krylov: inner_iterations must be at least 1; got 0"),
        ("scipy:krylov", {"memory": 3}, "method 'scipy:krylov' has no option 'memory'"),
        ("scipy:anderson", {"memory": 1.5}, "scipy:anderson: memory must be a nonnegative integer; got 1.5"),
        ("scipy:anderson", {"mixing": 0}, "scipy:anderson: mixing must be a positive number; got 0"),
        ("scipy:anderson", {"regularization": -1}, "scipy:anderson: regularization must be nonnegative; got -1"),
        ("scipy:df-sane", {"memory": 0}, "scipy:df-sane: memory must be at least 1; got 0"),
        ("scipy:hybr", {"memory": 1}, "method 'scipy:hybr' takes no options"),
        ("jaxopt:anderson", {"memory": 1}, "jaxopt:anderson: memory must be at least 2; got 1"),
        ("jaxopt:broyden", {"memory": 0}, "jaxopt:broyden: memory must be at least 1; got 0"),
        ("torchdeq:anderson", {"mixing": 2}, r"torchdeq:anderson: mixing must lie in \(0, 1\]; got 2"),
        ("torchdeq:fixed_point", {"relaxation": 0}, r"torchdeq:fixed_point: relaxation must lie in \(0, 1\]; got 0"),
        ("nashopt:lq", {"algorithm": "highs"}, "nashopt:lq: algorithm='highs' is unknown; valid: dr_daqp"),
    ],
)
def test_wrong_options_are_refused(method: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(nng.OptionError, match=f"^{message}"):
        nng.solver(method, **options)


def test_stepping_shows_the_start_and_the_end() -> None:
    iterates = list(nng.solver("scipy:krylov").iterate(ring()))
    assert [step.iteration for step in iterates] == [0, 1]
    assert iterates[1].residual < 1e-8 < iterates[0].residual


# Names


def test_external_methods_are_named_apart() -> None:
    external = set(nng.methods()) - set(nng.methods(external=False))
    assert external == {name for name in registry.names() if ":" in name} == {*SCIPY, *MINIMISERS, *PEERS}
    assert {name.partition(":")[0] for name in PEERS} == {"jaxopt", "nashopt", "optimistix", "torchdeq"}
    shown = list(listings("methods")["methods"])
    assert shown[-len(external) :] == sorted(external)
    assert "Newton-Krylov" in str(page("scipy:krylov"))


def test_a_scenario_names_them(tmp_path: Path) -> None:
    file = tmp_path / "pair.yaml"
    file.write_text(
        "name: pair\n"
        "network:\n"
        "  kind: ring\n"
        "  layers:\n"
        "    - {weight: [[0.5]], bias: [1], activation: tanh}\n"
        "    - {weight: [[0.5]], bias: [0], activation: relu}\n"
        "solve:\n"
        "  methods: [auto, scipy:krylov, {method: scipy:anderson, memory: 2, label: mixed}]\n"
    )
    report = nng.run_scenario(file)
    assert [row.method for row in report.comparison.rows] == ["auto", "scipy:krylov", "mixed"]
    assert all(row.result.converged for row in report.comparison.rows)


def test_nothing_of_theirs_is_loaded_before_a_run() -> None:
    heavy = "('scipy.optimize', 'jax', 'torch', 'jaxopt', 'optimistix', 'torchdeq', 'nashopt')"
    code = f"import sys, nngames; nngames.solver('torchdeq:anderson'); print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# How runs end


@dataclass(frozen=True)
class Scripted(ExternalSolver):
    """A package whose run is a function."""

    play: Callable[[ExternalProblem, Any], Answer]
    name = "scripted"

    def run(self, problem: ExternalProblem, x0: Any) -> Answer:
        return self.play(problem, x0)


def test_a_claim_of_success_is_not_believed() -> None:
    result = nng.solve(ring(), Scripted(lambda problem, x0: Answer(x0, 7, 9, True, "xtol satisfied")))
    assert result.status is Status.STALLED
    assert result.message.startswith("scripted claims success by its own measure (xtol satisfied)")
    assert (result.iterations, result.evaluations) == (7, 11)


def test_what_it_did_not_notice_counts() -> None:
    game = ring()
    solution = game.fixed_point("auto").restrict(nng.solve(game, tolerance=1e-12).profile)
    result = nng.solve(game, Scripted(lambda problem, x0: Answer(solution, 1, 1, False, "gave up")))
    assert result.converged


def test_its_limit_is_the_runs_limit() -> None:
    result = nng.solve(ring(), Scripted(lambda problem, x0: Answer(x0, 50, 50, False, "slow", exhausted=True)))
    assert result.status is Status.MAX_ITERATIONS
    assert result.message.startswith("scripted says: slow; scripted used its 50 iterations")


def test_it_is_asked_for_no_more_than_the_target() -> None:
    seen: list[float] = []

    def play(problem: ExternalProblem, x0: Any) -> Answer:
        seen.append(problem.asked)
        return Answer(x0, 0, 0, False, "looked")

    result = nng.solve(ring(), Scripted(play), tolerance=1e-6)
    assert 0.9e-6 * result.scale < seen[0] <= 1e-6 * result.scale


def test_its_exceptions_are_reasons() -> None:
    def raises(problem: ExternalProblem, x0: Any) -> Answer:
        raise RuntimeError("the\n  factor is singular")

    result = nng.solve(ring(), Scripted(raises))
    assert result.status is Status.FAILED
    assert result.message == "scripted failed: RuntimeError: the factor is singular"


def test_what_is_not_finite_is_said() -> None:
    result = nng.solve(ring(), Scripted(lambda problem, x0: Answer(x0 * np.nan, 2, 2, False, "nan")))
    assert result.status is Status.NOT_FINITE


def test_a_missing_package_skips_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_run, "_FOUND", set())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for method in PEERS:
        reason = str(nng.solver(method).applies(ring()))
        assert "not installed" in reason
        assert reason.endswith("pip install 'nngames[peers]'")
    comparison = nng.compare(ring(), ["picard", "jaxopt:anderson"])
    assert [str(row.result.status) for row in comparison.rows] == ["converged", "skipped"]
    assert "nngames[peers]" in comparison.rows[1].result.message


# Maps in other libraries


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formulas_are_the_activations(name: str) -> None:
    variants: dict[str, list[dict[str, Any]]] = {
        "relu": [{"slope": 2.0, "bias": -0.5}],
        "linear": [{"slope": 2.0, "bias": -0.5}],
        "logistic": [{"slope": 2.0, "bias": -0.5}],
        "tanh": [{"scale": 1.5}],
        "softplus": [{"scale": 1.5}],
        "box": [{"lower": [-1.0, 0.0, -np.inf, 0.0, 0.5], "upper": 2.0}],
        "ball": [{"radius": 10.0}, {"center": [1.0, 2.0, 3.0, 4.0, 5.0]}],
        "singleton": [{"point": [1.0, 2.0, 3.0, 4.0, 5.0]}],
        "softmax": [{"gain": 0.5}],
        "simplex": [{"total": 3.0}],
        "elu": [{"alpha": 0.5}],
        "celu": [{"alpha": 0.5}],
    }
    rng = np.random.default_rng(1)
    for parameters in [{}, *variants.get(name, [])]:
        activation = nng.activation(name, **parameters)
        respond = response(NUMPY, activation)
        assert respond is not None
        for scale in (0.1, 1.0, 10.0):
            v = scale * rng.standard_normal(5)
            np.testing.assert_allclose(respond(v), activation(v), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(respond(np.zeros(5)), activation(np.zeros(5)), rtol=1e-12, atol=1e-13)


def networks() -> dict[str, nng.Network]:
    rng = np.random.default_rng(2)
    dense = [0.5 * rng.standard_normal((3, 3)) for _ in range(3)]
    biases = list(rng.standard_normal((3, 3)))
    thin = [sparse.csr_array(w * (np.abs(w) > 0.3)) for w in dense]
    many = range(15)
    bilinear = nng.BilinearCoupling(3, (1, 2), rng.standard_normal((3, 3, 3)))
    linear = [nng.LinearCoupling(1, 3, as_weight(dense[0])), nng.LinearCoupling(2, 1, as_weight(dense[1]))]
    return {
        "ring": nng.Network.ring(dense, biases, ["tanh", "softmax", "relu"]),
        "sparse ring": nng.Network.ring(thin, biases, ["tanh", "softmax", "relu"]),
        "recurrent": nng.Network.recurrent(dense[0], biases[0], "tanh"),
        "graph": nng.Network.graph(
            {(1, 2): dense[0], (2, 1): thin[1], (2, 3): dense[2]},
            dict(zip((1, 2, 3), biases, strict=True)),
            {1: "relu", 2: "tanh", 3: "softmax"},
        ),
        "assembled": nng.Network.graph(
            {(i, (i * 7 + 3) % 15): [[0.5]] for i in many if (i * 7 + 3) % 15 != i},
            {i: [0.1 * i] for i in many},
            dict.fromkeys(many, "tanh"),
        ),
        "bilinear": nng.Network(
            [*linear, bilinear], dict(zip((1, 2, 3), biases, strict=True)), dict.fromkeys((1, 2, 3), "tanh")
        ),
    }


def as_weight(matrix: Any) -> Any:
    from nngames.core.operators import as_linear_map

    return as_linear_map(matrix, "a weight")


@pytest.mark.parametrize("name", list(networks()))
@pytest.mark.parametrize("composite", [True, False])
def test_translated_maps_are_the_views(name: str, composite: bool) -> None:
    network = networks()[name]
    function, data = translated(network, NUMPY, composite)
    x = np.random.default_rng(3).standard_normal(network.size)
    if composite and network.ring_order is not None:
        state = network.composite.state
        np.testing.assert_allclose(function(x[state], data), network.composite(x[state])[state], rtol=1e-13)
    else:
        np.testing.assert_allclose(function(x, data), network.joint(x), rtol=1e-13, atol=1e-15)


def test_what_has_no_translation_is_named() -> None:
    assert untranslatable(ring()) is None
    mish = nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [0.0]], ["tanh", "mish"]).game(cost="tracking")
    assert str(untranslatable(mish)) == "player 2: the activation 'mish' has no translation into other libraries"
    free = aslinearoperator(0.5 * np.eye(2))
    network = nng.Network.ring([free, np.eye(2)], [np.zeros(2)] * 2, ["tanh"] * 2)
    assert str(untranslatable(network.game())).endswith("is matrix-free: it has no translation")
    quadratic = nng.QuadraticGame({1: 2.0, 2: 2.0}, {(1, 2): 1.0}, {1: -1.0})
    assert "only the map of a network" in str(untranslatable(quadratic))
