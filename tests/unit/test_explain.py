"""Explanations: what they say is checked against the game itself, and LaTeX against a parser of mathematics."""

import math
import re
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from activation_draws import ALL, IDS, MONOTONE, points
from scipy.sparse.linalg import aslinearoperator
from scipy.special import spence

import nngames as nng
from nngames.activations import activation
from nngames.activations.attention import Attention
from nngames.activations.foundations import formulas
from nngames.activations.foundations.projections import SetProjection
from nngames.core.bounds import Enclosure
from nngames.core.operators import as_linear_map
from nngames.games.formula_rendering import as_latex, as_text
from nngames.games.notation import norm_words, notation
from nngames.games.wording import penalty_entry


def ring():
    rng = np.random.default_rng(0)
    shapes = ((4, 3), (5, 4), (3, 5))
    weights = [rng.normal(size=shape) for shape in shapes]
    return nng.Network.ring(weights, [np.zeros(n) for n, _ in shapes], ["tanh", "relu", "softmax"])


def recurrent(players="auto"):
    weight = [[0.25, 0.5, 0.0], [-1.0, 0.0, 2.0], [0.0, 0.125, -0.5]]
    return nng.Network.recurrent(weight, [1.0, 0.0, -2.0], "tanh").game(players=players)


def cournot():
    firms = ("a_1", "b", "firm C")
    return nng.QuadraticGame(
        quadratic={"a_1": 2.0, "b": 1.0, "firm C": 3.0},
        coupling={(i, j): 0.5 for i in firms for j in firms if i != j},
        linear={"a_1": -10.0, "b": -9.0, "firm C": 1.5},
        penalties={"a_1": "nonnegative", "b": {"name": "box", "lower": 0.0, "upper": 5.0}},
    )


def attention():
    rng = np.random.default_rng(1)
    couplings = [
        nng.BilinearCoupling("out", ("query", "key"), rng.normal(size=(3, 2, 2))),
        nng.LinearCoupling("query", "out", as_linear_map(rng.normal(size=(2, 3)), "W")),
    ]
    return nng.Network(
        couplings,
        {"query": [0.0, 0.0], "key": [1.0, 0.0], "out": [0.0, 0.0, 0.0]},
        {"query": "tanh", "key": "tanh", "out": "softmax"},
    )


GAMES = {
    "ring": lambda: ring().game(),
    "tracking": lambda: ring().game(cost="tracking"),
    "tracking neurons": lambda: nng.Network.ring([[[1.0, 2.0]], [[1.0], [0.5]]], [[0], [0, 0]], ["silu", "tanh"]).game(
        players="neurons"
    ),
    "neurons": recurrent,
    "symmetric self-loop": lambda: nng.Network.recurrent([[0.5, 0.1], [0.1, 0.2]], [0, 1], "relu").game(),
    "scalar self-loop": lambda: nng.Network.recurrent(0.5, [1.0], "relu").game(),
    "chain": lambda: nng.Network.chain(
        [np.ones((2, 6)), np.ones((1, 2))], [[0, 0], [1]], ["elu", "box"], range(6)
    ).game(),
    "cournot": cournot,
    "quadratic blocks": lambda: nng.QuadraticGame({1: [[2.0, 1.0], [1.0, 3.0]], 2: np.eye(2)}, {(1, 2): np.eye(2)}),
    "attention": lambda: attention().game(),
    "odd names": lambda: nng.Network.ring(
        np.ones((2, 1, 1)), np.zeros((2, 1)), ["tanh"] * 2, names=["50%_{a}", "b&c #$"]
    ).game(),
}


@pytest.fixture(params=GAMES, name="game")
def a_game(request):
    return GAMES[request.param]()


def test_ring_in_text():
    lines = ring().game().explain().splitlines()
    assert lines[0] == "The proximal game of a ring of 3 layers"
    assert lines[1] == "Players: 3 layers. A profile is x = (x_1, x_2, x_3) in R^12."
    assert "The layers pass on: 3 -> 1 -> 2 -> 3." in lines
    start = lines.index("Player 1")
    entries = [" ".join(line.split()) for line in lines[start + 1 :]]
    assert entries[0] == "action z in R^4; the cost is finite only on [-1, 1]^4"
    assert entries[1] == "cost J_1(z; x) = f_1(z) + 1/2 |z - v_1(x)|^2"
    assert entries[2] == "with v_1(x) = b_1 + W_1,3 x_3"
    assert "z artanh(z) + ln(1 - z^2)/2 - z^2/2" in entries[3]
    assert entries[3].endswith("its prox is r_1 = tanh")
    assert "3 through W_1,3 (4 x 3, dense, norm at most" in entries[4]


