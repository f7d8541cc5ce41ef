"""The existence certificate: its ball holds the equilibrium computed to 50 digits, and refuses what is farther off."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import nngames as nng
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.foundations.slope_enclosures import SlopeEnclosure
from nngames.checks.existing.contraction import Contraction, NewtonMap
from nngames.checks.existing.equation import EquilibriumEquation
from nngames.core.enclosures import Enclosed

_DIGITS = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    "relu": lambda v: max(v, mpmath.mpf(0)),
    "softplus": lambda v: mpmath.log(1 + mpmath.exp(v)),
    "hard_tanh": lambda v: min(max(v, mpmath.mpf(-1)), mpmath.mpf(1)),
    "gelu": lambda v: v * mpmath.ncdf(v),
    "sin": mpmath.sin,
}


def _contraction(name: str, n: int, layers: int, rng: np.random.Generator) -> tuple[nng.Game, list, list]:
    lipschitz = nng.activation(name).lipschitz
    weights = [rng.normal(size=(n, n)) for _ in range(layers)]
    weights = [w * (0.8 / lipschitz / np.linalg.norm(w, 2)) for w in weights]
    biases = [rng.normal(size=n) for _ in range(layers)]
    return nng.Network.ring(weights, biases, [name] * layers).game(), weights, biases


def _fifty_digits(name: str, weights: list, biases: list) -> list[mpmath.mpf]:
    """Return the equilibrium of a contracting ring by iteration of its composite map in 60 digits."""
    r = _DIGITS[name]
    ws = [mpmath.matrix(w.tolist()) for w in weights]
    bs = [mpmath.matrix(b.tolist()) for b in biases]
    x = mpmath.zeros(len(biases[-1]), 1)
    for _ in range(400):
        outputs, start = [], x
        for w, b in zip(ws, bs, strict=True):
            x = (w * x + b).apply(r)
            outputs.append(x)
        if mpmath.norm(x - start, mpmath.inf) < mpmath.mpf(10) ** -55:
            break
    return [t for output in outputs for t in output]


@pytest.mark.parametrize("name", sorted(_DIGITS))
def test_the_ball_holds_the_equilibrium_of_fifty_digits(name: str) -> None:
    rng = np.random.default_rng(4)
    game, weights, biases = _contraction(name, 3, 2, rng)
    with mpmath.workdps(60):
        exact = _fifty_digits(name, weights, biases)
        for tolerance in (1e-3, 1e-12):
            x = nng.solve(game, "picard", tolerance=tolerance).profile
            verdict = nng.certify_equilibrium(game, x)
            distance = max(abs(mpmath.mpf(float(a)) - b) for a, b in zip(x, exact, strict=True))
            assert verdict.proved
            assert verdict.radius is not None
            assert distance <= verdict.radius
            # Sharp as well: not much larger than it has to be.
            assert verdict.radius <= 3 * float(distance) + 1e-14
        radius = 1e-6
        assert nng.certify_equilibrium(game, x, radius).radius <= radius
        # Half of the distance is refuted, and so is a step beyond the radius.
        moved = x.copy()
        moved[2] += 2 * radius
        assert nng.certify_equilibrium(game, moved, radius).refuted
        assert nng.certify_equilibrium(game, moved, 3 * radius).proved


@pytest.mark.parametrize("name", ["tanh", "relu", "softmax", "hard_tanh"])
def test_random_contractions_are_certified(name: str) -> None:
    rng = np.random.default_rng(8)
    for n in (1, 2, 5, 40):
        game, _, _ = _contraction(name, n, 3, rng)
        x = nng.solve(game).profile
        verdict = nng.certify_equilibrium(game, x)
        assert verdict.proved, verdict
        assert verdict.radius < 1e-6
        if n > 1:
            x[0] += 1e-3
            assert nng.certify_equilibrium(game, x, 1e-4).refuted


def test_two_hundred_neurons() -> None:
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(200, 200))
    network = nng.Network.recurrent(weight * (0.6 / np.linalg.norm(weight, 2)), rng.normal(size=200), "tanh")
    game = network.game()
    verdict = nng.certify_equilibrium(game, nng.solve(game, tolerance=1e-12).profile, 1e-9)
    assert verdict.proved
    assert verdict.radius < 1e-9 <= verdict.witness["unique_within"]


def test_the_witness_is_enough_to_check() -> None:
    """|C F(c)| + N y <= y is out of reach of the witness, but the box and the weights must say what the radius is."""
    rng = np.random.default_rng(0)
    game, _, _ = _contraction("tanh", 4, 2, rng)
    verdict = nng.certify_equilibrium(game, nng.solve(game).profile)
    assert verdict.witness["box"].max() == verdict.radius == verdict.to_dict()["radius"]
    assert verdict.witness["factor"] < 1
    assert verdict.witness["weights"].max() == 1


def test_kinks_are_enclosed_over_all_pairs() -> None:
    """x_1 = max(0, -x_2), x_2 = max(0, x_1): the only equilibrium is 0, at both kinks."""
    game = nng.Network.ring([[[-1.0]], [[1.0]]], [[0.0], [0.0]], ["relu", "relu"]).game()
    verdict = nng.certify_equilibrium(game, [0.0, 0.0])
    assert verdict.proved
    assert verdict.radius == 0


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_multiple_equilibria_and_continua_stay_open(name: str) -> None:
    """Slope 1 around the ring: 0 is a triple equilibrium of tanh, and one of a continuum of ReLU."""
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.0]], [name, name]).game()
    verdict = nng.certify_equilibrium(game, [0.0, 0.0])
    assert verdict.status == "UNDECIDED"
    assert verdict.radius is None
    assert "equilibrium exactly" in verdict.statement
    assert "multiple" in verdict.statement
    assert verdict.witness["exact_equilibrium"]
    near = nng.certify_equilibrium(game, [1e-5, 1e-5])
    assert near.status == "UNDECIDED"


def test_no_equilibrium_near_an_almost_equilibrium() -> None:
    """Softplus with slope 1 has a residual of 3e-10 at 22 and no equilibrium at all."""
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.0]], ["softplus", "softplus"]).game()
    for radius in (None, 1e-3, 1.0):
        assert not nng.certify_equilibrium(game, [22.0, 22.0], radius).proved


def test_unstable_and_quadratic_equilibria() -> None:
    game = nng.Network.ring([[[2.0]], [[2.0]]], [[0.0], [0.0]], ["tanh", "tanh"]).game()
    assert nng.certify_equilibrium(game, [0.0, 0.0]).radius == 0
    with mpmath.workdps(50):
        root = mpmath.findroot(lambda x: mpmath.tanh(2 * x) - x, 0.957)
        verdict = nng.certify_equilibrium(game, [0.95, 0.95], 0.05)
        assert verdict.proved
        assert verdict.radius >= abs(root - mpmath.mpf(0.95))
    quadratic = nng.QuadraticGame(
        {0: [[2.0, 0.5], [0.5, 3.0]], 1: [[4.0]]},
        {(0, 1): [[1.0], [-1.0]], (1, 0): [[0.3, 0.2]]},
        {0: [1.0, -2.0], 1: [-0.7]},
        {1: "nonnegative"},
    )
    # By hand: the action of player 1 is positive, so that it solves Qx + Rx + q = 0.
    exact = np.linalg.solve([[2.0, 0.5, 1.0], [0.5, 3.0, -1.0], [0.3, 0.2, 4.0]], [-1.0, 2.0, 0.7])
    assert exact[2] > 0
    assert nng.certify_equilibrium(quadratic, exact, 1e-12).proved
    assert nng.certify_equilibrium(quadratic, exact + np.array([0.0, 0.0, 1e-3]), 1e-6).refuted


def test_what_cannot_be_decided_says_why() -> None:
    gate = nng.Network.ring([[[9.0, 1.0], [0.0, 8.0]]] * 2, [[0.0, 1.0]] * 2, ["softmax", "softmax"]).game()
    verdict = nng.certify_equilibrium(gate, [0.5, 0.5, 0.5, 0.5])
    assert verdict.status == "UNDECIDED"
    assert "couples coordinates" in verdict.statement
    with pytest.raises(nng.InputError, match="radius"):
        nng.certify_equilibrium(gate, [0.5, 0.5, 0.5, 0.5], -1.0)


def _scalar_activations() -> list[str]:
    found = [name for name in nng.activations() if isinstance(nng.activation(name), ScalarActivation)]
    return [name for name in found if nng.activation(name).continuous]


@pytest.mark.parametrize("name", _scalar_activations())
def test_slopes_of_all_pairs_are_enclosed(name: str) -> None:
    rng = np.random.default_rng(1)
    activation = nng.activation(name)
    enclosure = SlopeEnclosure(activation)
    ends = activation.inputs
    for _ in range(25):
        middle, half = rng.normal() * rng.choice([0.1, 1.0, 5.0, 20.0]), 10 ** rng.uniform(-6, 1)
        low, high = max(middle - half, ends.lower + 1e-3), min(middle + half, ends.upper - 1e-3)
        if not low < high:
            continue
        least, most = enclosure(low, high)
        v = np.sort(rng.uniform(low, high, 12))
        rise, run = np.diff(activation(v)), np.diff(v)
        rounding = 1e-14 * (1 + np.abs(activation(v)).max()) / run + 1e-9
        assert (rise / run >= least - rounding).all()
        assert (rise / run <= most + rounding).all()


@pytest.mark.parametrize(
    ("name", "parameters", "kink", "slope"),
    [
        ("relu", {}, 0.0, 1.0),
        ("relu", {"slope": 0.5, "bias": 0.25}, -0.5, 0.5),
        ("hard_tanh", {}, -1.0, 1.0),
        ("relu6", {}, 6.0, 1.0),
        ("nonnegative", {}, 0.0, 1.0),
        ("box", {"lower": 0.25, "upper": 2.0}, 2.0, 1.0),
    ],
)
def test_slopes_of_clipping_are_those_of_its_parts(name: str, parameters: dict, kink: float, slope: float) -> None:
    """Against the enclosure by charts, and around the kinks by hand."""
    rng = np.random.default_rng(3)
    activation = nng.activation(name, **parameters)
    game = nng.Network.recurrent(np.zeros((40, 40)), np.zeros(40), activation).game()
    equation, enclosure = EquilibriumEquation(game), SlopeEnclosure(activation)
    middle, radius = 3 * rng.normal(size=40), 10 ** rng.uniform(-3, 0.5, size=40)
    v = Enclosed(middle, radius)
    least, most = equation.slopes(v)
    for i in range(40):
        low, high = enclosure(float(v.low[i]), float(v.high[i]))
        assert abs(least[i] - low) <= 1e-15
        assert abs(most[i] - high) <= 1e-15
    assert {0.0, slope} <= {*np.round(least, 12), *np.round(most, 12)}
    at_kink = equation.slopes(Enclosed(np.full(40, kink), np.zeros(40)))
    assert (at_kink[0] <= 0).all()
    assert (at_kink[1] >= slope).all()


def test_the_product_with_a_fixed_input_is_not_rounded() -> None:
    """The ball of an open chain holds the equilibrium of the data, not that of a rounded bias."""
    rng = np.random.default_rng(5)
    weight, given = rng.normal(size=(3, 7)), rng.normal(size=7)
    network = nng.Network.chain([weight, np.eye(3)], [np.zeros(3)] * 2, ["identity", "identity"], input=given)
    exact = [sum((Fraction(w) * Fraction(x) for w, x in zip(row, given, strict=True)), Fraction(0)) for row in weight]
    game = network.game()
    profile = network.joint(network.joint(np.zeros(6)))
    ball = nng.certify_equilibrium(game, profile)
    assert ball.proved
    distance = max(abs(Fraction(x) - y) for x, y in zip(profile.tolist(), [*exact, *exact], strict=True))
    assert 0 < distance <= Fraction(ball.radius)


@pytest.mark.parametrize("name", ["ball", "absolute_value", "relu"])
def test_tiny_residuals_are_not_lost_to_their_squares(name: str) -> None:
    """r is the identity around the equilibrium (I - W^2)^-1 (I + W) b, some 1e-200 away from 0."""
    weight, bias = np.array([[0.3, 0.2], [0.1, 0.25]]), np.array([1e-200, 5e-201])
    game = nng.Network.ring([weight, weight], [bias, bias], [name] * 2).game()
    exact = np.linalg.solve(np.eye(2) - weight, bias)
    verdict = nng.certify_equilibrium(game, np.zeros(4))
    assert verdict.proved
    assert verdict.radius >= exact.max() * (1 - 1e-12)
    assert verdict.radius <= 4 * exact.max()
    assert not nng.certify_equilibrium(game, np.zeros(4), 1e-250).proved


def test_huge_data_overflow_to_bounds_that_decide_nothing() -> None:
    """Warnings are errors here; a ball of infinite radius is no ball."""
    weight, bias = np.array([[0.3, -0.2], [0.1, 0.25]]), np.array([1.0, 0.5])

    def game(name: str, w: float = 1.0, b: float = 1.0) -> nng.Game:
        return nng.Network.ring([weight * w] * 2, [bias * b] * 2, [name] * 2).game()

    far = nng.certify_equilibrium(game("ball"), np.full(4, 1e200))
    assert far.proved
    assert 1e200 <= far.radius < 3e200
    assert nng.certify_equilibrium(game("relu", w=1e300), np.ones(4)).status == "UNDECIDED"
    unbounded = nng.certify_equilibrium(game("softplus", w=1e200), np.ones(4))
    assert unbounded.statement.endswith("not known to any bound")
    assert unbounded.would_change == "smaller data, or another profile"
    assert "multiple equilibrium" not in unbounded.statement
    unknown = nng.certify_equilibrium(game("softmax", b=1e200), np.full(4, 0.5))
    assert unknown.status == "UNDECIDED"
    assert unknown.radius is None
    assert "Exactly one equilibrium exists" in unknown.statement
    far = nng.certify_equilibrium(game("softmax", b=1e200), np.full(4, 0.5), 1e300)
    assert not far.proved
    assert "inf" not in far.text


def test_an_overflow_bounds_nothing() -> None:
    """A step of inf gives an end inf - inf of the image, which must not pass for that of an empty box."""
    game = nng.Network.ring([[[1.0]], [[1.0]]], [[0.0], [0.0]], ["tanh", "tanh"]).game()
    newton = NewtonMap(EquilibriumEquation(game), np.array([0.1, 0.2]))
    newton.step = Enclosed(np.array([np.inf, 0.0]), np.array([np.inf, 0.0]))
    image = newton.image(np.ones(2))
    assert image.low[0] == -np.inf
    assert image.high[0] == np.inf
    assert np.isfinite([image.low[1], image.high[1]]).all()


@pytest.mark.parametrize("radius", [np.float32(0.5), np.int64(1)])
def test_radii_of_numpy_are_radii(radius: float) -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [0.0]], ["tanh", "tanh"]).game()
    assert nng.certify_equilibrium(game, [0.1, 0.1], radius).proved


@pytest.mark.parametrize("radius", [True, -1, float("nan"), float("inf"), "1", np.ones(1)])
def test_what_is_no_radius(radius: object) -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [0.0]], ["tanh", "tanh"]).game()
    with pytest.raises(nng.InputError, match="radius must be a finite number"):
        nng.certify_equilibrium(game, [0.1, 0.1], radius)


def test_a_long_newton_step_refutes_nothing_by_itself() -> None:
    """At 0.45 the step to the root 0.9575... of tanh(2x) = x is some 10, since I - DA is nearly singular there."""
    game = nng.Network.ring([[[2.0]], [[2.0]]], [[0.0], [0.0]], ["tanh", "tanh"]).game()
    assert not nng.certify_equilibrium(game, [0.45, 0.45], 0.6).refuted
    assert nng.certify_equilibrium(game, [0.9, 0.9], 1e-3).refuted


def test_no_other_equilibrium_is_within_the_larger_ball() -> None:
    """x = tanh(2x) has the roots -0.9575..., 0 and 0.9575..."""
    game = nng.Network.ring([[[2.0]], [[2.0]]], [[0.0], [0.0]], ["tanh", "tanh"]).game()
    for x in (0.94, 0.97, 0.01):
        verdict = nng.certify_equilibrium(game, [x, x])
        assert verdict.proved
        nearest, other = sorted(abs(x - root) for root in (0.0, 0.9575040240772687))
        assert nearest <= verdict.radius < verdict.witness["unique_within"] < other


@pytest.mark.parametrize(("name", "slope"), [("tanh", 0.5), ("sigmoid", -2.0), ("hard_tanh", 0.3), ("gelu", 0.4)])
def test_how_far_biases_may_move(name: str, slope: float) -> None:
    """Up to the change that is told, exactly one root lies in the ball that is told; one not far beyond leaves it."""
    network = nng.Network.ring([[[slope]], [[1.0]]], [[0.3], [0.0]], [name, "identity"])
    verdict = nng.certify_equilibrium(network.game(), nng.solve(network.game(), tolerance=1e-14).profile)
    allowed, ball = verdict.witness["bias_change"], verdict.witness["bias_change_within"]
    assert allowed > 0
    assert f"biases changed by more than {allowed:.1e} each, up to which" in verdict.would_change
    r, centre = _DIGITS[name], mpmath.mpf(float(verdict.witness["centre"][0]))
    with mpmath.workdps(50):

        def root(change: float, other: float) -> mpmath.mpf:
            moved = mpmath.mpf(0.3) + mpmath.mpf(change) * allowed
            x = centre
            for _ in range(400):
                x = r(mpmath.mpf(slope) * (x + mpmath.mpf(other) * allowed) + moved)
            return abs(x - centre), abs(x + mpmath.mpf(other) * allowed - centre)

        signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
        assert all(max(root(*sign)) <= ball for sign in signs)
        assert max(max(root(100 * a, 100 * b)) for a, b in signs) > ball


def test_biases_move_the_equilibrium_no_farther_than_the_ball_leaves_room() -> None:
    """x = y/2 + 0.3 + e, y = x + f has y = 0.6 + 2e + 2f."""
    game = nng.Network.ring([[[0.5]], [[1.0]]], [[0.3], [0.0]], ["identity", "identity"]).game()
    verdict = nng.certify_equilibrium(game, [0.69, 0.69], 0.2)
    ball = verdict.witness["bias_change_within"]
    # From 0.69, 2 (e + f) more than the 0.09 that it is off.
    assert 0.01 < verdict.witness["bias_change"] <= (ball - 0.09) / 4


def test_biases_do_not_move_a_kink_into_a_ball_that_ends_there() -> None:
    """x = max(0, 2y - 0.1 + e) is flat up to y = 0.05 - e/2."""
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[-0.1], [0.0]], ["relu", "identity"]).game()
    verdict = nng.certify_equilibrium(game, [0.016, 0.016], 0.035)
    allowed, ball = verdict.witness["bias_change"], verdict.witness["bias_change_within"]
    assert allowed > 0
    assert 2 * (0.016 + ball) - 0.1 + allowed < 0


def test_the_ball_that_is_printed_is_the_one_that_was_examined() -> None:
    game = nng.Network.ring([[[0.5]], [[1.0]]], [[0.3], [0.0]], ["tanh", "identity"]).game()
    verdict = nng.certify_equilibrium(game, nng.solve(game).profile, 0.97017654321)
    ball = verdict.witness["bias_change_within"]
    assert ball == float(f"{ball:.6g}") < 0.97017654321 / 8


def test_biases_that_move_a_kink_into_the_ball_are_not_allowed() -> None:
    """x = max(0, 2x - 0.1 + e) has the roots 0 and 0.1 - e."""
    game = nng.Network.ring([[[2.0]], [[1.0]]], [[-0.1], [0.0]], ["relu", "identity"]).game()
    verdict = nng.certify_equilibrium(game, [0.0, 0.0])
    assert verdict.radius == 0
    allowed, ball = verdict.witness["bias_change"], verdict.witness["bias_change_within"]
    # Changes e and f of the two biases have a second root at (0.1 - e - 2f, 0.1 - e - f).
    assert allowed > 1e-4
    assert ball < 0.1 - 2 * allowed
    assert ball > 1e-4


def test_a_refuted_radius_names_one_that_holds_an_equilibrium() -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[0.3], [0.0]], ["tanh", "tanh"]).game()
    x = nng.solve(game, tolerance=1e-14).profile + np.array([1e-3, 0.0])
    refuted = nng.certify_equilibrium(game, x, 1e-5)
    assert refuted.refuted
    figure = float(refuted.would_change.removeprefix("a radius of ").split(",")[0])
    assert 1e-3 <= figure < 1.1e-3
    assert nng.certify_equilibrium(game, x, figure).proved
    gate = nng.Network.ring([[[0.9, 0.1], [0.0, 0.8]]] * 2, [[0.0, 1.0]] * 2, ["softmax"] * 2).game()
    y = nng.solve(gate, tolerance=1e-14).profile + np.array([1e-3, 0.0, 0.0, 0.0])
    refuted = nng.certify_equilibrium(gate, y, 1e-5)
    assert refuted.refuted
    assert nng.certify_equilibrium(gate, y, float(refuted.would_change.split()[3].rstrip(","))).proved


def test_every_decision_says_what_would_change_it() -> None:
    def pair(weight: float, name: str) -> nng.Game:
        return nng.Network.ring([[[weight]], [[1.0]]], [[0.3], [0.0]], [name, name]).game()

    contracting = nng.Network.ring([[[0.9, 0.1], [0.0, 0.8]]] * 2, [[0.0, 1.0]] * 2, ["softmax"] * 2).game()
    gate = nng.Network.ring([[[9.0, 1.0], [0.0, 8.0]]] * 2, [[0.0, 1.0]] * 2, ["softmax", "softmax"]).game()
    changes = {
        "biases changed by more than": nng.certify_equilibrium(pair(0.5, "tanh"), nng.solve(pair(0.5, "tanh")).profile),
        "larger weights or slopes": nng.certify_equilibrium(contracting, nng.solve(contracting).profile),
        "a radius of": nng.certify_equilibrium(pair(0.5, "tanh"), [3.0, 3.0], 0.1),
        "bring this one": nng.certify_equilibrium(gate, np.full(4, 0.5)),
        "a larger radius, or a profile": nng.certify_equilibrium(pair(2.0, "tanh"), [0.45, 0.45], 0.01),
        "another profile, or a small change": nng.certify_equilibrium(pair(1.0, "softplus"), [30.0, 30.0]),
        "continuous responses": nng.certify_equilibrium(pair(1.0, "hardshrink"), [0.5, 0.5]),
    }
    for text, verdict in changes.items():
        assert text in verdict.would_change, (text, str(verdict))


def test_what_is_not_known_of_the_step_is_in_the_box() -> None:
    known = Contraction(np.zeros((2, 2)), np.ones(2), 1e-12)
    box = known.invariant_box(Enclosed(np.array([0.0, -2e-3]), np.array([1e-3, 1e-3])))
    assert box is not None
    assert box[0] >= 1e-3
    assert 3e-3 <= box[1] < 3.1e-3
