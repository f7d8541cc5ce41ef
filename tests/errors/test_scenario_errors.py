"""Scenario errors: exact messages, with place, key, what is wrong and what is valid; all of a file's at once."""

import numpy as np
import pytest

import nngames
from nngames.core.errors import InputError
from nngames.scenario import ScenarioError, load_scenario
from nngames.scenario.problems import SHOWN

RING = """\
name: r
network:
  kind: ring
  layers:
    - {activation: tanh, weight: [[0.5]]}
"""


def complaint(text: str) -> str:
    def build() -> None:
        scenario = load_scenario(text)
        _ = scenario.game, scenario.start

    with pytest.raises(ScenarioError) as caught:
        build()
    return str(caught.value)


def of_network(lines: str) -> str:
    return complaint("name: r\nnetwork:\n" + "".join(f"  {line}\n" for line in lines.splitlines()))


def test_everything_wrong_with_the_keys_is_said_at_once():
    assert complaint(
        """\
name: 3
sead: 1
seed: -1
description:
network:
  kind: ring
  layers:
    - {activation: tanhh, weight: [[1, 2], [3, x]]}
    - {activation: {name: leaky_relu, slop: 3}, weigth: 1}
    - 3
players: neurns
stopping: {tolerance: -1, max_iterations: 1e3, max_seconds: yes}
output: {save: ../x.json, plot: x.gif}
"""
    ).splitlines() == [
        "<text>:1:7: name: must be text; got 3",
        "<text>:2:1: sead: unknown key; did you mean 'seed'? valid: name, description, source, seed, network, game, "
        "training, players, cost, solve, checks, stopping, expect, output",
        "<text>:3:7: seed: must be at least 0; got -1",
        "<text>:4:1: description: has no value; give one or remove the key",
        ANY("<text>:8:20: network.layers[0].activation: unknown activation 'tanhh'; did you mean 'tanh'? valid: "),
        "<text>:8:48: network.layers[0].weight[1][1]: must be a number; got 'x'",
        "<text>:9:7: network.layers[1].weight: is missing",
        "<text>:9:39: network.layers[1].activation.slop: activation 'leaky_relu' has no such option; "
        "did you mean 'slope'? valid: slope",
        "<text>:9:49: network.layers[1].weigth: unknown key; did you mean 'weight'? "
        "valid: name, activation, weight, bias",
        "<text>:10:7: network.layers[2]: must be a mapping with the keys name, activation, weight, bias; got 3",
        "<text>:11:10: players: unknown value 'neurns'; did you mean 'neurons'? valid: auto, layers, neurons",
        "<text>:12:23: stopping.tolerance: must be greater than 0; got -1",
        "<text>:12:61: stopping.max_seconds: must be a number; got 'yes'",
        "<text>:13:16: output.save: must be a file below the working folder; got '../x.json'",
        "<text>:13:33: output.plot: must end in .png or .svg or .pdf; got 'x.gif'",
    ]


class ANY(str):
    """A line of which only the beginning is fixed: the rest lists a registry."""

    __slots__ = ()

    def __eq__(self, other):
        return isinstance(other, str) and other.startswith(str(self))

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def test_no_as_a_name_is_text():
    assert load_scenario(RING.replace("name: r", "name: no")).name == "no"


def test_a_float_in_exponent_form_is_a_number():
    assert load_scenario(RING + "stopping: {tolerance: 1e-6}\n").section.stopping.tolerance == 1e-6


def test_a_scenario_error_is_an_input_error():
    assert issubclass(ScenarioError, InputError)


