"""Building scenarios: arrays, networks and games equal to those built by hand; seeds, folders and the gallery."""

import math
from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nngames as nng
from nngames.scenario import Scenario, ScenarioError, gallery, load_scenario
from nngames.scenario.templates import KINDS, template


def ring_of(weight: str, more: str = "") -> Scenario:
    return load_scenario(
        f"name: r\n{more}\nnetwork:\n  kind: recurrent\n  layers:\n  - {{activation: identity, weight: {weight}}}\n"
    )


def weight_of(weight: str, more: str = "") -> np.ndarray:
    network = ring_of(weight, more).network
    return network.weights[1, 1].dense


def same_network(a: nng.Network, b: nng.Network) -> None:
    assert a.players == b.players
    assert a.weights.keys() == b.weights.keys()
    for edge, weight in a.weights.items():
        np.testing.assert_array_equal(weight.dense, b.weights[edge].dense)
    for player in a.players:
        np.testing.assert_array_equal(a.effective_bias(player), b.effective_bias(player))
    assert a.activations == b.activations


@pytest.mark.parametrize(
    ("degrees", "matrix"),
    [
        ("0", [[1, 0], [0, 1]]),
        ("90", [[0, -1], [1, 0]]),
        ("180", [[-1, 0], [0, -1]]),
        ("-90", [[0, 1], [-1, 0]]),
        ("450.0", [[0, -1], [1, 0]]),
    ],
)
def test_rotations_by_right_angles_are_exact(degrees, matrix):
    np.testing.assert_array_equal(weight_of(f"{{rotation: {degrees}}}"), matrix)
    np.testing.assert_array_equal(weight_of(f"{{rotation: {degrees}, scale: 0.3}}"), 0.3 * np.array(matrix))


def test_other_rotations_turn_counterclockwise():
    expected = [[math.sqrt(3) / 2, -0.5], [0.5, math.sqrt(3) / 2]]
    np.testing.assert_allclose(weight_of("{rotation: 30}"), expected, rtol=0, atol=1e-15)


def test_identity_and_numbers():
    np.testing.assert_array_equal(weight_of("{identity: 3, scale: -2}"), -2 * np.eye(3))
    np.testing.assert_array_equal(weight_of("0.25"), [[0.25]])


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal", "uniform"])
def test_a_random_matrix_has_the_norm_and_depends_on_the_seed(kind):
    form = f"{{random: {kind}, shape: [4, 4], norm: 0.7}}"
    first = weight_of(form, "seed: 1")
    assert np.linalg.norm(first, 2) == pytest.approx(0.7, rel=1e-12)
    np.testing.assert_array_equal(first, weight_of(form, "seed: 1"))
    assert not np.array_equal(first, weight_of(form, "seed: 2"))
    assert not np.array_equal(first, weight_of(form))


@pytest.mark.parametrize(("rows", "columns"), [(2, 5), (5, 2), (3, 3)])
def test_orthogonal_matrices_are_isometries_one_way(rows, columns):
    text = f"""\
name: r
network:
  kind: chain
  input: {{constant: 1, shape: {columns}}}
  layers:
  - {{activation: identity, weight: {{random: orthogonal, shape: [{rows}, {columns}]}}}}
"""
    matrix = load_scenario(text).network._input_weight.dense
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-14)


def test_each_random_array_has_its_own_stream_whatever_stands_beside_it():
    layer = (
        "  - {activation: identity, weight: {random: gaussian, shape: [2, 2]}, bias: {random: gaussian, shape: 2}}\n"
    )
    head = "name: r\nseed: 5\nnetwork:\n  kind: ring\n  layers:\n"
    two, three = load_scenario(head + 2 * layer).network, load_scenario(head + 3 * layer).network
    np.testing.assert_array_equal(two.weights[2, 1].dense, three.weights[2, 1].dense)
    np.testing.assert_array_equal(two.biases[2], three.biases[2])
    assert not np.array_equal(two.weights[2, 1].dense, two.weights[1, 2].dense)


