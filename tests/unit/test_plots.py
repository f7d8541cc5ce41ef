"""Pictures: what is on them, that they are saved whole or not at all, and that nothing leaks into pyplot."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest

import nngames as nng
from nngames.report.figures import PALETTE, line_style
from nngames.report.game_graph import graph_of
from nngames.report.phase_portrait import find_equilibria
from nngames.report.plots import plot_cycle, plot_game, plot_phase_portrait, plot_results
from nngames.results.cycle import Cycle, Deviation

METHODS = ["picard", "km", "best_response", "extragradient"]


def minus_two():
    return nng.Network.ring([[[-2.0]]] * 3, [[1.0], [0.0], [0.0]], ["identity"] * 3).game()


def matching():
    network = nng.Network.ring([[[1.0]], [[-1.0]]], [[0.3], [0]], ["hard_tanh"] * 2, names=["matcher", "mismatcher"])
    return network.game()


def imitators(n=1):
    network = nng.Network.ring([np.eye(n)] * 3, [np.zeros(n)] * 3, ["identity"] * 3, names=["ann", "bob", "cem"])
    return network.game()


def step(mover, before, after, gain=Fraction(1, 2)):
    bounds = (float(gain), float(gain)) if gain is not None else (0.123456789, 0.2)
    return Deviation(mover, np.asarray(before, float), np.asarray(after, float), gain, bounds, True)


def cycle_of(game, ones=1.0, zeros=0.0):
    """The three imitators' cycle with the actions ``ones`` and ``zeros``."""
    n = game.dims["ann"]
    action = {0: np.broadcast_to(zeros, n), 1: np.broadcast_to(ones, n)}
    path = [(0, 0, 1), (1, 0, 1), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1)]
    movers = ["ann", "cem", "bob"] * 2
    profiles = [np.concatenate([action[i] for i in bits]) for bits in path]
    steps = [step(m, a, b) for m, a, b in zip(movers, profiles[:-1], profiles[1:], strict=True)]
    return Cycle(tuple(steps), "proximal")


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.fixture(scope="module")
def runs():
    return nng.compare(minus_two(), METHODS, max_iterations=500, trace_nash_gap=True).results()


# Runs


def curves(axes):
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
    return [line for line in lines if not line.get_label().startswith("_bound")]


def test_runs_have_two_panels_with_one_line_each(runs):
    figure = plot_results(runs)
    residual, gap = figure.axes
    assert residual.get_yscale() == gap.get_yscale() == "log"
    assert residual.get_xlabel() == gap.get_xlabel() == "passes over the network"
    assert residual.get_ylabel().startswith("residual")
    assert gap.get_ylabel().startswith("Nash gap")
    for axes in (residual, gap):
        assert [line.get_label() for line in curves(axes)] == METHODS
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == f"picard: diverged, {runs['picard'].evaluations} passes"
    assert legend[3] == f"extragradient: converged, {runs['extragradient'].evaluations} passes"


def test_converged_run_is_drawn_whole_and_diverged_ones_are_cut(runs):
    figure = plot_results(runs)
    lines = dict(zip(METHODS, curves(figure.axes[0]), strict=True))
    trace = runs["extragradient"].trace
    assert np.array_equal(lines["extragradient"].get_xdata(), trace.evaluations)
    assert np.array_equal(lines["extragradient"].get_ydata(), trace.residual)
    low, high = figure.axes[0].get_ylim()
    assert high < 1e4 < runs["picard"].trace.residual.max()
    assert lines["picard"].get_ydata()[-1] == pytest.approx(high)
    assert low < runs["extragradient"].tolerance * runs["extragradient"].scale


def test_tolerance_line_stands_at_the_target(runs):
    axes = plot_results(runs).axes[0]
    target = runs["picard"].tolerance * runs["picard"].scale
    assert any(np.all(np.asarray(line.get_ydata()) == target) for line in axes.get_lines())
    assert "target" in texts(axes)


def test_no_gap_no_panel():
    network = nng.Network.ring([[[0.5]], [[-0.9]]], [[1.0], [0.0]], ["tanh", "tanh"])
    figure = nng.solve(network.game(), "km").plot()
    assert len(figure.axes) == 1
    assert [line.get_label() for line in curves(figure.axes[0])] == ["km"]


