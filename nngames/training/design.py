"""Design: weights under which a given profile is an equilibrium, with a certificate where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nngames.certificates import verdict_of
from nngames.core.errors import (
    InfeasibleError,
    InputError,
    NotApplicableError,
    OptionError,
    check_choice,
    check_positive,
)
from nngames.core.profiles import Array, Profile
from nngames.core.threads import blas_threads
from nngames.core.verdicts import Verdict
from nngames.networks import Network
from nngames.training.designing.certificate_sets import CertificateSet, Norms, SpectralBalls, certificate_set
from nngames.training.designing.entries import Entries, stored_entries
from nngames.training.designing.equilibrium_set import EquilibriumSet, Parameters
from nngames.training.designing.imposing import check_ring, imposed, needed_norms, on_support, pulled_inside
from nngames.training.designing.intersection import nearest_common_point
from nngames.training.designing.layer_preimages import layer_preimage
from nngames.training.designing.sparse_changes import sparse_certified

CERTIFICATES = ("contraction", "averaged", "monotone")
OBJECTIVES = ("least_norm", "sparse")
# How much less than the margin asked for is taken, relative to it: the sets are met up to rounding.
_SHORTFALL = 1e-4


@dataclass(frozen=True, eq=False)
class Design:
    """A network of which a given profile is an equilibrium.

    Attributes
    ----------
    network : Network
    profile : ndarray (N,)
    residual : float
        |T(x) - x|_2 at the profile, recomputed by the network: rounding is all that is left.
    change : float
        The Frobenius distance of the weights and biases to those of the template.
    changed : int
        How many entries of the weights and biases differ.
    verdicts : mapping name -> Verdict
        The package's own verdicts on the designed network: those of the certificate that was asked for, else empty.
    message : str
    """

    network: Network
    profile: Array
    residual: float
    change: float
    changed: int
    verdicts: Mapping[str, Verdict]
    message: str

    def __str__(self) -> str:
        lines = [
            self.message,
            f"  residual |T(x) - x| = {self.residual:.3g}",
            f"  change |W - W0, b - b0| = {self.change:.6g}, in {self.changed} entries",
        ]
        return "\n".join([*lines, *(f"  {name}: {verdict}" for name, verdict in self.verdicts.items())])


def design_network(
    network: Network,
    profile: Profile,
    *,
    certificate: str | None = None,
    objective: str = "least_norm",
    margin: float | None = None,
    change_biases: bool = True,
    max_seconds: float | None = None,
) -> Design:
    """Return weights and biases near a template's under which ``profile`` is an equilibrium.

    x_l = r_l(v_l) iff v_l is in r_l^-1(x_l) = x_l + df_l(x_l), a closed convex set, and v_l is affine in (W, b). For
    strictly increasing r_l this is one linear equation for each neuron, and the least change is
    (v_l - W_l x - b_l)(x, 1)'/(|x|^2 + 1); where r_l^-1(x_l) has several points the nearest one is taken. A row changes
    only where its weight stores an entry: a sparse weight keeps its pattern, a dense one is free everywhere.

    Parameters
    ----------
    network : Network
        The template: players, graph, activations, patterns of the weights, and where the change starts.
    profile : array_like or mapping
        The equilibrium asked for.
    certificate : {"contraction", "averaged", "monotone"}, optional
        What is to hold of the designed network:
        ``contraction``: T contracts with a factor of at most 1 - margin (``joint_contraction``), so that the profile is
        the only equilibrium and the feed tends to it; default margin 0.05. The bounds on the norms are in proportion
        to the template's, so the change is the least for those bounds.
        ``averaged``: O of a ring is averaged with a constant of at most 1 - margin (``composite_averaged``), so that
        the averaged feed converges; by layers that are averaged each, or by a contraction; default 0.1/(1 + layers).
        ``monotone``: the inclusion's operator, I - W for slopes up to 1, is strongly monotone with modulus ``margin``;
        default 0.05/S, S the largest slope or 1.
    objective : {"least_norm", "sparse"}
        ``least_norm``: the least Frobenius norm of the change of weights and biases together. ``sparse``: the least sum
        of its absolute values; without a certificate that is one entry for a neuron at most, the largest one it hears
        (or its bias), with one a convex program solved through CVXPY.
    margin : float, optional
        Of the certificate.
    change_biases : bool
        Whether biases may change. If so, there is a design for every certificate: that with W = 0.
    max_seconds : float, optional
        For the search under a certificate. What it found then counts if the certificate is proved for it.

    Returns
    -------
    Design
        The certificate's verdicts are PROVED by the package's own certificates on the network that is returned.

    Raises
    ------
    DomainError, InputError
        If an activation does not take its action; the message names the player, the coordinate and the valid range.
    NotApplicableError
        If preimages of an activation are not known, or the certificate cannot hold for this kind of network.
    InfeasibleError
        If no such weights exist, or none were found; the message says which and why.
    OptionError, ShapeError
        If an option or the profile is not usable.
    """
    if not isinstance(network, Network):
        raise InputError(f"design needs a Network as the template; got {type(network).__name__}")
    _check_options(certificate, objective, margin, change_biases, max_seconds)
    x = np.array(network.space.array(profile), dtype=np.float64)
    with blas_threads(0):
        if certificate is None:
            equilibria = _equilibria(network, x, stored_entries(network), change_biases)
            if objective == "sparse":
                point = equilibria.sparsest()
                how = "the least sum of absolute changes"
                return _finished(on_support(equilibria, point), point, None, how)
            how = "the least change in the Frobenius norm"
            return _finished(equilibria, equilibria.start, None, how)
        return _certified(network, x, certificate, objective, margin, change_biases, max_seconds)


def _check_options(certificate: Any, objective: Any, margin: Any, change_biases: Any, max_seconds: Any) -> None:
    if certificate is not None:
        check_choice("certificate", certificate, CERTIFICATES)
    check_choice("objective", objective, OBJECTIVES)
    if margin is not None:
        check_positive("margin", margin)
        if certificate is None:
            raise OptionError(f"margin={margin!r} belongs to a certificate; name one of {', '.join(CERTIFICATES)}")
    if not isinstance(change_biases, bool):
        raise OptionError(f"change_biases must be True or False; got {change_biases!r}")
    if max_seconds is not None:
        check_positive("max_seconds", max_seconds)


def _equilibria(network: Network, x: Array, entries: Entries, change_biases: bool) -> EquilibriumSet:
    layers = {
        player: layer_preimage(player, network.activations[player], x[where])
        for player, where in network.space.slices.items()
    }
    found = EquilibriumSet(network, entries, x, layers, entries.free, np.full(len(x), change_biases))
    found.check_frozen()
    return found


def _certified(
    network: Network,
    x: Array,
    certificate: str,
    objective: str,
    margin: float | None,
    change_biases: bool,
    max_seconds: float | None,
) -> Design:
    for player, activation in network.activations.items():
        if (player, player) in network.weights and not activation.separable:
            raise NotApplicableError(
                f"player {player} feeds itself and its activation {activation.name!r} couples its neurons: such a "
                "network has a game, and a certificate, for symmetric weights only, which design does not look for"
            )
    allowed = certificate_set(network, certificate, margin)
    equilibria = _equilibria(network, x, allowed.entries, change_biases)
    tries: list[tuple[float | None, Norms | None]] = [(margin, None)]
    if not change_biases and isinstance(allowed, SpectralBalls) and not allowed.centre:
        check_ring(equilibria, allowed)
        # What the template's norms leave too little room for, the norms that the profile needs may have.
        tries.append((margin, needed_norms(equilibria)))
    failures: list[InfeasibleError] = []
    for asked, norms in tries:
        chosen = certificate_set(network, certificate, asked, norms)
        try:
            if objective == "sparse":
                return _sparse(equilibria, chosen, max_seconds)
            return _within(equilibria, chosen, max_seconds)
        except InfeasibleError as error:
            failures.append(error)
    raise failures[-1]


def _sparse(equilibria: EquilibriumSet, allowed: CertificateSet, max_seconds: float | None) -> Design:
    """Return the design with the least sum of absolute changes under a certificate's set of weights."""
    how = "the least sum of absolute changes under the certificate's bounds, by a convex program"
    point = sparse_certified(equilibria, allowed, max_seconds)
    try:
        return _finished(on_support(equilibria, point), point, allowed, how)
    except InfeasibleError:
        # An interior point meets the bounds up to its own tolerance: those of a smaller set are met well enough.
        point = sparse_certified(equilibria, allowed.inner(), max_seconds)
        return _finished(on_support(equilibria, point), point, allowed, how)


