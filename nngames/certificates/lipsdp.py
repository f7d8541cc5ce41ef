"""LipSDP: a Lipschitz constant of the composite map by a semidefinite program, verified apart from its solver.

A layer whose slopes are in [s, S] has <dr - s dv, T(S dv - dr)> >= 0 for every diagonal T >= 0, dv and dr differences
of its pre-activations and values; T = t I where it is not separable. With x_0 the input, v_l = W_l x_{l-1} and hidden
layers l < m, |W_m x_{m-1}|^2 <= rho |x_0|^2 for all differences if

    rho |x_0|^2 - |W_m x_{m-1}|^2 - 2 sum_l <x_l - s_l v_l, T_l (S_l v_l - x_l)>

is a nonnegative form in (x_0, ..., x_{m-1}) [fazlyab2019]. Only diagonal multipliers are valid: those that couple
neurons, as first proposed, are not [pauli2022].
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.certificates.figures import product, round_up
from nngames.certificates.stability_multipliers import solved
from nngames.core.bounds import symmetric_extremes
from nngames.core.exact import rational
from nngames.core.profiles import Array
from nngames.networks import Network

Slopes = list[tuple[float, float]]

_UNIT = 2.0**-53
#: The program is set up for up to this many coordinates of all layers; its time grows with the sixth power.
LIPSDP_ORDER = 40
# How much the square of the bound may be raised above the solver's optimum until it verifies.
_RAISES = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def lipsdp(network: Network) -> tuple[float, list[Array] | None] | None:
    """Return a Lipschitz constant of O and the verified multipliers of the hidden layers; None if none verifies.

    With rho = (constant / lip_m)^2 these multipliers make the form above nonnegative. They are None where they leave
    the range of floats.
    """
    order = network.ring_order or ()
    weights = [network.weights[p, k].dense for p, k in zip(order, (order[-1], *order[:-1]), strict=True)]
    slopes = [_slope_range(network.activations[p]) for p in order[:-1]]
    joint = [not network.activations[p].separable for p in order[:-1]]
    # Powers of two bring every entry below 1, so that no data are out of the solver's range.
    scales = [math.frexp(float(np.abs(w).max()))[1] for w in weights]
    shrunk = [np.ldexp(w, -scale) for w, scale in zip(weights, scales, strict=True)]
    if not all(np.array_equal(np.ldexp(w, scale), v) for w, scale, v in zip(shrunk, scales, weights, strict=True)):
        return None  # an entry underflows
    found = _solve(shrunk, slopes, joint)
    if found is None:
        return None
    square, multipliers = found
    bound = _verified(shrunk, slopes, multipliers, square)
    if bound is None:
        return None
    last = Fraction(network.activations[order[-1]].lipschitz)
    return round_up(product((last, Fraction(bound), Fraction(2) ** sum(scales)))), _unscaled(multipliers, scales)


def _unscaled(multipliers: list[Array], scales: list[int]) -> list[Array] | None:
    """Return the multipliers of W_l from those of W_l / 2^(s_l): times 4^(s_{l+1} + ... + s_m).

    The scaled network's x_l is 2^-(s_1 + ... + s_l) x_l, and its form that of the network over 4^(s_1 + ... + s_m).
    """
    powers = [2 * sum(scales[layer:]) for layer in range(1, len(scales))]
    with np.errstate(over="ignore", under="ignore"):
        found = [np.ldexp(t, power) for t, power in zip(multipliers, powers, strict=True)]
    exact = all(
        np.isfinite(new).all() and np.array_equal(np.ldexp(new, -power), t)
        for new, t, power in zip(found, multipliers, powers, strict=True)
    )
    return found if exact else None


def _slope_range(activation: Any) -> tuple[float, float]:
    return activation.slope_range if activation.gradient else (-activation.lipschitz, activation.lipschitz)


def _solve(weights: list[Array], slopes: Slopes, joint: list[bool]) -> tuple[float, list[Array]] | None:
    """Return the solver's least rho and its multipliers, whatever they are worth."""
    import cvxpy as cp

    sizes = [w.shape[1] for w in weights]
    square = cp.Variable(nonneg=True)
    multipliers = [cp.Variable(1 if whole else n, nonneg=True) for whole, n in zip(joint, sizes[1:], strict=True)]
    spread = [cp.diag(t + np.zeros(n)) for t, n in zip(multipliers, sizes[1:], strict=True)]
    form = _form(weights, slopes, square, spread)
    problem = cp.Problem(cp.Minimize(square), [(form + form.T) / 2 >> 1e-9 * np.eye(sum(sizes))])
    if not solved(problem) or square.value is None:
        return None
    values = [np.broadcast_to(np.maximum(t.value, 0.0), n) for t, n in zip(multipliers, sizes[1:], strict=True)]
    return float(square.value), [np.array(t) for t in values]


def _form(weights: list[Array], slopes: Slopes, square: Any, diagonals: list[Any]) -> Any:
    """Return the form's matrix, for CVXPY expressions or arrays, not symmetrised."""
    picks = _picks(weights)
    output = weights[-1] @ picks[-1]
    total = square * (picks[0].T @ picks[0]) - output.T @ output
    for w, (low, high), t, before, after in zip(weights, slopes, diagonals, picks[:-1], picks[1:], strict=False):
        v = w @ before
        total = total - 2 * (after - low * v).T @ t @ (high * v - after)
    return total


def _form_size(weights: list[Array], slopes: Slopes, square: float, multipliers: list[Array]) -> Array:
    """Return the sum of the magnitudes of the terms of every entry of the form."""
    picks = _picks(weights)
    output = np.abs(weights[-1]) @ picks[-1]
    total = square * (picks[0].T @ picks[0]) + output.T @ output
    for w, (low, high), t, before, after in zip(weights, slopes, multipliers, picks[:-1], picks[1:], strict=False):
        v = np.abs(w) @ before
        total = total + 2 * (after + abs(low) * v).T @ (t[:, None] * (abs(high) * v + after))
    return total


def _picks(weights: list[Array]) -> list[Array]:
    """Return the matrices that pick x_0, ..., x_{m-1} from their concatenation."""
    stops = np.cumsum([0, *(w.shape[1] for w in weights)])
    identity = np.eye(int(stops[-1]))
    return [identity[start:stop] for start, stop in itertools.pairwise(stops)]


def _verified(weights: list[Array], slopes: Slopes, multipliers: list[Array], square: float) -> float | None:
    """Return a proved bound on |W_m x_{m-1}| / |x_0| from multipliers and a rho above the solver's, or None."""
    order = sum(w.shape[1] for w in weights)
    for raised in _RAISES:
        rho = (max(square, 0.0) + 1e-12) * (1 + raised)
        matrix = _form(weights, slopes, rho, [np.diag(t) for t in multipliers])
        size = _form_size(weights, slopes, rho, multipliers)
        error = 1.1 * (4 * order + 40) * _UNIT * (size + size.T) / 2 + 1e-290
        least, _ = symmetric_extremes((matrix + matrix.T) / 2, error)
        if least.lower >= 0:
            return _root_up(rho)
    return None


def _root_up(square: float) -> float:
    root = math.sqrt(square)
    while rational(root) ** 2 < rational(square):
        root = math.nextafter(root, math.inf)
    return root