def test_skipped_run_stays_in_the_legend():
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[1], [0]], ["silu", "tanh"]).game()
    figure = nng.compare(game, ["picard", "extragradient"]).plot()
    assert [line.get_label() for line in curves(figure.axes[0])] == ["picard"]
    assert [text.get_text() for text in figure.legends[0].get_texts()][1] == "extragradient: skipped"


def test_exact_zero_is_drawn_below_the_target():
    result = nng.solve(nng.Network.chain([[[1.0]]], [[0.5]], ["relu"], [1.0]).game(), "picard")
    assert result.trace.residual[-1] == 0
    axes = result.plot().axes[0]
    drawn = axes.get_lines()[0].get_ydata()
    assert 0 < drawn[-1] < result.tolerance * result.scale
    assert axes.get_ylim()[0] < drawn[-1]


def test_nothing_to_draw():
    with pytest.raises(nng.InputError, match=r"^there is no run to draw$"):
        plot_results({})
    with pytest.raises(nng.InputError, match=r"^plot_results takes a mapping label -> Result; for a single"):
        plot_results(nng.solve(matching(), "km"))


@pytest.mark.parametrize("plot", [plot_game, plot_phase_portrait, lambda network: plot_cycle(None, network)])
def test_a_network_is_no_game(plot):
    with pytest.raises(nng.InputError, match=r"takes a game, not a network: pass network.game\(\)$"):
        plot(matching().network)


def test_lines_differ_beyond_the_palette():
    looks = {str(sorted(line_style(i).items(), key=str)) for i in range(4 * len(PALETTE))}
    assert len(looks) == 4 * len(PALETTE)


# The graph


def test_ring_graph_has_its_players_weights_and_activations():
    figure = plot_game(minus_two())
    shown = texts(figure)
    assert {"1", "2", "3", "identity", "one way"} <= set(shown)
    assert shown.count("\N{MINUS SIGN}2") == 3
    assert any(text.startswith("Who listens to whom: 3 players, 3 couplings") for text in shown)


def test_pairs_are_told_apart():
    weights = {(1, 2): [[1.0, 2.0]], (2, 1): [[1.0], [2.0]], (1, 3): [[1.0]], (3, 1): [[1.5]], (3, 2): [[1.0, 0.0]]}
    network = nng.Network.graph(weights, {1: [0], 2: [0, 0], 3: [0]}, "tanh")
    graph = graph_of(network.game())
    kinds = {(arrow.source, arrow.target): arrow.kind for arrow in graph.arrows}
    assert kinds == {(2, 1): "alike", (3, 1): "proportional", (1, 3): "proportional", (2, 3): "one way"}
    assert graph.couplings == 5


def test_norms_on_the_arrows_are_upper_bounds():
    rng = np.random.default_rng(0)
    network = nng.Network.ring([rng.normal(size=(4, 4)) for _ in range(3)], np.zeros((3, 4)), ["tanh"] * 3)
    for arrow in graph_of(network.game()).arrows:
        exact = np.linalg.norm(network.weights[arrow.target, arrow.source].dense, 2)
        assert exact * (1 - 1e-12) <= arrow.size <= exact * (1 + 1e-9)
        assert arrow.label == f"{arrow.size:.3g}"


def test_quadratic_couplings_keep_their_sign():
    game = nng.QuadraticGame({"a": 2.0, "b": 2.0}, {("a", "b"): 1.0, ("b", "a"): 0.5})
    assert {(arrow.target, arrow.label) for arrow in graph_of(game).arrows} == {("a", "1"), ("b", "0.5")}


@pytest.mark.parametrize("size", [2, 3, 7, 20, 34, 40])
def test_nodes_never_touch(size):
    edges = nx.karate_club_graph().edges if size == 34 else nx.gnp_random_graph(size, 0.2, seed=size).edges
    network = nng.Network.graph(dict.fromkeys(edges, 0.1), {i: [0.0] for i in range(size)}, "relu")
    graph = graph_of(network.game())
    points = np.array(list(graph.places.values()))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(size, dtype=bool)]
    assert distances.min() > 2 * graph.radius
    low, high = graph.extent
    assert (points.min(axis=0) - graph.radius > low).all()
    assert (points.max(axis=0) + graph.radius < high).all()
    again = graph_of(network.game())
    assert all(np.array_equal(graph.places[node], again.places[node]) for node in graph.places)


