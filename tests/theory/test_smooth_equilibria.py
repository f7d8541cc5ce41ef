"""Enumeration by intervals: all equilibria with the proved count, singular ones located and left open."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import root

import nngames as nng
from nngames.certificates.response_boxes import mapped_box
from nngames.checks.enumerating.smooth import smooth_equilibria
from nngames.checks.existing.contraction import NewtonMap
from nngames.checks.existing.equation import EquilibriumEquation
from nngames.checks.existing.roots import _Root, _Search


def _ring(first: float, second: float, names: list[str], bias: float = 0.0) -> nng.Game:
    return nng.Network.ring([[[first]], [[second]]], [[0.0], [bias]], names).game()


def test_the_three_equilibria_of_a_bistable_pair() -> None:
    found = smooth_equilibria(_ring(2.0, 2.0, ["tanh", "tanh"]))
    assert found.complete.proved
    assert found.complete.witness["count"] == 3
    # The positive root of tanh(2x) = x.
    a = 0.9575040240772687
    assert np.allclose(found.points, [[-a, -a], [0, 0], [a, a]], atol=1e-12)
    assert (found.radii < 1e-12).all()


def test_a_singular_equilibrium_is_located_and_left_open() -> None:
    found = smooth_equilibria(_ring(1.0, 1.0, ["tanh", "tanh"]))
    assert found.complete.status == "UNDECIDED"
    assert len(found.points) == 0
    boxes = found.unresolved
    assert any((np.asarray(b["lower"]) <= 0).all() and (np.asarray(b["upper"]) >= 0).all() for b in boxes)
    assert max(float(np.max(np.abs([b["lower"], b["upper"]]))) for b in boxes) < 1e-4


def test_a_continuum_stops_in_time_and_is_covered() -> None:
    found = smooth_equilibria(_ring(1.0, 1.0, ["hard_tanh", "hard_tanh"]), max_seconds=0.3)
    assert found.complete.status == "UNDECIDED"
    boxes = found.unresolved
    for point in np.linspace(-1, 1, 9):
        assert any((np.asarray(b["lower"]) <= point).all() and (np.asarray(b["upper"]) >= point).all() for b in boxes)


@pytest.mark.parametrize(
    ("names", "size", "scale"),
    [
        (["tanh", "tanh"], 2, 2.0),
        (["hard_tanh", "tanh"], 2, 3.0),
        (["sin", "tanh"], 1, 4.0),
        (["gaussian", "sin"], 1, 6.0),
    ],
)
def test_every_root_of_many_starts_is_found(names: list[str], size: int, scale: float) -> None:
    rng = np.random.default_rng(7)
    weights = [scale * rng.normal(size=(size, size)) for _ in names]
    game = nng.Network.ring(weights, [0.1 * rng.normal(size=size) for _ in names], names).game()
    found = smooth_equilibria(game)
    assert found.complete.proved
    met: list[np.ndarray] = []
    for start in rng.uniform(-1.2, 1.2, size=(150, game.size)):
        solved = root(lambda x: game.residuals(x), start, tol=1e-13)
        if np.abs(game.residuals(solved.x)).max() < 1e-11 and all(np.abs(solved.x - x).max() > 1e-6 for x in met):
            met.append(solved.x)
    assert len(met) == len(found.points)
    assert all(np.abs(found.points - x).max(axis=1).min() < 1e-8 for x in met)
    for point in found.points:
        assert nng.certify_equilibrium(game, point, 1e-9).proved


def test_six_neurons_on_a_full_graph() -> None:
    rng = np.random.default_rng(3)
    weights = {(i, j): [[1.3 * rng.normal()]] for i in range(6) for j in range(6) if i != j}
    game = nng.Network.graph(weights, {i: [0.1] for i in range(6)}, dict.fromkeys(range(6), "tanh")).game()
    found = smooth_equilibria(game)
    assert found.complete.proved
    assert len(found.points) >= 1


def test_without_a_box_nothing_is_enumerated() -> None:
    game = nng.Network.ring([[[2.0]], [[2.0]]], [[0.0], [1.0]], ["softplus", "softplus"]).game()
    with pytest.raises(nng.NotApplicableError, match="no box is known"):
        smooth_equilibria(game)
    with pytest.raises(nng.InputError, match="max_seconds"):
        smooth_equilibria(game, 0)


def test_roots_that_are_neither_the_same_nor_apart_stay_open() -> None:
    equation = EquilibriumEquation(_ring(2.0, 2.0, ["tanh", "tanh"]))
    middle, radii = np.full(2, 0.9575), np.full(2, 1e-3)
    search = _Search(equation, np.full(2, -1.0), np.full(2, 1.0), np.inf)
    newton = NewtonMap(equation, middle, search.slopes(middle, radii))
    image, region = newton.image(radii), (middle - radii, middle + radii)
    search.add(image, region)
    search.add(image, region)
    assert len(search.roots) == 1
    assert not search.unresolved
    wide = _Root(middle - 0.5, middle + 0.5, (middle - 0.5, middle - 0.4))
    search.roots = [wide]
    search.add(image, region)
    assert search.roots == [wide]
    ((low, high),) = search.unresolved
    assert (np.abs(low - 0.9575040240772687) < 1e-12).all()
    assert (low <= high).all()


def _chain(rng: np.random.Generator) -> tuple[nng.Network, list[Fraction]]:
    """Return a chain of the identity and ReLU whose product with the input nearly cancels, and its equilibrium."""
    weight, given = rng.normal(size=(2, 5)), 1e8 * rng.normal(size=5)
    weight[:, -1] = -(weight[:, :-1] @ given[:-1]) / given[-1]
    second = rng.normal(size=(2, 2))
    network = nng.Network.chain([weight, second], [np.zeros(2), np.ones(2)], ["identity", "relu"], input=given)
    first = [sum((Fraction(w) * Fraction(x) for w, x in zip(row, given, strict=True)), Fraction(0)) for row in weight]
    heard = [sum((Fraction(w) * x for w, x in zip(row, first, strict=True)), Fraction(1)) for row in second]
    return network, [*first, *(max(v, Fraction(0)) for v in heard)]


def test_boxes_of_open_chains_hold_the_equilibrium_of_the_data() -> None:
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(20):
        network, exact = _chain(rng)
        box = mapped_box(network.game())
        assert box is not None
        low, high = box
        assert all(Fraction(a) <= x <= Fraction(b) for a, b, x in zip(low, high, exact, strict=True))
        assert (high - low)[:2].max() < 1e-5
        missed += Fraction(float(network.effective_bias(network.players[0])[0])) != exact[0]
        found = smooth_equilibria(network.game())
        assert found.complete.proved
        (point,), (radius,) = found.points, found.radii
        assert all(abs(Fraction(p) - x) <= Fraction(r) for p, r, x in zip(point, radius, exact, strict=True))
    assert missed > 10


def test_what_would_change_an_enumeration() -> None:
    proved = smooth_equilibria(_ring(2.0, 2.0, ["tanh", "tanh"])).complete
    assert proved.would_change == "other data, which were taken as exact"
    singular = smooth_equilibria(_ring(1.0, 1.0, ["tanh", "tanh"])).complete
    assert singular.would_change == "a small change of the game"
    late = smooth_equilibria(_ring(1.0, 1.0, ["hard_tanh", "hard_tanh"]), max_seconds=0.05).complete
    assert late.would_change == "more than 0.05 max_seconds"
    assert "the search stopped after 0.05 s and" in late.statement


@pytest.mark.parametrize("name", ["sin", "gaussian", "sinc"])
def test_ranges_of_responses_that_fall_are_enclosed(name: str) -> None:
    """The box is finite and holds the images of its points."""
    game = nng.Network.ring([[[3.0]], [[-4.0]]], [[0.5], [0.1]], [name, "tanh"]).game()
    box = mapped_box(game)
    assert box is not None
    images = game.network.joint(np.random.default_rng(0).uniform(*box, size=(500, 2)))
    assert (images >= box[0]).all()
    assert (images <= box[1]).all()
    assert (box[1] - box[0]).max() < 2.3