def test_many_problems_are_counted():
    layers = "".join("    - 1\n" for _ in range(SHOWN + 7))
    lines = complaint("name: r\nnetwork:\n  kind: ring\n  layers:\n" + layers).splitlines()
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "<text>: and 7 more problems"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: r\n", "<text>:1:1: needs a network, a game or a training, one of the three; got none"),
        (
            RING + "game: {kind: quadratic, players: {1: {quadratic: 1}}}\n",
            "<text>:1:1: needs a network, a game or a training, one of the three; got network and game",
        ),
        (
            "name: g\ncost: auto\ngame: {kind: quadratic, players: {1: {quadratic: 1}}}\n",
            "<text>:2:7: cost: belongs to a network; a quadratic game has its own",
        ),
        ("name: ' '\n" + RING[8:], "<text>:1:7: name: is empty"),
        (RING + "seed: 1.5\n", "<text>:6:7: seed: must be a whole number; got 1.5"),
        (RING + "stopping: {tolerance: 2}\n", "<text>:6:23: stopping.tolerance: must be less than 1; got 2"),
        (
            RING + "expect: [{what: a, is: 1}]\n",
            "<text>:6:10: expect[0].origin: is missing",
        ),
        (RING + "expect: [{what: a, is: 1, origin: ''}]\n", "<text>:6:35: expect[0].origin: is empty"),
        (
            RING + "expect: [{what: a, is: 1, at_most: 2, origin: o}]\n",
            "<text>:6:10: expect[0]: needs exactly one of is, near, at_most, at_least; got is and at_most",
        ),
        (
            RING + "expect: [{what: a, near: [1], origin: o}]\n",
            "<text>:6:10: expect[0].tolerance: is missing; near needs an absolute tolerance",
        ),
        (
            RING + "expect: [{what: a, near: [1, b], tolerance: 1, origin: o}]\n",
            "<text>:6:30: expect[0].near[1]: must be a finite number; got 'b'",
        ),
        (
            RING + "expect: [{what: a, is: 1, tolerance: 1, origin: o}]\n",
            "<text>:6:38: expect[0].tolerance: belongs to near; is has no tolerance",
        ),
        (
            RING + "solve: {methods: []}\n",
            "<text>:6:18: solve.methods: is empty",
        ),
        (
            RING + "solve: {methods: [km, picard, {method: km}]}\n",
            "<text>:6:31: solve.methods[2]: the label 'km' is taken by methods[0]; give it a label, or leave it out",
        ),
        (
            RING + "solve: {methods: [{method: km, relaxatio: 1}]}\n",
            "<text>:6:32: solve.methods[0].relaxatio: method 'km' has no such option; "
            "did you mean 'relaxation'? valid: map, precision, relaxation",
        ),
        (
            RING + "solve: {methods: [{method: best_response, order: first}]}\n",
            "<text>:6:50: solve.methods[0].order: best_response: order='first' is unknown; "
            "valid: sequential, simultaneous, random, asynchronous, topological",
        ),
        (
            RING + "solve: {methods: [{method: auto, order: first}]}\n",
            "<text>:6:41: solve.methods[0].order: 'auto' takes no options",
        ),
        (
            RING + "solve: {methods: [km], start: ones}\n",
            "<text>:6:31: solve.start: must be zero, random, a vector, or a mapping player -> vector; got 'ones'",
        ),
        (
            RING + "solve: {methods: [km], start: [1, 2]}\n",
            "<text>:6:31: solve.start: start has shape (2,); expected (1,), the actions of 1 (1)",
        ),
        (
            RING + "solve: {methods: [km], start: {2: 1}}\n",
            "<text>:6:31: solve.start: unknown player in the start 2; valid: 1",
        ),
        (
            RING + "solve: {methods: [km], start: {1: [a]}}\n",
            "<text>:6:36: solve.start[1][0]: must be a number; got 'a'",
        ),
    ],
)
def test_single_problems(text, line):
    assert complaint(text) == line


def test_an_unknown_method_or_check_names_the_nearest():
    lines = complaint(RING + "solve: {methods: [picrd]}\nchecks: [potentia, {certify: {x: 1}}]\n").splitlines()
    assert lines[0].startswith(
        "<text>:6:19: solve.methods[0]: unknown method 'picrd'; did you mean 'picard'? valid: "
        f"{', '.join(nngames.methods()[:2])}, "
    )
    assert lines[1].startswith("<text>:7:10: checks[0]: unknown check 'potentia'; did you mean 'potential'? valid: ")
    assert lines[2] == "<text>:7:31: checks[1].certify.x: check 'certify' has no such option; it takes none"