def test_every_player_and_coupling_is_named(game):
    text = game.explain()
    heard = {str(source) for coupling in game.network.couplings for source in coupling.sources}
    for player in (*game.network.players, *heard):
        assert str(player) in text
    assert game.cost_name in text.splitlines()[0]


def test_norms_in_the_text_are_safe():
    network = ring()
    for line in network.game().explain().splitlines():
        found = re.search(r"W_(\d),(\d) .*norm at most ([\d.]+)", line)
        if found:
            exact = np.linalg.norm(network.weights[int(found[1]), int(found[2])].dense, 2)
            assert exact * (1 - 1e-12) <= float(found[3]) <= 1.001 * exact


def player_line(activation, label, n=2, cost="proximal"):
    """The line of that label about a layer of n entries with the activation."""
    network = nng.Network.ring([np.eye(n)] * 2, [np.zeros(n)] * 2, [activation] * 2)
    lines = network.game(cost=cost).explain().split("\nPlayer 1\n")[1].splitlines()
    return next(" ".join(line.split()[1:]) for line in lines if line.split()[0] == label)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("squareplus", {"b": 2.0}, "f_1 adds -0.5 ln(z) over the entries, convex"),
        ("cloglog", {}, "f_1 is convex"),
        ("snake", {}, "f_1 is weakly convex with modulus 1 - 1/S, S = 2"),
        ("hardshrink", {}, "f_1 adds min(|z|, 1) - 0.5 min(|z|, 1)^2 over the entries, weakly convex with modulus 1"),
        ("softsign_probit", {}, "f_1 is weakly convex with modulus 1"),
        ("tanh", {"scale": 0.0}, "f_1 is constant there"),
        ("singleton", {"point": 0.5}, "f_1(z) = 0 there"),
        ("softshrink", {"lambda_": 0.0}, "f_1(z) = 0"),
    ],
)
def test_penalty_in_words(name, given, words):
    r = activation(name, **given)
    assert player_line(r, "penalty").split("; its prox is r_1 = ")[0] == words


def test_domain_in_terms_of_the_size():
    line = player_line("layer_norm", "action", n=3)
    assert line.endswith("the cost is finite only on {z in R^3: |z|^2 <= 3, sum z = 0}")
    assert player_line("rms_norm", "action", n=1).endswith("{z in R: |z|^2 <= 1}")


@pytest.mark.parametrize("name", ["attention_gaussian", "gelu", "mish", "logit"])
def test_prox_of_nothing_is_an_answer(name):
    assert player_line(name, "answer", cost="tracking") == f"r_1 = {name}"


@pytest.mark.parametrize("value", [0.0, 1.0, 1 / 3, 0.99995, 1.00005, 123456.7, 1e-7 / 3, 2.0**-1000])
def test_norms_are_rounded_up(value):
    shown = Fraction(norm_words(Enclosure(value, value, "")).rsplit(" ", 1)[1])
    assert Fraction(value) <= shown <= Fraction(value) * Fraction(1002, 1000)


def test_norm_of_a_matrix_free_map_is_not_invented():
    n = 2500
    operator = aslinearoperator(np.zeros((n, n)))
    text = nng.Network.graph({(2, 1): operator}, {1: np.zeros(n), 2: np.zeros(n)}, "relu").game().explain()
    assert f"({n} x {n}, matrix-free, norm unknown (matrix-free))" in text


def test_cost_in_numbers_is_the_cost():
    game = cournot()
    text = game.explain()
    rng = np.random.default_rng(3)
    for player in game.players:
        section = text.split(f"\nPlayer {player}\n")[1]
        formula = re.search(r"J_.*?\(z; x\) = (.*?)( \+ f_.*?\(z\))?$", section, re.MULTILINE)[1]
        formula = re.sub(r"x_\{(.*?)\}|x_(\w+)", lambda m: f"x[{m[1] or m[2]!r}]", formula)
        formula = re.sub(r"(\d) (?=[a-z(])|(z) (?=\()", lambda m: f"{m[1] or m[2]}*", formula.replace("^", "**"))
        for _ in range(5):
            actions = {name: np.array([value]) for name, value in zip(game.players, rng.uniform(0, 5, 3), strict=True)}
            value = eval(formula, {"z": actions[player][0], "x": {name: z[0] for name, z in actions.items()}})
            assert value == pytest.approx(game.cost(player, actions), rel=1e-12)