def test_neurons_are_drawn_up_to_forty_and_layers_beyond():
    rng = np.random.default_rng(2)
    small = nng.Network.recurrent(0.1 * rng.normal(size=(12, 12)), np.zeros(12), "tanh").game()
    large = nng.Network.recurrent(0.01 * rng.normal(size=(50, 50)), np.zeros(50), "tanh").game()
    assert len(graph_of(small).places) == 12
    assert len(graph_of(large).places) == 1
    assert any("12 neurons, 144 couplings" in text for text in texts(plot_game(small)))


def test_chain_shows_its_input():
    network = nng.Network.chain([np.ones((2, 5)), np.ones((1, 2))], [[0, 0], [0]], ["relu", "tanh"], np.zeros(5))
    assert {"input\nsize 5", "1\nsize 2", "fixed input"} <= set(texts(plot_game(network.game())))


# Cycles


def test_cycle_shows_profiles_movers_and_gains():
    game = imitators()
    shown = texts(plot_cycle(cycle_of(game), game))
    for profile in ("(0, 0, 1)", "(1, 0, 1)", "(1, 0, 0)", "(1, 1, 0)", "(0, 1, 0)", "(0, 1, 1)"):
        assert shown.count(profile) == 1
    for mover in ("ann", "bob", "cem"):
        assert shown.count(f"{mover}\ngains 1/2") == 2
        assert f"{mover} moves" in shown


def test_long_actions_get_letters():
    game = imitators(6)
    shown = texts(plot_cycle(cycle_of(game, ones=np.arange(6) / 7), game))
    assert {"(a, a, b)", "(b, a, b)", "a = (0, 0, ..., 0)", "b = (0, 0.1429, ..., 0.7143)"} <= set(shown)


def test_long_cycle_is_numbered():
    n = 20
    game = nng.Network.graph({(i, (i - 1) % n): 1.0 for i in range(n)}, {i: [0.0] for i in range(n)}, "relu").game()
    steps, x = [], np.zeros(n)
    for k in range(2 * n):
        y = x.copy()
        y[k % n] = 1 - y[k % n]
        steps.append(step(k % n, x, y))
        x = y
    shown = texts(plot_cycle(Cycle(tuple(steps), "proximal"), game))
    assert {str(i + 1) for i in range(2 * n)} <= set(shown)
    assert "and 8 more" in shown


def test_enclosed_gain_is_not_overstated():
    game = imitators()
    steps = [step("ann", (0, 0, 1), (1, 0, 1), None), step("ann", (1, 0, 1), (0, 0, 1))]
    assert "ann\ngains at least\n0.1234" in texts(plot_cycle(Cycle(tuple(steps), "proximal"), game))


# Phase portraits


def test_portrait_has_axes_curves_and_equilibrium():
    figure = plot_phase_portrait(matching(), seed=1)
    axes = figure.axes[0]
    assert axes.get_xlabel() == "action of matcher"
    assert axes.get_ylabel() == "action of mismatcher"
    stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
    assert np.allclose(np.column_stack([stars[0].get_xdata(), stars[0].get_ydata()]), [[0.15, -0.15]])
    assert {"matcher would not move", "mismatcher would not move", "1 equilibrium found"} <= set(texts(figure))


def test_portrait_marks_what_it_is_given():
    figure = plot_phase_portrait(matching(), equilibria=[[0.15, -0.15]], starts=[[0.5, 0.5], [-0.5, 0.25]])
    assert "1 equilibrium" in texts(figure)
    begins = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in begins] == [(0.5, 0.5), (-0.5, 0.25)]


def two(weights, biases, name):
    return nng.Network.graph({(1, 2): weights[0], (2, 1): weights[1]}, dict(zip((1, 2), biases, strict=True)), name)


