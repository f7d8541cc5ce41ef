"""Convex sets of weights on which a certificate holds, with their Frobenius projections.

``contraction``: |W_lk|_2 <= c_lk with a spectral radius of (S_l c_lk) of at most 1 - margin, S_l the Lipschitz constant
of r_l: then T contracts in a weighted maximum of the layers' norms, and O of a ring by the product. The bounds c keep
the proportions of the template's norms.

``averaged``: on a ring whose layers all have one size and averaged activations, |W_l - beta I|_2 <= 1 - beta for one
beta makes each W_l averaged with 1 - beta, and the composition O of the W_l and r_l averaged with
1/(1 + 1/sum_l (1/beta - 1 + (1 - s_l)/(1 + s_l))), s_l the least slope [combettes2020]; beta is chosen for this to be
1 - margin. Through a contraction on other rings, and where prod_l S_l <= 1 - 2 margin or the margin is too large for
that: an L-Lipschitz O is (1 + L)/2-averaged.

``monotone``: (W + W')/2 <= D - margin I, D = 1 where S_l <= 1, else 1/S_l: the operator of the inclusion view is then
strongly monotone with that modulus.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nngames.certificates.norms import coupling_norms
from nngames.core.errors import NotApplicableError, OptionError
from nngames.core.profiles import Array
from nngames.networks import Network
from nngames.training.constraints import SpectralBall, project_monotone
from nngames.training.designing.entries import Entries, block_entries, joint_entries

#: Larger joint matrices are not decomposed again and again.
LARGEST_JOINT = 1500
# What the sets are drawn in by, relative to the bounds, for rounding and for what a projection leaves.
_INSET = 1e-8
# And where a solver with a larger tolerance is to meet them.
_INNER = 1e-4
# Of smaller balls around beta I rounding would hide what they are drawn in by.
_LEAST_RADIUS = 1e-4
# Edges of the template with a smaller norm count with this share of the largest.
_LEAST_SHARE = 0.1
# The same for norms that are needed for the profile.
_LEAST_NEED = 1e-6

Norms = Mapping[Any, float]


class CertificateSet(ABC):
    """A closed convex set of weights.

    Attributes
    ----------
    entries : Entries
        The layout in which the weights are projected.
    verdicts : tuple of str
        The package's certificates that hold on the set.
    margin : float
        That of the first of them.
    """

    entries: Entries
    verdicts: tuple[str, ...]
    margin: float

    @abstractmethod
    def project(self, values: Array) -> Array:
        """Return the nearest entries of the set."""

    @abstractmethod
    def constraints(self, values: Any) -> list[Any]:
        """Return the CVXPY constraints of a vector of entries."""

    @abstractmethod
    def inner(self) -> CertificateSet:
        """Return a set a little inside, for solvers that meet constraints up to a tolerance of their own."""


@dataclass(frozen=True, eq=False)
class SpectralBalls(CertificateSet):
    """|W_b - centre I|_2 <= bound_b for each block b."""

    entries: Entries
    verdicts: tuple[str, ...]
    margin: float
    centre: float
    bounds: dict[Any, float]

    def project(self, values: Array) -> Array:
        """Clip the singular values of each block's difference from the centre."""
        found = np.empty_like(values)
        for block, (where, shape) in self.entries.blocks.items():
            ball = SpectralBall(self.bounds[block], self.centre)
            found[where] = ball.project(values[where].reshape(shape)).ravel()
        return found

    def constraints(self, values: Any) -> list[Any]:
        """Return the bounds on the spectral norms."""
        import cvxpy as cp

        return [
            cp.sigma_max(cp.reshape(values[where], shape, order="C") - self.centre * np.eye(*shape))
            <= self.bounds[block]
            for block, (where, shape) in self.entries.blocks.items()
            if self.bounds[block] < math.inf
        ]

    def inner(self) -> SpectralBalls:
        """Return the balls with smaller radii."""
        return replace(self, bounds={block: bound * (1 - _INNER) for block, bound in self.bounds.items()})


@dataclass(frozen=True, eq=False)
class MonotoneCone(CertificateSet):
    """(W + W')/2 <= diag(ceiling) for the joint weight W."""

    entries: Entries
    verdicts: tuple[str, ...]
    margin: float
    ceiling: Array

    def project(self, values: Array) -> Array:
        """Clip the eigenvalues of the symmetric part."""
        n = len(self.ceiling)
        return project_monotone(values.reshape(n, n), self.ceiling).ravel()

    def constraints(self, values: Any) -> list[Any]:
        """Return the semidefinite constraint."""
        import cvxpy as cp

        n = len(self.ceiling)
        matrix = cp.reshape(values, (n, n), order="C")
        return [np.diag(self.ceiling) - (matrix + matrix.T) / 2 >> 0]

    def inner(self) -> MonotoneCone:
        """Return the cone with a lower ceiling."""
        return replace(self, ceiling=self.ceiling - _INNER * (self.margin + np.abs(self.ceiling)))


def certificate_set(
    network: Network, certificate: str, margin: float | None, norms: Norms | None = None
) -> CertificateSet:
    """Return the set of weights on which the certificate holds with the margin.

    Parameters
    ----------
    network : Network
        The template.
    certificate : {"contraction", "averaged", "monotone"}
    margin : float or None
    norms : mapping edge -> float, optional
        To which the bounds on the norms are proportional; by default those of the template.

    Raises
    ------
    NotApplicableError
        If the certificate cannot hold for this network whatever its weights.
    OptionError
        If the margin is out of range.
    """
    build = {"contraction": _contraction, "averaged": _averaged, "monotone": _monotone}[certificate]
    return build(network, margin, norms)