def test_neurons_have_their_numbers():
    text = recurrent().explain()
    assert "Players: 3 neurons of 1 layer. A profile is x = (x_{1[0]}, x_{1[1]}, x_{1[2]}) in R^3." in text
    assert "J_i(z; x) = f_1(z) + 1/2 (1 - w_ii) z^2 - z (v_i(x) - w_ii x_i) for neuron i" in text
    assert re.search(r"1\[0\] +bias 1, self-loop 0.25, listens to 1\[1\] \(weight 0.5\)\n", text)
    assert re.search(r"1\[2\] +bias -2, self-loop -0.5, listens to 1\[1\] \(weight 0.125\)", text)


def test_self_loop_is_in_the_own_cost():
    text = GAMES["scalar self-loop"]().explain()
    assert "J_1(z; x) = f_1(z) + 1/2 (1 - W_1,1) z^2 - z u_1(x)" in text
    assert "W_1,1 = 0.5, in the own cost: strongly convex with modulus 0.5" in text
    assert "listens to  nobody else" in text


def test_chain_tells_its_input():
    text = GAMES["chain"]().explain()
    assert "The input is fixed: x_0 = (0, 1, 2, 3, ...) in R^6; player 1 hears it through W_1,0 (2 x 6, dense" in text
    assert "v_1(x) = b_1 + W_1,0 x_0" in text
    assert "listens to  the input only" in text


def test_coupling_that_is_not_linear_is_named():
    assert "query and key through c_out,query,key, which is not linear (3 x 2 x 2)" in attention().game().explain()


def test_long_games_are_summarised():
    graph = nx.karate_club_graph()
    edges = {(i, j): -0.1 for i in graph for j in graph[i]}
    text = nng.Network.graph(edges, {i: [1.0] for i in graph}, "relu").game().explain()
    assert text.count("\n\nPlayer ") == 12
    assert "And 22 more: 12 to 33\n  22 with relu in R\n" in text
    assert "(weight -0.1), 2 (-0.1)" in text
    assert "and 8 more" in text
    layer = nng.Network.recurrent(np.full((400, 400), 0.001), np.zeros(400), "tanh").game(players="neurons")
    assert len(layer.explain().splitlines()) < 40
    assert "and 388 more neurons" in layer.explain()


def test_unknown_format(game):
    with pytest.raises(nng.OptionError, match=r"^format='markdown' is unknown; valid: latex, text$"):
        game.explain("markdown")


# LaTeX


def formulas_in(latex):
    return re.findall(r"(?<!\\)\$(.*?)(?<!\\)\$", latex)


def test_latex_is_well_formed(game):
    latex = game.explain("latex")
    assert len(re.findall(r"(?<!\\)\$", latex)) % 2 == 0
    plain = re.sub(r"\\[{}]", "", latex)
    assert plain.count("{") == plain.count("}")
    assert latex.count(r"\begin{description}") == latex.count(r"\end{description}") == latex.count(r"\subsection*")
    words = re.sub(r"\\verb\|.*?\||(?<!\\)\$.*?(?<!\\)\$|\\[a-z]+\*?", "", latex.split("\n", 1)[1])
    assert not re.search(r"(?<!\\)[%&#_^]", words)


def test_latex_formulas_parse(game):
    from matplotlib.mathtext import MathTextParser

    for formula in formulas_in(game.explain("latex")):
        known = re.sub(r"\\text{((?:[^{}\\]|\\.)*)}", r"\\mathrm{x}", formula.replace(r"\tfrac", r"\frac"))
        known = re.sub(r"\\[lr]V?[Vv]ert", "|", known.replace(r"\textstyle", ""))
        MathTextParser("path").parse(f"${known}$")


# Closed forms of penalties

