"""Batches of feeds against the feeds of single starts."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.checks.feed_batches import fed_map, settle
from nngames.networks.relaxation import Constant


def networks():
    rng = np.random.default_rng(0)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    yield nng.Network.ring([turn, np.eye(2)], [np.zeros(2)] * 2, ["identity"] * 2)
    yield nng.Network.ring([[[-2.0]]] * 3, [[0.5]] * 3, ["identity"] * 3)
    yield nng.Network.ring([[[2.0]], [[-2.0]]], [[0.1], [0.0]], ["tanh"] * 2)
    yield nng.Network.ring([[[1.0]]] * 2, [[0.0]] * 2, ["softplus_beta"] * 2)
    for activation in ("tanh", "relu", "softmax", "silu"):
        weights = [rng.normal(size=(3, 3)) for _ in range(2)]
        yield nng.Network.ring(weights, [rng.normal(size=3) for _ in range(2)], [activation] * 2)
    yield nng.Network.recurrent(0.7 * rng.normal(size=(4, 4)), rng.normal(size=4), "tanh")
    yield nng.Network.graph({(1, 2): [[0.5]], (2, 1): [[0.5]], (2, 2): [[0.2]]}, {1: [1.0], 2: [0.0]}, "tanh")


@pytest.mark.parametrize("rule", ["iterated", "averaged"])
@pytest.mark.parametrize("network", list(networks()))
def test_a_batch_goes_where_its_starts_go(network, rule):
    fed = fed_map(network.game("neurons" if network.ring_order == (1,) else "layers"))
    starts = np.random.default_rng(1).normal(size=(6, fed.size))
    relaxation = None if rule == "iterated" else Constant(0.5)
    for start, settled in zip(starts, settle(fed, starts, relaxation, 400, 1e-9, 1), strict=True):
        single = network.feed(start, rule=rule, relaxation=0.5, steps=550)
        assert settled.kind == single.kind
        if single.limit is not None:
            # Both are within the classifier's estimate of the path ahead.
            np.testing.assert_allclose(fed.lift(settled.state), single.limit, atol=2e-4)
        if single.cycle is not None:
            assert len(settled.cycle) == single.period
