"""Basins of attraction: every start gets the end that its own feed reaches, cycles by any phase, divergence apart."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.checks.feed_batches import basins, fed_map
from nngames.core.errors import NotApplicableError, OptionError
from nngames.report.plots import plot_basins
from nngames.results.trajectory import TrajectoryKind


def two(w: float, v: float, activation: str = "tanh"):
    """Two neurons that listen to each other, as one layer each."""
    return nng.Network.graph(
        {(1, 2): [[w]], (2, 1): [[v]]}, {1: [0.0], 2: [0.0]}, {1: activation, 2: activation}
    ).game()


def ends_of(game, starts):
    network = game.network
    fed = fed_map(game)
    fed = type(fed)(lambda x: network.joint(x), fed.lift, fed.restrict, game.size, "the joint map T")
    return basins(fed, np.asarray(starts, dtype=float), None, 2000, 1e-9, game.multiplications)


def test_quadrants_of_a_bistable_pair():
    # T(x) = (tanh 2 x_2, tanh 2 x_1) keeps the signs of a quadrant where they agree and swaps them where they differ.
    labels, ends = ends_of(two(2.0, 2.0), [[0.3, 0.1], [2.0, 0.5], [-0.1, -0.7], [0.4, -0.2], [-1.0, 3.0], [0.0, 0.0]])
    kinds = [ends[label].kind for label in labels]
    assert kinds[:3] == [TrajectoryKind.FIXED_POINT] * 3
    assert kinds[3:5] == [TrajectoryKind.LIMIT_CYCLE] * 2
    assert labels[0] == labels[1] != labels[2]
    # (0.4, -0.2) and (-1, 3) are in the two phases of one cycle.
    assert labels[3] == labels[4]
    assert len(ends[labels[3]].cycle) == 2
    assert labels[5] not in labels[:5]
    np.testing.assert_array_equal(ends[labels[5]].state, [0.0, 0.0])


def test_divergence_is_one_end_and_neutral_rotations_are_as_many_as_are_classified():
    labels, ends = ends_of(two(2.0, 2.0, "relu"), [[1.0, 1.0], [1.0, -1.0], [-1.0, -2.0]])
    assert [ends[label].kind for label in labels] == [
        TrajectoryKind.DIVERGED,
        TrajectoryKind.DIVERGED,
        TrajectoryKind.FIXED_POINT,
    ]
    assert labels[0] == labels[1]


def test_the_picture_names_each_end_with_its_share(tmp_path):
    figure = plot_basins(two(2.0, 2.0), tmp_path / "basins.png", box=((-1, 1), (-1, 1)))
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert sum(text.startswith("fixed point") for text in texts) == 3
    # One cycle of the two other quadrants, and on the axes one for each sign: (s, 0), (0, s).
    assert sum(text.startswith("limit cycle of period 2") for text in texts) == 3
    shares = [float(text.rsplit(", ", 1)[1].rstrip("%")) for text in texts]
    # 201 points on each axis: a quadrant has 100 x 100, a half of both axes 200, and the origin is one start.
    expected = [100 * starts / 201**2 for starts in (20000, 10000, 10000, 200, 200, 1)]
    assert sorted(shares, reverse=True) == pytest.approx(expected, abs=0.051)
    assert (tmp_path / "basins.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "other"}, "unknown rule 'other'; valid: iterated, averaged"),
        ({"box": ((1, -1), (0, 1))}, "box must be ((low, high), (low, high)) with low < high"),
        ({"box": "wide"}, "box must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError) as caught:
        plot_basins(two(2.0, 2.0), **options)
    assert message in str(caught.value)


def test_three_entries_are_refused():
    game = nng.Network.ring([[[0.5]]] * 3, [[0.0]] * 3, ["tanh"] * 3).game()
    with pytest.raises(NotApplicableError, match="two-dimensional"):
        plot_basins(game)
