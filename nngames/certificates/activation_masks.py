"""Activation masks: the largest norm of W_m D_{m-1} W_{m-1} ... D_1 W_1 over the slopes that separable layers may have.

Differences pass a separable layer as a diagonal matrix D of slopes in [s, S]. The norm is convex in each entry of each
D by itself, so that its supremum over all of them is attained at a vertex: every slope s or S. For ReLU the vertices
are the activation masks. It is the least Lipschitz bound that knows no more than the weights and the slopes, attained
where every combination of slopes occurs.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from nngames.certificates.composite_bounds import EnclosedProduct
from nngames.certificates.figures import product, round_down, round_up
from nngames.core.bounds import Enclosure
from nngames.core.profiles import Array
from nngames.networks import Network

#: Up to this many hidden coordinates whose slopes vary all vertices are visited: 2^10.
MASKED_COORDINATES = 10


def hidden_coordinates(network: Network) -> int | None:
    """Return how many coordinates of the layers but the last have varying slopes; None if one is not separable."""
    order = network.ring_order or ()
    if not all(network.activations[p].separable or network.dims[p] == 1 for p in order[:-1]):
        return None
    varying = [p for p in order[:-1] if len(set(network.activations[p].slope_range)) == 2]
    return sum(network.dims[p] for p in varying)


def masked_norm(network: Network) -> Enclosure:
    """Enclose the largest norm over all vertices, times the last layer's Lipschitz constant."""
    order = network.ring_order or ()
    matrices = [network.weights[p, k].dense for p, k in zip(order, (order[-1], *order[:-1]), strict=True)]
    found = [partial.norm() for partial in _products(network, matrices)]
    last = Fraction(network.activations[order[-1]].lipschitz)
    upper = round_up(product((last, max(norm.upper for norm in found))))
    lower = round_down(last * Fraction(max(norm.lower for norm in found)))
    return Enclosure(lower, upper, f"the largest of {len(found)} norms")


def _products(network: Network, matrices: list[Array]) -> list[EnclosedProduct]:
    """Return the product for every vertex, layer by layer, so that common factors are multiplied once."""
    order = network.ring_order or ()
    partial = [EnclosedProduct.of(matrices[0])]
    for player, matrix in zip(order[:-1], matrices[1:], strict=True):
        ends = sorted(set(network.activations[player].slope_range))
        vertices = itertools.product(ends, repeat=network.dims[player]) if len(ends) == 2 else [ends * len(matrix.T)]
        masks = [np.diag(vertex) for vertex in vertices]
        partial = [known.followed_by(mask).followed_by(matrix) for known in partial for mask in masks]
    return partial