def test_vectors():
    text = """\
name: g
network:
  kind: graph
  players:
    a: {activation: identity, bias: 3}
    b: {activation: identity, bias: {constant: 2, shape: 2}}
    c: {activation: identity, bias: {random: uniform, shape: 50, scale: 3}}
    4: {activation: identity, size: 2}
"""
    network = load_scenario(text).network
    assert network.dims == {"a": 1, "b": 2, "c": 50, 4: 2}
    np.testing.assert_array_equal(network.biases["b"], [2, 2])
    assert 1 < np.abs(network.biases["c"]).max() <= 3
    np.testing.assert_array_equal(network.biases[4], [0, 0])


def test_rings_are_those_built_by_hand():
    text = """\
name: r
network:
  kind: ring
  layers:
  - {name: a, activation: tanh, weight: [[1, 2, 3]], bias: [0.5]}
  - {activation: {name: leaky_relu, slope: 0.2}, weight: [[1], [2], [3]]}
"""
    same_network(
        load_scenario(text).network,
        nng.Network.ring(
            [[[1, 2, 3]], [[1], [2], [3]]],
            [[0.5], [0, 0, 0]],
            ["tanh", nng.activation("leaky_relu", slope=0.2)],
            names=["a", 2],
        ),
    )


def test_chains_graphs_and_recurrent_layers_are_those_built_by_hand():
    chain = load_scenario(
        """\
name: c
network:
  kind: chain
  input: [1, 2]
  layers:
  - {activation: relu, weight: [[1, -1], [1, 1]], bias: [0, -1]}
  - {activation: identity, weight: [[1, 2]]}
"""
    ).network
    same_network(
        chain,
        nng.Network.chain([[[1, -1], [1, 1]], [[1, 2]]], [[0, -1], [0]], ["relu", "identity"], [1, 2]),
    )
    np.testing.assert_array_equal(np.concatenate(chain.forward()), [0, 2, 4])
    graph = load_scenario(
        """\
name: g
network:
  kind: graph
  players: {a: {activation: tanh}, b: {activation: relu, bias: 1}}
  edges: [{from: a, to: b, weight: 2}, {from: b, to: b, weight: -1}]
"""
    ).network
    same_network(
        graph,
        nng.Network.graph({("b", "a"): 2, ("b", "b"): -1}, {"a": [0], "b": [1]}, {"a": "tanh", "b": "relu"}),
    )
    same_network(
        ring_of("[[0.1, 0.2], [0.3, 0.4]]").network, nng.Network.recurrent([[0.1, 0.2], [0.3, 0.4]], [0, 0], "identity")
    )


def test_a_social_network_is_its_adjacency_matrix():
    text = """\
name: s
network:
  kind: adjacency
  graph: {networkx: florentine_families}
  coupling: -0.5
  bias: 1
  activation: relu
"""
    network = load_scenario(text).network
    graph = networkx.florentine_families_graph()
    assert network.players == tuple(graph.nodes)
    found = networkx.to_numpy_array(network.digraph, weight=None)
    np.testing.assert_array_equal(found, networkx.to_numpy_array(graph, weight=None))
    assert {float(weight.dense[0, 0]) for weight in network.weights.values()} == {-0.5}
    assert {float(bias[0]) for bias in network.biases.values()} == {1.0}


def test_edge_lists_with_weights_and_directions():
    head = "name: s\nnetwork:\n  kind: adjacency\n  coupling: 2\n  activation: relu\n  bias: [1, 2, 3]\n"
    directed = load_scenario(head + "  graph: {edges: [[a, b], [b, 3]]}\n  directed: true\n").network
    assert {edge: float(w.dense[0, 0]) for edge, w in directed.weights.items()} == {("b", "a"): 2, (3, "b"): 2}
    assert {player: float(bias[0]) for player, bias in directed.biases.items()} == {"a": 1, "b": 2, 3: 3}
    weighted = load_scenario(head + "  graph: {edges: [[a, b, 3], [b, c, -1]]}\n  weighted: true\n").network
    assert {edge: float(w.dense[0, 0]) for edge, w in weighted.weights.items()} == {
        ("b", "a"): 6, ("a", "b"): 6, ("c", "b"): -2, ("b", "c"): -2
    }  # fmt: skip


