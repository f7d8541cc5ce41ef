"""The compiled passes over sparse networks, and the steps of schemes on them.

With Numba these functions are compiled and kept on disk; without it they are ordinary functions, which serve to check
them.

A map is given by the CSR arrays ``indptr``, ``indices`` and ``data`` of its matrix W, its ``bias``, and the ``pieces``
(P, 4) in which its players answer: for each its first player, the one after its last, its activation's form, and the
row of ``parameters`` (2, rows, PIECE) with those of its players. ``order`` (n,) has the places of each piece's players
in the order of their numbers of entries, since rows of one length are multiplied faster one after the other; or nothing
where they stand as well as they are. ``work`` (PIECE,) and ``answers`` (1, PIECE) are room
for one piece, which stays in the first cache while it is multiplied, answers and is compared. Iterates are arrays
(n,).

Indices are made unsigned: a compiler that need not look whether they are negative makes the products a quarter faster.
A loop that sums writes nothing: whether it takes several terms at a time would hang on how near in memory that lies to
what it reads, and so would the last digits of a result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_kernels import respond
from nngames.networks.compiled.fused_scalars import compiled
from nngames.networks.compiled.maps import RECURRENCE

_plain = compiled()
#: Sums in any order, so that they can be made several terms at a time; NaN and infinities keep their meaning.
_inlined_sum = compiled(fastmath={"reassoc", "contract"}, forceinline=True)


@_inlined_sum
def _drive(
    indptr: Array, indices: Array, data: Array, bias: Array, x: Array, first: int, last: int, order: Array, v: Array
) -> None:
    """Write the pre-activations of the players from ``first`` on and before ``last`` to the front of v."""
    if len(order):
        for place in range(first, last):
            at = np.uint64(order[np.uint64(place)])
            i = np.uint64(first) + at
            total, k, end = bias[i], np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])
            while k < end:
                total += data[k] * x[np.uint32(indices[k])]
                k += np.uint64(1)
            v[at] = total
        return
    k = np.uint64(indptr[first])
    for j in range(np.uint64(last - first)):
        i = np.uint64(first) + j
        total, end = bias[i], np.uint64(indptr[i + np.uint64(1)])
        while k < end:
            total += data[k] * x[np.uint32(indices[k])]
            k += np.uint64(1)
        v[j] = total


@_inlined_sum
def _settle(answers: Array, x: Array, first: int, last: int) -> None:
    """Write a piece's answers into x."""
    for j in range(np.uint64(last - first)):
        x[np.uint64(first) + j] = answers[0, j]


@_inlined_sum
def _take(answers: Array, x: Array, first: int, last: int, image: Array) -> float:
    """Write a piece's answers into ``image``; return the square of their distance from x."""
    total = 0.0
    for j in range(np.uint64(last - first)):
        difference = answers[0, j] - x[np.uint64(first) + j]
        total += difference * difference
    _settle(answers, image, first, last)
    return total


@_inlined_sum
def _compare(answers: Array, x: Array, g: Array, first: int, last: int, new: Array, sums: Array) -> None:
    """Write a piece's displacements into ``new``; add |new|^2, <g, g - new> and |g - new|^2 to the sums."""
    square, curvature, change = 0.0, 0.0, 0.0
    for j in range(np.uint64(last - first)):
        i = np.uint64(first) + j
        displacement, before = answers[0, j] - x[i], g[i]
        square += displacement * displacement
        curvature += (before - displacement) * before
        change += (before - displacement) * (before - displacement)
    sums[0] += square
    sums[1] += curvature
    sums[2] += change
    for j in range(np.uint64(last - first)):
        i = np.uint64(first) + j
        new[i] = answers[0, j] - x[i]


@_plain
def evaluate(
    indptr: Array,
    indices: Array,
    data: Array,
    bias: Array,
    parameters: Array,
    pieces: Array,
    order: Array,
    work: Array,
    answers: Array,
    x: Array,
    image: Array,
) -> float:
    """Write R(x) into ``image`` and return |R(x) - x|; where the image is x itself, R is a sweep of the pieces."""
    total = 0.0
    for piece in range(len(pieces)):
        first, last = pieces[piece, 0], pieces[piece, 1]
        _drive(indptr, indices, data, bias, x, first, last, order, work)
        respond(pieces[piece, 2], parameters, pieces[piece, 3], last - first, work, answers, 0)
        total += _take(answers, x, first, last, image)
    return math.sqrt(total)


@_plain
def _displace(
    indptr: Array,
    indices: Array,
    data: Array,
    bias: Array,
    parameters: Array,
    pieces: Array,
    order: Array,
    work: Array,
    answers: Array,
    x: Array,
    g: Array,
    new: Array,
    sums: Array,
    in_turn: bool,
) -> None:
    """Write R(x) - x into ``new``, and |new|^2, <g, g - new> and |g - new|^2 into the sums.

    Where the pieces answer ``in_turn``, each to what those before have just answered, R is one such sweep, and x
    becomes R(x).
    """
    sums[0] = sums[1] = sums[2] = 0.0
    for piece in range(len(pieces)):
        first, last = pieces[piece, 0], pieces[piece, 1]
        _drive(indptr, indices, data, bias, x, first, last, order, work)
        respond(pieces[piece, 2], parameters, pieces[piece, 3], last - first, work, answers, 0)
        _compare(answers, x, g, first, last, new, sums)
        if in_turn:
            _settle(answers, x, first, last)


