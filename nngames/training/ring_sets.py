"""Convex sets of the weights of a chain in which its closed ring, fed its own answers, has a certificate.

The sets are those of design (``designing.certificate_sets``), for a ring of which only sizes and activations are known:

``contraction``: |W_l|_2 <= (1 - margin)/S_l, S_l the Lipschitz constant of r_l.
``averaged``: where all sizes are one and the r_l are averaged, |W_l - beta I|_2 <= 1 - beta: each W_l is averaged, and
so is O. Elsewhere |W_l|_2 <= q/S_l with q^L = 1 - 2 margin: O is then q^L-Lipschitz, hence averaged with 1 - margin.
This is an inner approximation: O maps through layers of other sizes, and the weights for which it is averaged there are
no convex set, as O depends on their product.
``monotone``: (W + W')/2 <= diag(1 - margin) for the joint weight W, whose blocks are the W_l: the inclusion 0 in
dF(x) + (I - W)x - b is strongly monotone. It ties the layers to each other, and is jointly convex: rings far from
contractions are in it, such as two layers with W_2 = -W_1'. Where layers are to keep a set each, on their own,
|W_l|_2 <= 1 - margin is an inner approximation: <x, Wx> = sum_l <x_l, W_l x_{l-1}> is then at most (1 - margin) |x|^2,
by Cauchy's and Young's inequalities. Of one layer it is the whole set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nngames.activations import Activation
from nngames.certificates import verdict_of
from nngames.core.errors import NotApplicableError, OptionError, ShapeError, check_choice, check_positive
from nngames.core.profiles import Array
from nngames.core.verdicts import Verdict
from nngames.networks import Network
from nngames.training.constraints import MonotoneWeights, SpectralBall, WeightSet, project_monotone
from nngames.training.designing.certificate_sets import CertificateSet, MonotoneCone, SpectralBalls, certificate_set

CERTIFICATES = ("contraction", "averaged", "monotone")

# Of the projection on the joint set: the largest eigenvalue above 0 that is left, and the most steps.
_LEFT, _MOST_STEPS = 1e-11, 2000


def ring_set(
    certificate: str | None,
    margin: float | None,
    bounds: Iterable[float | None],
    sizes: Sequence[int],
    activations: Sequence[Activation],
) -> RingSet | None:
    """Return the set that a certificate asks for; None where none is asked for.

    Raises
    ------
    OptionError
        If there is a margin without a certificate, or bounds beside one.
    """
    if margin is not None:
        check_positive("margin", margin)
    if certificate is None:
        if margin is not None:
            raise OptionError(f"margin={margin!r} belongs to a certificate; name one of {', '.join(CERTIFICATES)}")
        return None
    if any(bound is not None for bound in bounds):
        raise OptionError("bounds and certificate both hold the weights; give one of them")
    return RingSet(sizes, activations, certificate, margin)


class RingSet:
    """The weights of a chain whose ring has a certificate.

    Parameters
    ----------
    sizes : sequence of L + 1 int
        n_0, ..., n_L, the last one n_0 again.
    activations : sequence of L Activation
    certificate : {"contraction", "averaged", "monotone"}
    margin : float, optional
        1 less the factor of the joint map T; 1 less the averagedness constant of O; the modulus of the inclusion.
        Default: that of ``design_network``.

    Raises
    ------
    ShapeError
        If the last layer does not answer with as many numbers as the first one takes.
    NotApplicableError, OptionError
        If the certificate cannot hold for these activations, or the margin is out of range.
    """

    def __init__(
        self, sizes: Sequence[int], activations: Sequence[Activation], certificate: str, margin: float | None
    ) -> None:
        check_choice("certificate", certificate, CERTIFICATES)
        if sizes[0] != sizes[-1]:
            raise ShapeError(
                f"certificate={certificate!r} is about the ring that feeds its answers back, and {sizes[-1]} answers "
                f"do not fit {sizes[0]} inputs"
            )
        for activation, size in zip(activations, sizes[1:], strict=True):
            activation.check_size(size)
        if len(activations) == 1 and not activations[0].separable:
            raise NotApplicableError(
                f"a ring of one layer whose activation {activations[0].name!r} couples its neurons has a game, and a "
                "certificate, for symmetric weights only"
            )
        weights = [np.zeros((after, before)) for before, after in pairwise(sizes)]
        template = Network.ring(weights, [np.zeros(n) for n in sizes[1:]], list(activations))
        self._allowed: CertificateSet = certificate_set(template, certificate, margin)
        self.certificate, self.margin = certificate, self._allowed.margin
        self.names = self._allowed.verdicts
        players, places = template.players, template.space.slices
        self._edges = list(zip(players, (players[-1], *players[:-1]), strict=True))
        self._places = [(places[target], places[source]) for target, source in self._edges]
        self._ceiling = self._allowed.ceiling if isinstance(self._allowed, MonotoneCone) else np.zeros(0)

    @property
    def own_sets(self) -> list[WeightSet]:
        """A set for each layer, whose product lies in the set; it is the set itself unless layers are tied."""
        allowed = self._allowed
        if isinstance(allowed, SpectralBalls):
            return [SpectralBall(float(allowed.bounds[edge]), allowed.centre) for edge in self._edges]
        if len(self._edges) == 1:
            return [MonotoneWeights(self.ceiling)]
        return [SpectralBall(self.ceiling) for _ in self._edges]

    @property
    def ceiling(self) -> float:
        """The least entry of the diagonal that bounds (W + W')/2 where the certificate is ``monotone``."""
        return float(self._ceiling.min())

    @property
    def norm_bounds(self) -> list[float]:
        """Bounds on the norms |W_l|_2 that suffice: |W_l| <= 1 - 2 beta for |W_l - beta I| <= 1 - beta.

        Raises
        ------
        NotApplicableError
            If no bound but 0 suffices.
        """
        bounds = [own.bound - own.centre if isinstance(own, SpectralBall) else self.ceiling for own in self.own_sets]
        if min(bounds) <= 0:
            raise NotApplicableError(
                f"no bounds on the norms imply certificate={self.certificate!r} with margin {self.margin:g}; ask for a "
                "smaller margin"
            )
        return bounds

    def project(self, weights: Sequence[Array]) -> list[Array]:
        """Return the nearest weights of the set, in the Frobenius norm."""
        if isinstance(self._allowed, SpectralBalls) or len(self._edges) == 1:
            return [own.project(weight) for own, weight in zip(self.own_sets, weights, strict=True)]
        return self._split(self._jointly_projected(self._joined(weights)))

    def verdicts(
        self, weights: Sequence[Array], biases: Sequence[Array], activations: Sequence[Any]
    ) -> dict[str, Verdict]:
        """Return the package's own verdicts on the ring of these parameters, by the certificates' names."""
        game = Network.ring(list(weights), list(biases), list(activations)).game()
        return {name: verdict_of(name, game) for name in self.names}

    # The joint set

    def _joined(self, weights: Sequence[Array]) -> Array:
        joint: Array = np.zeros((len(self._ceiling),) * 2)
        for (rows, columns), weight in zip(self._places, weights, strict=True):
            joint[rows, columns] = weight
        return joint

    def _split(self, joint: Array) -> list[Array]:
        return [joint[rows, columns].copy() for rows, columns in self._places]

    def _jointly_projected(self, weight: Array) -> Array:
        """Return the nearest W with the ring's blocks and (W + W')/2 <= C = diag(ceiling).

        The dual is min over Y >= 0 of a function with the gradient C - sym(W(Y)), W(Y) = the blocks of W - Y, which is
        1-Lipschitz: accelerated projected steps, with restarts. What is left above C in the end is scaled off, as 0
        lies in the interior.
        """
        ceiling, blocks = np.diag(self._ceiling), self._joined([np.ones_like(w) for w in self._split(weight)])
        dual = ahead = np.zeros_like(weight)
        momentum, found = 1.0, weight
        for _ in range(_MOST_STEPS):
            found = weight - blocks * ahead
            # Y + sym(W(Y)) - C, its negative part taken away.
            moved = ahead + (found + found.T) / 2 - ceiling
            following = moved - project_monotone(moved, 0.0)
            change = following - ahead
            if float(np.linalg.norm(change)) <= _LEFT * (1 + float(np.linalg.norm(weight))):
                break
            if float(np.sum((ahead - following) * (following - dual))) > 0:
                momentum = 1.0
            longer = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = following + (momentum - 1) / longer * (following - dual)
            dual, momentum = following, longer
        root = 1 / np.sqrt(self._ceiling)
        largest = float(np.linalg.eigvalsh((found + found.T) / 2 * root * root[:, None])[-1])
        return found / max(1.0, largest)