def test_weighted_shipped_graphs_multiply_the_coupling():
    text = (
        "name: s\nnetwork: {kind: adjacency, graph: {networkx: les_miserables}, weighted: true, coupling: 0.01, "
        "activation: relu}\n"
    )
    network = load_scenario(text).network
    graph = networkx.les_miserables_graph()
    for (target, source), weight in network.weights.items():
        assert float(weight.dense[0, 0]) == 0.01 * graph.edges[source, target]["weight"]


@pytest.mark.parametrize(
    "name",
    ["davis_southern_women", "florentine_families", "karate_club", "krackhardt_kite", "les_miserables", "petersen"],
)
def test_every_shipped_graph_builds(name):
    text = f"name: s\nnetwork: {{kind: adjacency, graph: {{networkx: {name}}}, coupling: 1, activation: relu}}\n"
    network = load_scenario(text).network
    assert network.size == len(getattr(networkx, f"{name}_graph")())


def test_quadratic_games_are_those_built_by_hand():
    scenario = load_scenario(
        """\
name: d
game:
  kind: quadratic
  players:
    a: {quadratic: [[2, 0], [0, 4]], linear: [-3, 1], penalty: nonnegative}
    b: {quadratic: 2, penalty: {name: box, lower: -1, upper: 1}}
  coupling:
  - {player: a, other: b, matrix: [[1], [2]]}
"""
    )
    assert scenario.network is None
    game = nng.QuadraticGame(
        {"a": [[2, 0], [0, 4]], "b": 2},
        {("a", "b"): [[1], [2]]},
        {"a": [-3, 1]},
        {"a": "nonnegative", "b": {"name": "box", "lower": -1, "upper": 1}},
    )
    for profile in ([1.0, 2.0, 0.5], [0.0, 1.0, -1.0]):
        for player in ("a", "b"):
            assert scenario.game.cost(player, profile) == game.cost(player, profile)
        np.testing.assert_array_equal(scenario.game.best_responses(profile), game.best_responses(profile))


def test_players_cost_and_start_reach_the_game():
    scenario = load_scenario(
        """\
name: r
players: neurons
cost: tracking
network: {kind: ring, layers: [{activation: tanh, weight: [[1, 2], [3, 4]]}, {activation: tanh, weight: {identity: 2}}]}
solve: {methods: [picard], start: [1, 2, 3, 4]}
"""
    )
    assert len(scenario.game.players) == 4
    assert scenario.game.cost_name == "tracking"
    np.testing.assert_array_equal(scenario.start, [1, 2, 3, 4])


def test_starts():
    def start(given: str):
        return load_scenario(
            "name: r\nnetwork: {kind: ring, layers: [{activation: tanh, weight: 1}, {activation: tanh, weight: 1}]}\n"
            f"solve: {{methods: [picard], start: {given}}}\n"
        ).start

    assert start("zero") is None
    np.testing.assert_array_equal(start("{2: 5, '1': [4]}"), [4, 5])
    np.testing.assert_array_equal(start("{constant: 3, shape: 2}"), [3, 3])
    np.testing.assert_array_equal(start("random"), start("random"))
    assert len(set(start("random"))) == 2