@_plain
def relaxed_steps(
    indptr: Array,
    indices: Array,
    data: Array,
    bias: Array,
    parameters: Array,
    pieces: Array,
    order: Array,
    work: Array,
    answers: Array,
    x: Array,
    image: Array,
    anchor: Array,
    numbers: Array,
    counts: Array,
    residuals: Array,
    displacements: Array,
) -> int:
    """Make steps x + lambda (R(x) - x); all but the map's arguments are those of ``fused_kernels.relaxed_steps``."""
    relaxation, target, bound, scale = numbers[0], numbers[1], numbers[2], numbers[4]
    most, iteration, watched = counts[0], counts[1], counts[2] != 0
    columns = len(x)
    for k in range(most):
        iteration += 1
        for j in range(columns):
            # With relaxation 1 the image itself, to the last bit.
            x[j] = image[j] if relaxation == 1.0 else x[j] + relaxation * (image[j] - x[j])
        residual = evaluate(indptr, indices, data, bias, parameters, pieces, order, work, answers, x, image)
        residuals[k] = residual
        if k < len(displacements):
            for j in range(columns):
                displacements[k, j] = image[j] - x[j]
        if not target < residual <= bound or (k + 1 == len(displacements) and residual > numbers[5]):
            return k + 1
        if watched and k + 1 < most:
            reference = numbers[3]
            near = RECURRENCE * max(reference, scale)
            if reference < math.inf and residual > 1e3 * target and abs(residual - reference) <= near:
                return k + 1
            if iteration >= counts[4]:
                for j in range(columns):
                    anchor[j] = x[j]
                numbers[3] = residual
                counts[3] = iteration
                counts[4] = 2 * iteration
    return most


@_plain
def spectral_steps(
    indptr: Array,
    indices: Array,
    data: Array,
    bias: Array,
    parameters: Array,
    pieces: Array,
    order: Array,
    work: Array,
    answers: Array,
    x: Array,
    room: Array,
    g: Array,
    spare: Array,
    other: Array,
    rules: Array,
    numbers: Array,
    counts: Array,
    residuals: Array,
    evaluations: Array,
) -> int:
    """Make spectral steps from x with g = R(x) - x, as ``solvers.spectral`` defines them; return how many were made.

    Where the pieces answer in turn, each iterate is the sweep's result: x stands for x + g in all steps. It ends after
    ``most`` steps, or where the residual is at most ``target``, above ``bound`` or not finite.

    Parameters
    ----------
    indptr, indices, data, bias, parameters, pieces, order, work, answers
        The map and its work space.
    x : ndarray (n,)
        Left whole, unless it is ``room`` too.
    room, g, spare, other : ndarray (n,)
        All overwritten: the last iterate and its displacement are ``room`` and g, or ``spare`` and ``other``.
    rules : ndarray (6,)
        The constants of the safeguard: the limits of a step and of a residual, the decay, the largest and the smallest
        relaxation; and the ratio of the two step lengths below which the short one is taken.
    numbers : ndarray (7,)
        target, bound, the first residual and growth; and, also results, the best residual, the relaxation and the
        length of the next step.
    counts : ndarray (5,)
        The most steps; and results: the evaluations and the accepted steps, to which it adds, and whether the last
        iterate is in ``spare``; and whether the pieces answer in turn.
    residuals, evaluations : ndarray (at least most,)
        Those of the new states.
    """
    target, bound, initial, growth = numbers[0], numbers[1], numbers[2], numbers[3]
    best, relaxation, length = numbers[4], numbers[5], numbers[6]
    most, in_turn, columns, sums = counts[0], counts[4] != 0, len(x), np.empty(3)
    behind = 1.0 if in_turn else 0.0
    square = 0.0
    for j in range(columns):
        square += g[j] * g[j]
    residual = math.sqrt(square)
    made = 0
    while made < most:
        most_residual = rules[1] * initial * (counts[2] + 1.0) ** -(1.0 + rules[2])
        proposed = residual <= most_residual and length <= rules[0]
        accepted = False
        while not accepted:
            used = length if proposed else relaxation
            for j in range(columns):
                spare[j] = x[j] + (used - behind) * g[j]
            _displace(
                indptr, indices, data, bias, parameters, pieces, order, work, answers, spare, g, other, sums, in_turn
            )
            following = math.sqrt(sums[0])
            counts[1] += 1
            if proposed:
                accepted = following < math.inf and following <= growth * best
                counts[2] += accepted
                proposed = False
            else:
                accepted = True
                relaxation = min(2 * relaxation, rules[3]) if following <= residual else max(relaxation / 2, rules[4])
        best = min(best, following)
        length = 1.0
        if sums[1] > 0.0 and sums[2] > 0.0:
            long, short = used * residual * residual / sums[1], used * sums[1] / sums[2]
            length = short if short < rules[5] * long else long
        x, spare, room = spare, room, spare
        g, other = other, g
        counts[3] = 1 - counts[3]
        residual = following
        residuals[made], evaluations[made] = residual, counts[1]
        made += 1
        if not target < residual <= bound:
            break
    numbers[4], numbers[5], numbers[6] = best, relaxation, length
    return made


def signatures() -> list[tuple[Any, Any]]:
    """Return the kernels with their signatures in double precision; the map's arrays are only read."""
    from numba import float64, int32, int64, types, uint8

    places, entries = types.Array(int32, 1, "C", readonly=True), types.Array(float64, 1, "C", readonly=True)
    vector, matrix, stack, integers = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
    network = (places, places, entries, entries, stack, int64[:, ::1], uint8[::1], vector, matrix)
    return [
        (evaluate, (*network, vector, vector)),
        (relaxed_steps, (*network, *3 * (vector,), vector, integers, vector, matrix)),
        (spectral_steps, (*network, *5 * (vector,), vector, vector, integers, vector, integers)),
    ]