#: Why the penalty of an activation is stated by no formula in one entry.
NO_FORMULA = {
    "attention": "each entry may have a bias of its own",
    "cloglog": "an exponential integral, which formulas have no name for",
    "entmax15": "the constant -4/3 belongs to the layer and not to its entries",
    "group_soft_threshold": "a function of the length, no sum over the entries",
    "layer_norm": "a function of the length, no sum over the entries",
    "rms_norm": "a function of the length, no sum over the entries",
    "snake": "the response has no inverse in closed form",
    "softsign_norm": "a function of the length, no sum over the entries",
    "softsign_probit": "an integral of the normal distribution that has no closed form",
    "tanhshrink": "the response has no inverse in closed form",
}


def constant(a):
    return a.slope_range[1] == 0 and not isinstance(a, SetProjection) and not isinstance(a, Attention)


STATED = [a for a in MONOTONE if a.penalty_formula is not None]
each_stated = pytest.mark.parametrize("a", STATED, **IDS)


@pytest.mark.parametrize("a", [a for a in ALL if a.self_map], **IDS)
def test_a_formula_or_a_reason_for_none(a):
    if not a.monotone or constant(a):
        assert a.penalty_formula is None
    elif a.name in NO_FORMULA:
        assert a.penalty_formula is None, f"{a.name} has a formula: it needs no reason for none"
    else:
        assert a.penalty_formula is not None, f"give {a.name} a penalty_formula, or a reason in NO_FORMULA"


def test_reasons_are_for_activations_that_have_a_penalty():
    assert set(NO_FORMULA) <= {a.name for a in MONOTONE if not constant(a)}


def evaluated(formula, z):
    names = {
        "ln": np.log,
        "cos": np.cos,
        "artanh": np.arctanh,
        "abs": np.abs,
        "min": np.minimum,
        "max": np.maximum,
        "sqrt": np.sqrt,
        "Li2": lambda y: spence(1 - y),
        "pi": math.pi,
        "e": math.e,
        "z": z,
    }
    return eval(formula.replace("^", "**"), {"__builtins__": {}}, names) * np.ones_like(z)


@each_stated
def test_closed_form_is_the_penalty(a, monkeypatch):
    # Steep responses would reach the ends of their domains, where formulas have terms such as 0 log 0.
    high = a.slope_range[1]
    z = a(points(a, 20, scale=1 / high if 1 < high < np.inf else 1.0, seed=5))
    expected = a.penalty(z)
    assert np.isfinite(expected).all()
    if isinstance(a, SetProjection):
        assert a.penalty_formula == "0"
    # As shown, numbers have six digits.
    for digits, tolerance in ((6, 1e-4), (17, 1e-9)):
        monkeypatch.setattr(formulas, "DIGITS", digits)
        values = evaluated(a.penalty_formula, z)
        values = values if a.separable else values.sum(axis=-1)
        assert values == pytest.approx(expected, rel=tolerance, abs=1e-9)


@each_stated
def test_closed_form_in_latex_parses(a):
    from matplotlib.mathtext import MathTextParser

    latex = as_latex(a.penalty_formula)
    assert "*" not in latex
    assert latex.count("{") == latex.count("}")
    MathTextParser("path").parse(f"${latex.replace(chr(92) + 'lvert', '|').replace(chr(92) + 'rvert', '|')}$")


def test_rendering_of_powers_roots_and_functions():
    formula = "2.5*sqrt(1 - 0.3*min(z, 0)^2) - e^(-(z + 1)/2)*ln(abs(z))^1.5 + 1e-07*Li2(e^z)"
    assert as_text(formula) == "2.5 sqrt(1 - 0.3 min(z, 0)^2) - e^(-(z + 1)/2) ln(|z|)^1.5 + 1e-07 Li2(e^z)"
    assert as_latex(formula) == (
        r"2.5 \, \sqrt{1 - 0.3 \, \min(z, 0)^{2}} - e^{-(z + 1)/2} \, \ln(\lvert z \rvert)^{1.5}"
        r" + 1 \cdot 10^{-7} \, \operatorname{Li}_{2}(e^z)"
    )


def test_a_new_activation_states_its_own_formula():
    """No table elsewhere knows the activations by name."""

    class Doubled(type(activation("tanh"))):
        name = "doubled"

        @property
        def penalty_formula(self):
            return "z^2/8"

    write = notation("text")
    assert penalty_entry(write, Doubled(), 1, 3)[1].startswith("f_1 adds z^2/8 over the entries, convex; its prox is")