def test_arrays_from_files_in_the_scenarios_folder(tmp_path):
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    matrix = np.array([[0.1, 0.2], [0.3, 0.4]])
    np.savez(folder / "data" / "weights.npz", W=matrix, b=np.array([1, 2]))
    np.savez(folder / "one.npz", W=matrix)
    (folder / "table.csv").write_text("# a comment\n0.1,0.2\n0.3,0.4\n")
    (folder / "row.csv").write_text("1,2\n")
    for weight, bias in [
        ("{file: data/weights.npz, key: W}", "{file: data/weights.npz, key: b}"),
        ("{file: one.npz}", "{file: row.csv}"),
        ("{file: table.csv}", "[1, 2]"),
    ]:
        (folder / "s.yaml").write_text(
            f"name: r\nnetwork: {{kind: recurrent, layers: [{{activation: tanh, weight: {weight}, bias: {bias}}}]}}\n"
        )
        network = load_scenario(folder / "s.yaml").network
        np.testing.assert_array_equal(network.weights[1, 1].dense, matrix)
        np.testing.assert_array_equal(network.biases[1], [1, 2])


def test_only_a_gallery_shares_its_data_folder(tmp_path):
    (tmp_path / "examples").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.csv").write_text("0.5\n")
    file = tmp_path / "examples" / "s.yaml"
    file.write_text(
        "name: r\nnetwork: {kind: recurrent, layers: [{activation: tanh, weight: {file: ../data/w.csv}}]}\n"
    )
    with pytest.raises(ScenarioError, match=r"the file '../data/w.csv' lies outside the scenario's folder"):
        _ = load_scenario(file).network
    (tmp_path / "schema.json").write_text("{}")
    assert load_scenario(file).network.weights[1, 1].dense == 0.5


def test_the_gallery_is_found_in_a_checkout_and_in_an_installed_package(tmp_path, monkeypatch):
    package = tmp_path / "nngames"
    scenarios = tmp_path / "scenarios"
    for folder in (package / "gallery" / "examples", scenarios / "examples"):
        folder.mkdir(parents=True)
    (scenarios / "examples" / "mine.yaml").write_text(template("ring"))
    (package / "gallery" / "examples" / "theirs.yaml").write_text(template("chain"))
    monkeypatch.setattr(gallery, "_PACKAGE", package)
    assert list(gallery.files()) == ["theirs"]
    assert load_scenario("gallery:theirs").name == "my chain"
    assert load_scenario("gallery:theirs").file == "gallery:theirs"
    (package / "gallery").rename(package / "elsewhere")
    assert list(gallery.files()) == ["mine"]


@pytest.mark.parametrize("kind", KINDS)
def test_templates_are_scenarios_that_say_what_they_expect(kind):
    scenario = load_scenario(template(kind))
    assert scenario.game.size > 0
    assert scenario.section.expect


def test_an_unknown_template_names_the_nearest():
    with pytest.raises(nng.UnknownNameError, match=r"unknown kind of scenario 'rng'; did you mean 'ring'\? valid: "):
        template("rng")


JUNK = st.recursive(
    st.sampled_from([None, True, -1, 0, 3, 1e300, "", "ring", "tanh", "zero", "a", "karate_club", ".nan", "x.npz"])
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "name", "file", "random", "shape", "weight", "1"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(data=st.data())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_a_scenario_with_junk_in_one_place_builds_or_is_refused(data):
    text = template(data.draw(st.sampled_from(KINDS)))
    lines = text.splitlines()
    spots = [i for i, line in enumerate(lines) if ": " in line and not line.startswith("#")]
    spot = data.draw(st.sampled_from(spots))
    key = lines[spot].split(": ")[0]
    lines[spot] = f"{key}: {_flow(data.draw(JUNK))}"
    try:
        scenario = load_scenario("\n".join(lines) + "\n")
        assert scenario.game.size > 0
        _ = scenario.start
    except ScenarioError as error:
        assert error.problems  # noqa: PT017


def _flow(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return "null" if value is None else str(value).lower()


def test_every_scenario_of_the_gallery_loads():
    names = gallery.files()
    assert len({path.stem for path in gallery.root().glob("*/*.yaml")}) == len(list(gallery.root().glob("*/*.yaml")))
    for name in names:
        scenario = load_scenario(f"gallery:{name}")
        assert scenario.description, name
        assert scenario.section.source, name
        assert scenario.section.expect, name
        assert Path(gallery.files()[name]).is_file()
