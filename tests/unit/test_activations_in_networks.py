"""Every registered activation in small rings: runs, certificates, checks and words end well and claim nothing false."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from activation_draws import ALL, IDS

import nngames as nng
from nngames.activations import Activation, activation, activations
from nngames.core.errors import DomainError, NNGamesError, NotApplicableError, ShapeError
from nngames.report.diagnose import diagnosis_of
from nngames.results.result import Status
from nngames.scenario import ScenarioError

SELF_MAPS = [a for a in ALL if a.self_map]
OUTSIDE = [a for a in ALL if not a.self_map]
UNBOUNDED = [a for a in SELF_MAPS if a.lipschitz == np.inf]
PARTIAL = [a for a in SELF_MAPS if not a.defined_everywhere]
JUMPING = [a for a in SELF_MAPS if not a.continuous]
DEFAULTS = [activation(name) for name in activations()]
#: The defaults, and the variants that are steep, jump, are not defined everywhere or mix coordinates.
CASES = [a for a in SELF_MAPS if a in DEFAULTS or a in UNBOUNDED or a in PARTIAL or a in JUMPING or not a.gradient]
each_case = pytest.mark.parametrize("a", CASES, **IDS)
CONTRACTIONS = ("composite_contraction", "composite_nonexpansive", "joint_contraction", "neuron_contraction")


def ring(a: Activation, size: float = 0.8, bias: float = 0.4) -> nng.Network:
    """A ring of two layers of size 3, or of the size that the parameters fix."""
    n = a.size or 3
    rng = np.random.default_rng(n)
    weights = [rng.normal(size=(n, n)) for _ in range(2)]
    weights = [size * w / np.linalg.norm(w, 2) for w in weights]
    return nng.Network.ring(weights, [np.full(n, bias)] * 2, [a] * 2)


def solved(game: Any, method: str, **options: Any) -> Any:
    """The result of a run, or None where a typed error says why there is none."""
    try:
        return nng.solve(game, method, max_iterations=200, **options)
    except NNGamesError:
        return None


@each_case
def test_runs_end_with_a_result_or_a_typed_error(a: Activation) -> None:
    for size, bias in ((0.3, 0.45), (3.0, -0.7)):
        game = ring(a, size, bias).game()
        for method in ("picard", "km", "best_response", "extragradient", "auto"):
            result = solved(game, method)
            if result is None:
                continue
            assert result.message
            assert not np.isnan(result.profile).any() or result.status in (Status.NOT_FINITE, Status.DIVERGED)
            assert isinstance(result.nash_gap, float)
            if result.converged:
                assert np.isfinite(result.profile).all()
                assert float(game.residual(result.profile)) <= 1e-9 * result.scale
                assert not np.isnan(result.nash_gap)


@each_case
def test_what_is_certified_holds_on_samples(a: Activation) -> None:
    rng = np.random.default_rng(3)
    for size in (0.3, 1.0, 3.0):
        network = ring(a, size)
        game = network.game()
        verdicts = nng.certify(game)
        for verdict in verdicts.values():
            assert verdict.statement
            assert verdict.margin is None or not np.isnan(verdict.margin)
        proved = {name for name, verdict in verdicts.items() if verdict.proved}
        if a in UNBOUNDED or a in PARTIAL:
            assert not proved & set(CONTRACTIONS)
        if a in JUMPING:
            assert not proved & {*CONTRACTIONS, "monotone"}
        for name in ("picard", "km", "best_response", "extragradient"):
            scheme = nng.solvers.solver(name)
            if scheme.applies(game) is None:
                assert scheme.guarantee(game).statement
        if proved & {"composite_contraction", "composite_nonexpansive"}:
            state = network.space.slices[2]
            x, y = rng.normal(size=(2, 200, network.dims[2]))
            images = [network.composite(z)[..., state] for z in (x, y)]
            factor = float(verdicts["composite_nonexpansive"].witness["lipschitz"])
            grown = np.linalg.norm(images[0] - images[1], axis=-1)
            assert (grown <= factor * np.linalg.norm(x - y, axis=-1) * (1 + 1e-12) + 1e-15).all()
        if any(verdicts[name].witness.get("unique") for name in proved):
            assert nng.solve(game, "auto", max_iterations=20_000).converged


@each_case
def test_structure_and_words_end_well(a: Activation) -> None:
    game = ring(a).game()
    assert game.cost_name == ("proximal" if a.monotone else "tracking")
    for format in ("text", "latex"):
        assert a.name in game.explain(format).replace(r"\_", "_")
    report = nng.check_potential(game, max_seconds=0.05)
    for verdict in (report.exact, report.weighted, report.ordinal, report.best_response_acyclic):
        assert verdict.statement
    words = " ".join(finding.answer for finding in diagnosis_of(game, seed=0).findings)
    assert words
    if a in PARTIAL or a in JUMPING or not a.bounded:
        assert "Brouwer" not in words


@each_case
def test_feeds_and_outcomes_end_well(a: Activation) -> None:
    network = ring(a)
    for rule in ("iterated", "averaged"):
        try:
            trajectory = network.feed(np.full(network.dims[2], 0.2), rule=rule, steps=100)
        except DomainError:
            continue
        assert trajectory.reason
        if str(trajectory.kind) == "fixed_point":
            assert np.isfinite(trajectory.limit).all()
        known = trajectory.condition.witness.get("averagedness") if trajectory.condition is not None else None
        assert known is None or (a not in UNBOUNDED and a not in PARTIAL)
    try:
        report = nng.check_outcomes(network.game(), starts=3, seed=1, steps=300)
    except DomainError:
        report = None
    assert report is not None or a in PARTIAL
    if report is not None and (a in PARTIAL or a in JUMPING):
        assert not report.limits_are_equilibria.proved


@each_case
def test_a_self_loop_ends_well(a: Activation) -> None:
    n = a.size or 1
    for weight in (-0.5, 0.5):
        try:
            game = nng.Network.recurrent(weight * np.eye(n), np.full(n, 0.3), a).game()
        except NNGamesError:
            continue
        result = solved(game, "best_response")
        assert result is None or result.message
        assert nng.certify(game)


@pytest.mark.parametrize("a", [a for a in CASES if a.monotone], **IDS)
def test_penalties_of_quadratic_games_end_well(a: Activation) -> None:
    n = a.size or 2
    eye = np.eye(n)
    for curvature in (1.0, 3.0):
        game = nng.QuadraticGame(
            {"a": curvature * eye, "b": curvature * eye},
            {("a", "b"): 0.4 * eye, ("b", "a"): -0.4 * eye},
            {"a": np.full(n, -0.5)},
            {"a": a, "b": a},
        )
        for method in ("best_response", "extragradient", "auto"):
            result = solved(game, method)
            assert result is None or result.message
        verdicts = nng.certify(game)
        if verdicts["joint_contraction"].proved:
            assert a.defined_everywhere or curvature > 1
            assert nng.solve(game, "best_response").converged
        assert game.explain()


# Maps out of R^n


@pytest.mark.parametrize("a", OUTSIDE, **IDS)
def test_maps_out_of_the_space_are_refused_by_layers(a: Activation) -> None:
    zero, eye = np.zeros(2), np.eye(2)
    for build in (
        lambda: nng.Network.ring([eye] * 2, [zero] * 2, ["relu", a]),
        lambda: nng.Network.chain([eye] * 2, [zero] * 2, ["relu", a.name], zero),
        lambda: nng.Network.graph({(2, 1): eye}, {1: zero, 2: zero}, {1: "relu", 2: {"name": a.name}}),
    ):
        with pytest.raises(ShapeError) as caught:
            build()
        assert str(caught.value).startswith(f"player 2: activation {a.name!r} maps R^")
        assert "; the response of a layer of size 2 must map R^2 into itself: use '" in str(caught.value)
    with pytest.raises(ShapeError, match=f"the penalty of p: activation {a.name!r} maps R"):
        nng.QuadraticGame({"p": eye}, penalties={"p": a})
    with pytest.raises(NNGamesError, match=r"names an activation, and one without a penalty: .* maps R"):
        nng.QuadraticGame({"p": eye}, penalties={"p": a.name})


@pytest.mark.parametrize("a", OUTSIDE, **IDS)
def test_a_scenario_names_the_place_of_a_map_out_of_the_space(a: Activation, tmp_path: Path) -> None:
    path = tmp_path / "outside.yaml"
    path.write_text(
        "name: outside\n"
        "network:\n"
        "  kind: ring\n"
        "  layers:\n"
        "    - {weight: [[0.5, 0.1], [0.0, 0.2]], activation: relu}\n"
        f"    - {{weight: [[0.5, 0.1], [0.0, 0.2]], activation: {a.name}}}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        _ = nng.load_scenario(path).game
    assert "outside.yaml:6:" in str(caught.value)
    assert f"network.layers[1].activation: activation {a.name!r} maps R^" in str(caught.value)


# Where a map is not defined, jumps, or is steep without bound


def test_a_run_that_leaves_the_inputs_fails_with_a_message() -> None:
    network = nng.Network.ring([[[3.0]], [[1.0]]], [[0.5], [0.5]], ["softsign_probit"] * 2)
    result = nng.solve(network.game(), "picard", start=[0.1, 0.1])
    assert result.status is Status.FAILED
    assert "left the set where an activation is defined after" in result.message
    assert "activation 'softsign_probit' is defined on (0, 1) only" in result.message
    assert not result.converged
    assert np.isfinite(result.profile).all()
    trajectory = network.feed([0.1], steps=50)
    assert str(trajectory.kind) == "undecided"
    assert "a layer left the set where its activation is defined" in trajectory.reason
    with pytest.raises(DomainError, match=r"picard cannot start there: .* is defined on .*; give another start"):
        nng.solve(network.game(), "picard", start=[5.0, 5.0])


def test_a_comparison_keeps_the_runs_that_left_the_inputs() -> None:
    game = nng.Network.ring([[[3.0]], [[1.0]]], [[0.5], [0.5]], ["softsign_probit"] * 2).game()
    comparison = nng.compare(game, ["picard", "best_response"], start=[0.1, 0.1], trace_nash_gap=True)
    assert [row.result.status for row in comparison.rows] == [Status.FAILED] * 2
    assert all("softsign_probit" in row.result.message for row in comparison.rows)


def test_the_unit_of_tolerances_is_1_where_zero_is_no_argument() -> None:
    game = nng.Network.ring([[[0.1]], [[0.1]]], [[0.0], [0.5]], ["softsign_probit"] * 2).game()
    with pytest.raises(DomainError):
        game.residual(np.zeros(2))
    assert game.scale == 1.0


def test_unbounded_slopes_prove_no_contraction_however_small_the_weights() -> None:
    assert len(UNBOUNDED) >= 4
    for a in UNBOUNDED:
        verdicts = nng.certify(ring(a, 1e-6).game())
        for name in CONTRACTIONS:
            assert not verdicts[name].proved, (a, name)
        reason = verdicts["joint_contraction"].statement
        assert "has no Lipschitz constant" in reason or "is not defined for every pre-activation" in reason


def test_a_player_whose_activation_jumps_has_no_monotone_certificate() -> None:
    game = nng.Network.ring([[[0.5]], [[-0.5]]], [[0.1], [0.1]], ["hardshrink", "hardshrink"]).game()
    verdict = nng.certify(game)["monotone"]
    assert not verdict.proved
    assert "'hardshrink' of player 1 is not continuous" in verdict.statement
    report = nng.check_outcomes(game, starts=3, seed=0)
    assert not report.limits_are_equilibria.proved
    assert not report.equilibria_are_outcomes.proved


def test_infinite_slopes_shift_the_inclusion_by_one() -> None:
    """M = -W for slopes without bound: monotone iff -W is, and extragradient has no rate of its residual."""
    a = activation("soft_exponential")
    assert a.lipschitz == np.inf
    game = nng.Network.ring([[[0.5]], [[-0.5]]], [[0.1], [0.1]], [a, a]).game()
    verdict = nng.certify(game)["monotone"]
    assert verdict.proved
    assert verdict.margin == 0
    np.testing.assert_array_equal(game.inclusion().matrix.dense, [[0.0, -0.5], [0.5, 0.0]])
    guarantee = nng.solvers.solver("extragradient").guarantee(game)
    assert guarantee.proved
    assert guarantee.rate is None
    symmetric = nng.Network.ring([[[0.5]], [[0.5]]], [[0.1], [0.1]], [a, a]).game()
    assert nng.certify(symmetric)["monotone"].refuted


def test_attention_with_a_matrix_gets_the_tracking_cost_and_its_bound() -> None:
    a = activation("attention", score=[[0.5, 0.1], [0.0, -0.4]])
    network = nng.Network.ring([np.eye(2), np.eye(2)], [np.zeros(2)] * 2, [a, a])
    game = network.game()
    assert game.cost_name == "tracking"
    bound = nng.certify(game)["composite_contraction"]
    assert bound.proved
    assert bound.witness["factor"] == pytest.approx(a.lipschitz**2, rel=1e-9)
    with pytest.raises(NotApplicableError, match="player 1: activation 'attention' with a matrix as score"):
        network.game(cost="proximal")


# Errors and runs where a map is not defined


def partial_ring() -> nng.Network:
    """A ring whose composite map is not defined at zero, nor at [3, 3, 3, 3]."""
    weights = [[[3.0, 0.0], [0.0, 3.0]], [[3.0, 3.0], [0.0, 3.0]]]
    return nng.Network.ring(weights, [[0.5, 0.4], [0.5, 0.6]], ["softsign_probit"] * 2)


def test_a_refused_pre_activation_is_located() -> None:
    network = partial_ring()
    game, far = network.game(), np.full(4, 3.0)
    first = r"^the pre-activation of player 1: activation 'softsign_probit' .* entry \[0\] is 9\.5$"
    calls = (network.forward, network.feed, game.residual, game.best_responses, game.nash_gap)
    for call in calls:
        with pytest.raises(DomainError, match=first):
            call(far)
    for cost in ("proximal", "tracking"):
        with pytest.raises(DomainError, match=r"^the pre-activation of player 2: .* entry \[0\] is 18\.5$"):
            network.game(cost=cost).best_response(2, far)
    with pytest.raises(DomainError, match=r"^picard cannot start there: the pre-activation of player 1: "):
        nng.solve(game, "picard", start=far)
    with pytest.raises(DomainError, match=r"^the pre-activation of player 1\[1\]: .* entry \[0\] is 9\.4$"):
        network.game("neurons").best_response("1[1]", far)
    chain = nng.Network.chain([[[1.0]], [[1.0]]], [[0.5], [0.5]], ["relu", "softsign_probit"], [0.25])
    with pytest.raises(DomainError, match=r"^the pre-activation of player 2: .* is 1\.25$"):
        chain.forward()


@pytest.mark.parametrize("bad", range(5))
def test_a_merged_run_of_layers_names_the_one_that_is_outside(bad: int) -> None:
    biases = {i: [0.5, 2.0 if i >= bad else 0.5] for i in range(5)}
    joint = nng.Network.graph({}, biases, "softsign_probit").joint
    with pytest.raises(DomainError, match=rf"^the pre-activation of player {bad}: .* entry \[1\] is 2\.0$"):
        joint(np.zeros(10))
    with pytest.raises(DomainError, match=rf"^the pre-activation of player {bad}: .* entry \[0, 1\] is 2\.0$"):
        joint(np.zeros((3, 10)))


@pytest.mark.parametrize("method", ["picard", "km", "best_response", "extragradient", "auto"])
def test_a_run_from_zero_fails_alike_by_every_method(method: str) -> None:
    game = partial_ring().game()
    result = nng.solve(game, method, trace_nash_gap=True)
    assert result.status is Status.FAILED
    assert "activation 'softsign_probit' is defined on (0, 1) only" in result.message
    assert "the pre-activation of player" in result.message
    assert result.message.endswith("nng.solve(game, start=...)")
    if method != "auto":
        trace = result.trace
        assert len(trace.residual) == len(trace.seconds) == len(trace.nash_gap) == result.iterations + 1
    if method in ("picard", "km"):
        assert result.residual == game.residual(np.zeros(4))
        assert "cannot start at zero" in result.message


def test_a_failed_run_keeps_its_residual_in_the_table(capsys: Any) -> None:
    from rich.console import Console

    from nngames.report.result_tables import print_comparison

    comparison = nng.compare(partial_ring().game(), ["extragradient"])
    print_comparison(Console(width=200), comparison)
    assert f"{comparison.rows[0].result.residual:.1e}" in capsys.readouterr().out.splitlines()[1]


def test_the_diagnosis_says_that_every_run_left_the_inputs() -> None:
    found = diagnosis_of(partial_ring().game(), seed=0)
    assert found["settles?"].answer.endswith("from 3 starts: 3 left the set where an activation is defined")
    assert found["unique?"].answer == "every run left the set where an activation is defined"
    assert found.next_step.startswith("nng.solve(game, start=...)")
    assert "put a bounded layer before 'softsign_probit'" in found.next_step
    assert "max_iterations" not in found.next_step


def test_the_diagnosis_of_feeds_counts_the_starts_outside() -> None:
    found = diagnosis_of([[0.5, 0.2], [0.1, 0.5]], [-0.5, 0.45], "softsign_probit", seed=0)
    assert found["settles?"].answer == "no feed can start; an activation is not defined at 3 of 3 starts"
    assert "x0 at which every activation is defined" in found.next_step


# Refusals that lead somewhere


@pytest.mark.parametrize("a", [a for a in DEFAULTS if not a.monotone], **IDS)
def test_an_activation_without_a_penalty_is_not_offered_as_one(a: Activation) -> None:
    for given in (a.name, a):
        with pytest.raises(NNGamesError) as caught:
            nng.QuadraticGame({"p": [[1.0]]}, penalties={"p": given})
        words = str(caught.value)
        assert words.startswith("the penalty of p: ")
        assert "it is the prox of no function; name a set (affine, " in words
        assert "to use its penalty" not in words
        assert "tracking" not in words
        assert "into itself" not in words


def test_an_activation_with_a_penalty_is_offered() -> None:
    with pytest.raises(NNGamesError, match=r"or pass nng\.activation\('tanh'\) to use its penalty$"):
        nng.QuadraticGame({"p": [[1.0]]}, penalties={"p": "tanh"})


@pytest.mark.parametrize("name", ["hardshrink", "softsign_probit", "soft_exponential"])
@pytest.mark.parametrize("matrix", [[[0.5, 0.0], [0.0, 0.5]], [[0.5, 0.1], [0.1, 0.5]]])
def test_too_little_curvature_is_told_in_terms_of_what_was_given(name: str, matrix: Any) -> None:
    with pytest.raises(NNGamesError) as caught:
        nng.QuadraticGame({"a": matrix}, penalties={"a": activation(name)})
    assert str(caught.value).endswith("give it a larger quadratic term or another penalty")
    with pytest.raises(NNGamesError, match=r"a self-weight must be below 1/S \(network\.feed"):
        nng.Network.recurrent(matrix, [0.5, 0.5], name).game("layers")


@pytest.mark.parametrize("players", ["auto", "layers", "neurons"])
def test_a_nonsymmetric_self_weight_of_a_mixing_layer_has_no_game(players: str) -> None:
    turn = [[0.1, 0.2], [0.0, 0.1]]
    network = nng.Network.recurrent(turn, [0.5, 0.45], "layer_norm")
    with pytest.raises(NNGamesError) as caught:
        network.game(players=players)
    assert "its activation 'layer_norm' is not separable" in str(caught.value)
    assert str(caught.value).endswith(
        "the network has no game; iterate it with network.feed, or make the weight symmetric"
    )
    apart = nng.Network.graph({(1, 1): turn, (2, 1): turn}, {1: [0, 0], 2: [0, 0]}, {1: "tanh", 2: "softmax"})
    with pytest.raises(NNGamesError, match=r"player 1 feeds itself .*, and player 2's activation 'softmax' is not sep"):
        apart.game(players=players)