@pytest.mark.parametrize(
    ("network", "line"),
    [
        ("kind: rng", "<text>:3:9: network.kind: unknown value 'rng'; did you mean 'ring'? "
         "valid: ring, chain, recurrent, graph, adjacency, generated"),
        ("layers: []", "<text>:3:3: network.kind: is missing; valid: ring, chain, recurrent, graph, adjacency, "
         "generated"),
        ("[1]", "<text>:3:3: network: must be a mapping with a kind (ring, chain, recurrent, graph, adjacency, "
         "generated); got a list"),
        ("{kind: ring, layers: []}", "<text>:3:24: network.layers: is empty"),
        (
            "kind: recurrent\nlayers:\n- {activation: tanh, weight: 1}\n- {activation: tanh, weight: 1}",
            "<text>:5:3: network.layers: has 2 entries; at most 1 are allowed",
        ),
        (
            "kind: ring\nlayers:\n- {activation: tanh, weight: 1, name: 2}\n- {activation: tanh, weight: 1}",
            "<text>:6:5: network.layers[1]: the name '2' is taken by layers[0]",
        ),
        ("{kind: chain, layers: [{activation: tanh, weight: 1}]}", "<text>:3:3: network.input: is missing"),
        (
            "kind: ring\nlayers:\n- {activation: {slope: 1}, weight: 1}",
            ANY("<text>:5:18: network.layers[0].activation: has no 'name'; give one of "),
        ),
        (
            "kind: ring\nlayers:\n- {activation: {name: leaky_relu, slope: steep}, weight: 1}",
            ANY("<text>:5:44: network.layers[0].activation.slope: "),
        ),
        (
            "{kind: graph, players: {a: {activation: tanh}}, edges: [{from: a, to: b, weight: 1}]}",
            "<text>:3:73: network.edges[0].to: 'b' is not a player; valid: a",
        ),
        (
            "{kind: graph, players: {anna: {activation: tanh}}, edges: [{from: ana, to: anna, weight: 1}]}",
            "<text>:3:69: network.edges[0].from: 'ana' is not a player; did you mean 'anna'? valid: anna",
        ),
        (
            "kind: graph\nplayers: {1: {activation: tanh}}\nedges:\n"
            "- {from: 1, to: '1', weight: 1}\n- {from: 1, to: 1, weight: 2}",
            "<text>:7:5: network.edges[1]: the edge is given twice, first in edges[0]",
        ),
        (
            "{kind: adjacency, graph: {networkx: karate}, coupling: 1, activation: tanh}",
            "<text>:3:39: network.graph.networkx: unknown value 'karate'; did you mean 'karate_club'? valid: "
            "davis_southern_women, florentine_families, karate_club, krackhardt_kite, les_miserables, petersen",
        ),
        (
            "{kind: adjacency, graph: {edges: [[a, b, c, d], [a, true], [a, b, x]]}, coupling: 1, activation: tanh}",
            "<text>:3:37: network.graph.edges[0]: must be an edge [player, other] or [player, other, weight]; "
            "got a list\n"
            "<text>:3:55: network.graph.edges[1][1]: must be a player's name (text or a whole number); got true\n"
            "<text>:3:69: network.graph.edges[2][2]: must be a finite number, the edge's weight; got 'x'",
        ),
        (
            "{kind: adjacency, graph: {edges: [[a, b], [b, a, 2]]}, coupling: 1, activation: tanh, bias: [1]}",
            "<text>:3:45: network.graph.edges[1]: has a weight, which counts only with weighted: true\n"
            "<text>:3:45: network.graph.edges[1]: the edge is given twice, first in edges[0]\n"
            "<text>:3:95: network.bias: has 1 entries; the graph has 2 nodes",
        ),
        (
            "{kind: adjacency, graph: {networkx: petersen}, weighted: true, coupling: 1, activation: tanh}",
            "<text>:3:60: network.weighted: the graph petersen has no weights",
        ),
    ],
)  # fmt: skip
def test_networks(network, line):
    assert of_network(network) == line


@pytest.mark.parametrize(
    ("weight", "line"),
    [
        ("[[1, 2], [3]]", "weight[1]: has 1 entries; the first row has 2"),
        ("[1, 2]", "weight: is a list of numbers; a matrix is a list of rows, such as [[1, 2], [3, 4]]"),
        ("[]", "weight: is an empty list"),
        ("[[]]", "weight[0]: has 0 entries; a row is empty"),
        ("[[1], 2]", "weight[1]: must be a row of numbers; got 2"),
        ("[[1, true]]", "weight[0][1]: must be a number; got true"),
        ("[[1, .nan]]", "weight[0][1]: must be a finite number; got nan"),
        ("1e999", "weight: must be a finite number; got inf"),
        ("ones", "weight: must be a matrix: a number, a list, or a mapping with file, random, identity, rotation; "
         "got 'ones'"),
        ("{identiti: 3}", "weight: is not a matrix, by its keys; got identiti; did you mean 'identity'? "
         "valid: file, random, identity, rotation"),
        ("{random: gausian, shape: [1, 1]}", "weight.random: unknown value 'gausian'; did you mean 'gaussian'? "
         "valid: gaussian, orthogonal, uniform"),
        ("{random: gaussian}", "weight.shape: is missing"),
        ("{random: gaussian, shape: [2, 0]}", "weight.shape[1]: must be at least 1; got 0"),
        ("{random: gaussian, shape: [2]}", "weight.shape: has 1 of the 2 entries it needs"),
        ("{random: gaussian, shape: [9000, 9000]}", "weight: would have 81000000 entries; at most 8000000 are allowed"),
        ("{identity: 1e9}", "weight: would have 1000000000000000000 entries; at most 8000000 are allowed"),
        ("{rotation: .inf}", "weight.rotation: must be a finite number; got inf"),
    ],
)  # fmt: skip
def test_matrices(weight, line):
    found = of_network(f"kind: ring\nlayers:\n- {{activation: tanh, weight: {weight}}}")
    assert found.split(": ", 1)[1].removeprefix("network.layers[0].") == line


