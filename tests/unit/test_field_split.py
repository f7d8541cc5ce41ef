"""The gradient and the rotational part of a game's field, and the kinds of arrows in the picture of its graph."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import NotApplicableError, OptionError
from nngames.report.field_split import FieldSplit
from nngames.report.game_graph import graph_of
from nngames.report.plots import plot_field_split


def pair(forward, backward, activation="tanh", bias=0.2):
    return nng.Network.ring([[[forward]], [[backward]]], [[bias]] * 2, [activation] * 2).game()


@pytest.mark.parametrize("weights", [(1.5, -1.0), (0.5, 0.8)])
def test_the_parts_are_a_gradient_and_a_rotation(weights):
    game = pair(*weights)
    split = FieldSplit(game)
    x, y = split.points(7)
    field, gradient, rotation = split.parts(x, y)
    np.testing.assert_allclose(field, gradient + rotation, atol=1e-12)
    # The field is u_l - r_l^-1(x_l).
    own = np.stack([0.2 + weights[0] * y, 0.2 + weights[1] * x], axis=-1) - np.arctanh(np.stack([x, y], axis=-1))
    np.testing.assert_allclose(field, own, atol=1e-6)
    h = 1e-5
    slopes = [
        (split.potential(x + h * a, y + h * b) - split.potential(x - h * a, y - h * b)) / (2 * h)
        for a, b in ((1, 0), (0, 1))
    ]
    np.testing.assert_allclose(-np.stack(slopes, axis=-1), gradient, atol=1e-6)
    speed = (weights[0] - weights[1]) / 2
    np.testing.assert_allclose(rotation[..., 0], speed * (y - split.middle[1]), atol=1e-12)
    np.testing.assert_allclose(rotation[..., 1], -speed * (x - split.middle[0]), atol=1e-12)


def test_both_parts_vanish_at_an_interior_equilibrium():
    game = pair(1.5, -1.0)
    split = FieldSplit(game)
    assert split.at_equilibrium
    assert game.residual(split.middle) < 1e-9
    for part in split.parts(*split.middle[:, None]):
        np.testing.assert_allclose(part, 0, atol=1e-7)
    elsewhere = FieldSplit(game, ((-0.9, -0.5), (0.5, 0.9)))
    assert not elsewhere.at_equilibrium
    np.testing.assert_allclose(elsewhere.middle, [-0.7, 0.7])


def test_the_picture_names_its_parts(tmp_path):
    figure = plot_field_split(pair(1.0, -1.0), tmp_path / "split.png")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split("\n")[0] for title in titles] == [
        "Where each player would go",
        "Gradient part",
        "Rotational part",
    ]
    assert (tmp_path / "split.png").stat().st_size > 10_000
    assert any("antisymmetric share of the coupling: 1" in text.get_text() for text in figure.legends[0].get_texts())


def test_what_cannot_be_split_is_refused():
    with pytest.raises(NotApplicableError, match="not bilinear"):
        plot_field_split(pair(1.0, 1.0, "silu"))
    with pytest.raises(NotApplicableError, match="two players with one number"):
        plot_field_split(nng.Network.ring([[[1.0]]] * 3, [[0.0]] * 3, ["tanh"] * 3).game())
    with pytest.raises(OptionError, match="low < high"):
        plot_field_split(pair(1.0, 1.0), box=((1, 0), (0, 1)))


def test_arrows_are_told_apart_by_what_the_domains_feel():
    weights = {
        (1, 2): [[1.0, 2.0]],
        (2, 1): [[3.0], [6.0]],
        (1, 3): [[1.0, 1.0]],
        (3, 1): [[1.0], [0.0]],
        (2, 3): [[1.0, 2.0], [3.0, 4.0]],
        (3, 2): [[-1.0, -3.0], [-2.0, -4.0]],
    }
    game = nng.Network.graph(
        weights, {1: [0.0], 2: [0.0] * 2, 3: [0.0] * 2}, {1: "tanh", 2: "relu", 3: "softmax"}
    ).game()
    kinds = {(arrow.source, arrow.target): arrow.kind for arrow in graph_of(game).arrows}
    # Shares sum to 1: player 1 hears nothing of player 3, which makes the way back one way.
    assert kinds == {
        (2, 1): "proportional",
        (1, 2): "proportional",
        (3, 1): "not felt",
        (1, 3): "one way",
        (3, 2): "different",
        (2, 3): "different",
    }