def _within(equilibria: EquilibriumSet, allowed: CertificateSet, max_seconds: float | None) -> Design:
    """Return the design nearest to the template under a certificate's set of weights."""
    found = nearest_common_point(equilibria.start, equilibria.project, allowed.project, max_seconds)
    if found.converged:
        how = "the least change in the Frobenius norm under the certificate's bounds"
        return _finished(equilibria, found.point, allowed, how, found.reason)
    # Biases that may change make up for any weights, those inside the set included.
    inside = equilibria.free_biases.all()
    point = pulled_inside(equilibria, allowed, found.point) if inside else found.point
    return _finished(equilibria, point, allowed, "a change that need not be the least", found.reason)


def _finished(
    equilibria: EquilibriumSet, point: Parameters, allowed: CertificateSet | None, how: str, reason: str = ""
) -> Design:
    """Return the design of the parameters, the equilibrium imposed once more and the certificate verified."""
    network, point, residual = imposed(equilibria, point)
    verdicts = {} if allowed is None else _verified(network, allowed, reason, bool(equilibria.free_biases.all()))
    moved = point - equilibria.start
    changed = int(np.count_nonzero(moved.weights) + np.count_nonzero(moved.biases))
    message = f"the profile is an equilibrium of the designed network: {how}" + (f" ({reason})" if reason else "")
    return Design(network, equilibria.profile, residual, moved.norm, changed, verdicts, message)


def _verified(network: Network, allowed: CertificateSet, reason: str, all_biases: bool) -> dict[str, Verdict]:
    """Return the certificate's verdicts on the designed network, or raise InfeasibleError unless the first is proved.

    Nothing is taken from the search: the verdicts are what anyone gets for the network.
    """
    name, outcome = allowed.verdicts[0], ""
    try:
        game = network.game()
        verdicts = {each: verdict_of(each, game) for each in allowed.verdicts}
        verdict = verdicts[name]
        if verdict.proved and (verdict.margin or 0.0) >= allowed.margin * (1 - _SHORTFALL):
            return verdicts
        if verdict.method == "not applicable":
            raise NotApplicableError(f"{name} is {verdict.statement}")
        outcome = str(verdict)
    except InputError as error:
        outcome = f"they have no game: {error}"
    zero = np.zeros(len(allowed.entries.rows))
    hint = "; with change_biases=True there are some" if not all_biases and not allowed.project(zero).any() else ""
    raise InfeasibleError(
        f"no weights were found under which the profile is an equilibrium and {name} is proved with margin "
        f"{allowed.margin:g}: {reason or 'the search ended'}; of the last ones tried: {outcome}{hint}"
    )