def test_wrong_shapes_name_the_edge_the_expected_and_the_given_shape():
    assert of_network(
        """\
kind: ring
layers:
- {name: a, activation: tanh, weight: [[1, 2], [3, 4]], bias: [1, 2, 3]}
- {name: b, activation: tanh, weight: [[1, 2, 3]]}
- {name: c, activation: {name: softmax}, weight: 1, bias: {constant: 1, shape: 2}}"""
    ).splitlines() == [
        "<text>:5:41: network.layers[0].weight: the weight of the edge c -> a has shape (2, 2); expected (2, 1)",
        "<text>:5:65: network.layers[0].bias: the bias of a has shape (3,); expected (2,)",
        "<text>:6:41: network.layers[1].weight: the weight of the edge a -> b has shape (1, 3); expected (1, 2)",
        "<text>:7:61: network.layers[2].bias: the bias of c has shape (2,); expected (1,)",
    ]
    assert of_network("kind: chain\ninput: [1, 2]\nlayers:\n- {activation: tanh, weight: 1}") == (
        "<text>:6:32: network.layers[0].weight: the weight of the edge the input -> 1 has shape (1, 1); expected (1, 2)"
    )
    assert of_network(
        """\
kind: graph
players:
  a: {activation: tanh, size: 2, bias: [1, 2, 3]}
  b: {activation: tanh}
edges: [{from: a, to: b, weight: [[1], [2]]}]"""
    ).splitlines() == [
        "<text>:5:42: network.players.a.bias: the bias of a has shape (3,); expected (2,)",
        "<text>:7:36: network.edges[0].weight: the weight of the edge a -> b has shape (2, 1); expected (1, 2)",
    ]


def test_games_locate_the_piece_at_fault():
    lines = complaint(
        """\
name: g
game:
  kind: quadratic
  players:
    a: {quadratic: [[1, 2], [0, 1]]}
    b: {quadratic: -1}
    c: {quadratic: 2, linear: [1, 2]}
    d: {quadratic: 1, penalty: {name: box, lower: 0, upper: 1}}
  coupling:
    - {player: c, other: d, matrix: [[1, 2]]}
    - {player: c, other: c, matrix: 1}
"""
    ).splitlines()
    assert lines == [
        "<text>:5:20: game.players.a.quadratic: the quadratic term of a is not symmetric; give (Q + Q')/2, "
        "which has the same cost",
        "<text>:6:20: game.players.b.quadratic: the quadratic term of b is not positive definite: "
        "its smallest eigenvalue is -1",
        "<text>:7:31: game.players.c.linear: the linear term of c has shape (2,); expected (1,)",
        "<text>:10:37: game.coupling[0].matrix: the coupling of c with d has shape (1, 2); expected (1, 1)",
        "<text>:11:7: game.coupling[1]: couples a player with itself; its own curvature belongs into quadratic",
    ]


def test_an_unknown_penalty_names_the_sets():
    line = complaint("name: g\ngame: {kind: quadratic, players: {a: {quadratic: 1, penalty: nonneg}}}\n")
    assert line.startswith(
        "<text>:2:62: game.players.a.penalty: unknown set 'nonneg'; did you mean 'nonnegative'? valid: "
    )