def _contraction(network: Network, margin: float | None, norms: Norms | None) -> CertificateSet:
    share = _checked(margin, 0.05, 1.0, "contraction")
    ring = ("composite_contraction",) if network.ring_order is not None else ()
    return _norm_bounds(network, ("joint_contraction", *ring), share, 1 - share, norms)


def _norm_bounds(
    network: Network, verdicts: tuple[str, ...], margin: float, radius: float, norms: Norms | None
) -> SpectralBalls:
    """Return bounds c with a spectral radius of (S_l c_lk) equal to ``radius``, in proportion to the norms.

    Edges that are on no cycle do not count for the spectral radius, and are not bounded.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    slopes = {player: _slope(network, player) for player in network.players}
    entries, share = block_entries(network), _LEAST_NEED
    if norms is None:
        norms = {edge: enclosure.upper for edge, enclosure in coupling_norms(network).items()}
        share = _LEAST_SHARE
    scaled = {edge: slopes[edge[0]] * norm for edge, norm in norms.items()}
    index = {player: i for i, player in enumerate(network.players)}
    places = np.array([(index[target], index[source]) for target, source in scaled]).reshape(-1, 2).T
    graph = csr_array((np.ones(len(scaled)), (places[0], places[1])), shape=(len(index), len(index)))
    labels = connected_components(graph, connection="strong")[1]
    components: dict[int, list[Any]] = {}
    for edge in scaled:
        label = int(labels[index[edge[0]]])
        if label == labels[index[edge[1]]] and slopes[edge[0]] > 0:
            components.setdefault(label, []).append(edge)
    bounds = dict.fromkeys(scaled, math.inf)
    for edges in components.values():
        largest = max(scaled[edge] for edge in edges)
        sizes = {edge: max(scaled[edge], share * largest) if largest > 0 else 1.0 for edge in edges}
        found = _spectral_radius(sizes)
        for edge, size in sizes.items() if found > 0 else ():
            bounds[edge] = size * (radius / found) * (1 - _INSET) / slopes[edge[0]]
    return SpectralBalls(entries, verdicts, margin, 0.0, bounds)


def _spectral_radius(sizes: Norms) -> float:
    members = {player: i for i, player in enumerate(dict.fromkeys(player for edge in sizes for player in edge))}
    matrix = np.zeros((len(members), len(members)))
    for (target, source), size in sizes.items():
        matrix[members[target], members[source]] = size
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def _slope(network: Network, player: Any) -> float:
    slope = network.activations[player].lipschitz
    if not math.isfinite(slope):
        raise NotApplicableError(
            f"player {player}: activation {network.activations[player].name!r} has no Lipschitz constant, so no "
            "weights but zero make its layer a contraction"
        )
    return float(slope)


def _averaged(network: Network, margin: float | None, norms: Norms | None) -> CertificateSet:
    if network.ring_order is None:
        raise NotApplicableError("certificate='averaged' is about the composite map of a ring; this network is no ring")
    layers = len(network.players)
    share = _checked(margin, 0.1 / (1 + layers), 0.5, "averaged")
    factor = 1 - 2 * share
    beta = (1 + _INSET) / (1 + max(0.0, 1 / share - 1 - _odds_of_responses(network)) / layers)
    # Where the slopes alone contract that much, norms above 1 are within a contraction, and not within those balls.
    if 1 - beta < _LEAST_RADIUS or math.prod(_slope(network, player) for player in network.players) <= factor:
        # The factor of O is that of T to the power of the number of layers.
        verdicts = ("composite_averaged", "composite_contraction")
        return _norm_bounds(network, verdicts, share, factor ** (1 / layers), norms)
    entries = block_entries(network)
    bounds = dict.fromkeys(entries.blocks, (1 - beta) * (1 - _INSET))
    return SpectralBalls(entries, ("composite_averaged",), share, beta, bounds)


def _odds_of_responses(network: Network) -> float:
    """Return sum_l a_l/(1 - a_l), a_l the averagedness constants of r_l; inf where O is no such composition."""
    constants = [network.activations[player].averagedness for player in network.players]
    if len(set(network.dims.values())) > 1:
        return math.inf
    return sum(math.inf if constant is None or constant >= 1 else constant / (1 - constant) for constant in constants)


def _monotone(network: Network, margin: float | None, norms: Norms | None) -> CertificateSet:
    if network.size > LARGEST_JOINT:
        raise NotApplicableError(
            f"certificate='monotone' decomposes the joint weight of order {network.size}; it is done up to order "
            f"{LARGEST_JOINT}"
        )
    ceilings = []
    for player, n in network.dims.items():
        slope = network.activations[player].slope_range[1]
        ceilings.append(np.full(n, 1 / slope if slope > 1 else 1.0))
    ceiling = np.concatenate(ceilings)
    # The diagonal of a player that does not feed itself is 0.
    fixed = [ceilings[i][0] for i, player in enumerate(network.players) if (player, player) not in network.weights]
    share = _checked(margin, 0.05 * float(ceiling.min()), float(min(fixed, default=math.inf)), "monotone")
    ceiling = ceiling - share
    ceiling -= _INSET * np.abs(ceiling)
    return MonotoneCone(joint_entries(network), ("monotone",), share, ceiling)


def _checked(margin: float | None, default: float, top: float, certificate: str) -> float:
    if margin is None:
        return default
    if not 0 < margin < top:
        raise OptionError(
            f"margin={margin!r} is out of range for certificate={certificate!r} of this network; valid: (0, {top:.6g})"
        )
    return float(margin)