@pytest.mark.parametrize(
    ("game", "expected"),
    [
        (two((2.0, 1.0), ([-1.0], [0.0]), "relu").game(), [(0, 0), (1, 1)]),
        (two((0.0, 0.0), ([3.0], [-2.0]), "identity").game(), [(3, -2)]),
        (two((-1.0, 1.0), ([40.0], [0.0]), "identity").game(), [(20, 20)]),
        # A residual of 3e-10 at x = 22, and no equilibrium.
        (two((1.0, 1.0), ([0.0], [0.0]), "softplus_beta").game(), []),
    ],
)
def test_equilibria_of_the_portrait(game, expected):
    found = find_equilibria(game)
    assert found == pytest.approx(np.reshape(np.array(expected, dtype=float), (-1, 2)), abs=1e-8)


def test_unstable_equilibrium_is_found_too():
    found = find_equilibria(two((2.0, 2.0), ([0.0], [0.0]), "tanh").game())
    root = 0.957504024077
    assert np.sort(found[:, 0]) == pytest.approx([-root, 0, root], abs=1e-8)


def test_portrait_needs_two_dimensions():
    with pytest.raises(nng.NotApplicableError, match=r"^a phase portrait needs a two-dimensional profile; this game's"):
        plot_phase_portrait(minus_two())


# Files


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_files_are_whole_and_repeatable(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    plot_game(minus_two(), path)
    first = path.read_bytes()
    plot_game(minus_two(), path)
    assert path.read_bytes() == first
    assert os.listdir(tmp_path) == [path.name]
    heads = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    assert first.startswith(heads[suffix.lower()])
    if suffix == "svg":
        xml.etree.ElementTree.fromstring(first.decode())


@pytest.mark.parametrize(
    ("name", "problem"), [("a.jpg", "has the suffix '.jpg', which is not supported"), ("picture", "has no suffix")]
)
@pytest.mark.parametrize("plot", ["results", "game", "cycle", "portrait"])
def test_unsupported_suffix_writes_nothing(tmp_path, plot, name, problem):
    path, game = tmp_path / name, imitators()
    calls = {
        "results": lambda: nng.solve(game, "km").plot(path),
        "game": lambda: plot_game(game, path),
        "cycle": lambda: plot_cycle(cycle_of(game), game, path),
        "portrait": lambda: plot_phase_portrait(matching(), path),
    }
    message = f"the picture {str(path)!r} {problem}; valid: .pdf, .png, .svg"
    with pytest.raises(nng.OptionError, match=f"^{re.escape(message)}$"):
        calls[plot]()
    assert os.listdir(tmp_path) == []


def test_old_picture_survives_a_failure(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def broken(*_):
        raise OSError

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match=r"^$"):
        plot_game(minus_two(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["picture.png"]


def test_names_are_never_mathematics(tmp_path):
    names = ["$x_1$", "50%", "\N{CJK UNIFIED IDEOGRAPH-4E2D}"]
    network = nng.Network.ring([[[1.0]]] * 3, [[0.0]] * 3, ["identity"] * 3, names=names)
    plot_game(network.game(), tmp_path / "odd.svg")
    assert r"\$x_1\$" in texts(plot_game(network.game()))


def test_neither_pyplot_nor_settings_are_touched():
    code = (
        "import sys, matplotlib, nngames as nng; before = matplotlib.rcParams.copy(); "
        "from nngames.report.plots import plot_game; "
        "plot_game(nng.Network.ring([[[1.0]]] * 2, [[0.0]] * 2, ['tanh'] * 2).game()); "
        "assert matplotlib.rcParams.copy() == before; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_a_training_run_that_tells_only_its_start_and_end_is_dotted():
    from matplotlib.figure import Figure

    from nngames.report.learning_drawing import draw_learning_curves
    from nngames.training.learning_curve import LearningCurve

    result = nng.solve(minus_two(), "picard", max_iterations=1)
    curves = {}
    for label, passes in {"told": (1, 2, 3), "mute": (1, 9, 9), "short": (1, 2)}.items():
        curves[label] = LearningCurve(lambda profile: (float(profile[0]), 0.5))
        for number, count in enumerate(passes):
            curves[label].add(number, count, np.array([3.0 - number]))
    figure = Figure()
    draw_learning_curves(figure, curves, dict.fromkeys(curves, result))
    for axes in figure.axes:
        looks = {line.get_label(): line.get_linestyle() for line in axes.lines}
        assert (looks["told"] == ":", looks["mute"] == ":", looks["short"] == ":") == (False, True, False)
