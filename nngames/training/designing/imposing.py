"""Parameters made good: the equilibrium to the last bits, on few entries, inside a set; and the norms it needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.core.errors import InfeasibleError
from nngames.core.profiles import Array
from nngames.networks import Network
from nngames.training.designing.certificate_sets import CertificateSet, SpectralBalls
from nngames.training.designing.equilibrium_set import EquilibriumSet, Parameters

_ROUNDS = 3
_HALVINGS = 50


def imposed(equilibria: EquilibriumSet, point: Parameters) -> tuple[Network, Parameters, float]:
    """Return the network of the parameters, corrected until its own residual at the profile no longer falls.

    The corrections are least changes of what the network's own sums miss.
    """
    point = equilibria.project(point)
    network = _network(equilibria, point)
    best = (network, point, _residual(network, equilibria.profile))
    for _ in range(_ROUNDS):
        v = _preactivation(network, equilibria.profile)
        point = equilibria.moved(point, equilibria.nearest_preactivation(v, equilibria.costs) - v)
        network = _network(equilibria, point)
        residual = _residual(network, equilibria.profile)
        if not residual < best[2]:
            break
        best = (network, point, residual)
    return best


def on_support(equilibria: EquilibriumSet, point: Parameters) -> EquilibriumSet:
    """Return the set in which only those entries may change in which the parameters differ from the template.

    A row without any keeps its bias, or all its entries, for what rounding asks for.
    """
    moved = point - equilibria.start
    weights, biases = moved.weights != 0, moved.biases != 0
    rows = equilibria.entries.rows
    bare = ~biases & (np.bincount(rows, weights, len(biases)) == 0)
    return equilibria.restricted(
        weights | (equilibria.free & (bare & ~equilibria.free_biases)[rows]), biases | (bare & equilibria.free_biases)
    )


def pulled_inside(equilibria: EquilibriumSet, allowed: CertificateSet, point: Parameters) -> Parameters:
    """Return the weights scaled towards 0 until they are in the certificate's set; biases then make up for it."""
    low, high = 0.0, 1.0
    for count in range(_HALVINGS):
        share = high if count == 0 else (low + high) / 2
        weights = share * point.weights
        if np.linalg.norm(allowed.project(weights) - weights) <= 1e-13 * (1 + np.linalg.norm(weights)):
            low = share
            if count == 0:
                break
        else:
            high = share
    fixed = equilibria.restricted(np.zeros_like(equilibria.free), equilibria.free_biases)
    inside = Parameters(low * point.weights, point.biases)
    v = equilibria.preactivation(inside)
    return fixed.moved(inside, equilibria.nearest_preactivation(v, np.ones_like(v)) - v)


def needed_norms(equilibria: EquilibriumSet) -> dict[Any, float]:
    """Return the norms |W_lk|_2 of the least weights, counted from 0, under which the profile is an equilibrium."""
    zero = Parameters(np.zeros_like(equilibria.start.weights), equilibria.start.biases)
    v = equilibria.preactivation(zero)
    least = equilibria.moved(zero, equilibria.nearest_preactivation(v, equilibria.costs) - v).weights
    return {
        edge: float(np.linalg.norm(least[where].reshape(shape), 2))
        for edge, (where, shape) in equilibria.entries.blocks.items()
    }


def check_ring(equilibria: EquilibriumSet, allowed: SpectralBalls) -> None:
    """Raise InfeasibleError where norms that the profile needs on a ring with these biases exclude the certificate.

    W_l x = v_l - b_l asks for |W_l|_2 >= dist(b_l, r_l^-1(x_l))/|x|, x the action of the layer before.
    """
    network = equilibria.network
    if network.ring_order is None:
        return
    space, slopes = network.space, {p: network.activations[p].lipschitz for p in network.players}
    zero = Parameters(np.zeros_like(equilibria.start.weights), equilibria.start.biases)
    v = equilibria.preactivation(zero)
    distances = equilibria.nearest_preactivation(v, np.ones_like(v)) - v
    needed, most = {}, 1.0
    for target, source in network.weights:
        heard = float(np.linalg.norm(equilibria.profile[space.slices[source]]))
        distance = float(np.linalg.norm(distances[space.slices[target]]))
        needed[target] = distance / heard if heard > 0 else 0.0
        most *= slopes[target] * needed[target]
    bound = float(np.prod([slopes[edge[0]] * allowed.bounds[edge] for edge in network.weights]))
    if most > bound * (1 + 1e-6):
        listed = ", ".join(f"{player}: {norm:.4g}" for player, norm in list(needed.items())[:8])
        raise InfeasibleError(
            f"with these biases no weights have the profile as an equilibrium and norms within the certificate's "
            f"bounds: it takes |W_l|_2 of at least {listed}, so the product of S_l |W_l|_2 is at least {most:.6g}, "
            f"and at most {bound:.6g} is allowed; use change_biases=True"
        )


def _network(equilibria: EquilibriumSet, point: Parameters) -> Network:
    network = equilibria.network
    biases = {player: point.biases[where] for player, where in network.space.slices.items()}
    return network.with_parameters(equilibria.entries.weights(network, point.weights), biases)


def _preactivation(network: Network, profile: Array) -> Array:
    space = network.space
    parts = {player: np.asarray(network.effective_bias(player), dtype=np.float64) for player in space.players}
    for (target, source), weight in network.weights.items():
        parts[target] = parts[target] + weight.apply(profile[space.slices[source]])
    return np.concatenate(list(parts.values()))


def _residual(network: Network, profile: Array) -> float:
    return float(np.linalg.norm(network.joint(profile) - profile))