def test_a_choice_of_players_that_does_not_fit_is_located():
    text = "name: r\nnetwork: {kind: recurrent, layers: [{activation: softmax, weight: [[1, 2], [3, 4]]}]}\n"
    assert complaint(text + "players: neurons\n").startswith("<text>:3:10: players: ")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    inside = tmp_path / "scenarios"
    inside.mkdir()
    np.savez(inside / "good.npz", W=np.eye(2), bad=np.array([[1.0, np.nan]]), text=np.array(["a"]), v=np.ones(3))
    np.savez(inside / "objects.npz", W=np.array([{}], dtype=object), allow_pickle=True)
    (inside / "good.csv").write_text("1,2\n3,4\n")
    (inside / "bad.csv").write_text("1,2\n3,x\n")
    (inside / "empty.csv").write_text("")
    (inside / "not.npz").write_bytes(b"PK\x03\x04 not a zip")
    (inside / "weights.txt").write_text("1")
    (inside / "sub").mkdir()
    with open(inside / "huge.csv", "wb") as stream:
        stream.truncate(64_000_001)
    np.savetxt(tmp_path / "secret.csv", np.eye(2), delimiter=",")
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    monkeypatch.chdir(tmp_path)
    return inside


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("file: ../secret.csv", "the file '../secret.csv' lies outside the scenario's folder"),
        ("file: /etc/passwd", "the file '/etc/passwd' lies outside the scenario's folder"),
        ("file: link.csv", "the file 'link.csv' lies outside the scenario's folder"),
        ("file: sub/../../secret.csv", "the file 'sub/../../secret.csv' lies outside the scenario's folder"),
        ("file: ''", "the file '' lies outside the scenario's folder"),
        ("file: none.csv", "there is no file 'none.csv' in the scenario's folder"),
        ("file: sub", "'sub' is not a file"),
        ("file: huge.csv", "the file 'huge.csv' has 64 MB; at most 64 MB are read"),
        ("file: weights.txt", "the file 'weights.txt' is not an .npz or .csv file"),
        ("file: bad.csv", "the file 'bad.csv' is not a table of numbers separated by commas: "
         "could not convert string 'x' to float64 at row 1, column 2."),
        ("file: empty.csv", "the file 'empty.csv' is empty"),
        ("file: good.csv, key: W", "the csv file 'good.csv' has no keys; remove 'key'"),
        ("file: good.npz, key: w", "the file 'good.npz' has no array 'w'; valid: W, bad, text, v"),
        ("file: good.npz", "the file 'good.npz' needs a 'key'; valid: W, bad, text, v"),
        ("file: good.npz, key: bad", "entry [0, 1] is nan; every entry must be finite"),
        ("file: good.npz, key: text", "the file 'good.npz' holds <U1 entries; expected real numbers"),
        ("file: good.npz, key: v", "has shape (3,); expected a matrix (rows, columns)"),
        ("file: objects.npz, key: W", "the file 'objects.npz' is not an npz file of numbers: it holds Python objects"),
        ("file: not.npz", "the file 'not.npz' is not an npz file of numbers: File is not a zip file"),
    ],
)  # fmt: skip
def test_array_files(folder, given, message):
    (folder / "s.yaml").write_text(RING.replace("[[0.5]]", f"{{{given}}}"))
    with pytest.raises(ScenarioError) as caught:
        _ = load_scenario("scenarios/s.yaml").network
    assert str(caught.value) == f"scenarios/s.yaml:5:34: network.layers[0].weight: {message}"


def test_an_archive_that_unpacks_to_too_much_is_refused(folder):
    np.savez_compressed(folder / "bomb.npz", W=np.zeros(8_100_000))
    (folder / "s.yaml").write_text(RING.replace("[[0.5]]", "{file: bomb.npz}"))
    with pytest.raises(ScenarioError, match=r"the array 'W' of 'bomb.npz' has 65 MB; at most 64 MB are read"):
        _ = load_scenario(folder / "s.yaml").network


def test_a_scenario_given_as_text_reads_no_files():
    assert complaint(RING.replace("[[0.5]]", "{file: x.npz}")).endswith(
        "this scenario was not read from a file, so it has no folder to read arrays from"
    )


def test_an_unknown_gallery_name_is_an_error():
    with pytest.raises(ScenarioError, match=r"^gallery:nothing:1:1: the gallery has no scenario 'nothing'; "):
        load_scenario("gallery:nothing")


@pytest.mark.parametrize(
    ("what", "given", "meant"),
    [("solve.picard.status", "convergd", "converged"), ("potential.exact.status", "REFUTE", "REFUTED")],
)
def test_an_expected_status_that_does_not_exist_is_an_error(what: str, given: str, meant: str) -> None:
    text = (
        "name: a\nnetwork: {kind: recurrent, layers: [{activation: tanh, weight: 0.5}]}\n"
        f"solve: {{methods: [picard]}}\nchecks: [potential]\nexpect:\n  - {{what: {what}, is: {given}, origin: o}}\n"
    )
    with pytest.raises(ScenarioError, match=f"unknown status '{given}'; did you mean '{meant}'") as caught:
        load_scenario(text)
    assert "expect[0].is" in str(caught.value)
