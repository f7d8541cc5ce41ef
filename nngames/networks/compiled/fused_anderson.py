"""The compiled steps of Anderson acceleration of type II with its safeguard, as ``anderson_steps`` defines them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_kernels import distance, evaluate
from nngames.networks.compiled.fused_scalars import compiled
from nngames.networks.compiled.maps import GRAM_INDEPENDENCE

_plain = compiled()
_summing = compiled(fastmath={"reassoc", "contract"}, forceinline=True)


@_summing
def _product(stack: Array, first: int, x: Array) -> float:
    """Return the inner product of an array of a stack with x."""
    total = 0.0
    rows, columns = x.shape
    for i in range(rows):
        for j in range(columns):
            total += stack[first, i, j] * x[i, j]
    return total


@_plain
def solve_gram(gram: Array, head: int, right: Array, triangle: Array, pivots: Array) -> bool:
    """Replace ``right`` by the solution of the system with gram[head:, head:], L D L' being its factorisation.

    False, with ``right`` in pieces, where a row depends on those before it.
    """
    n = len(right)
    for i in range(n):
        pivot = gram[head + i, head + i]
        for j in range(i):
            product = gram[head + i, head + j]
            for k in range(j):
                product -= triangle[i, k] * triangle[j, k] * pivots[k]
            triangle[i, j] = product / pivots[j]
            pivot -= product * triangle[i, j]
            right[i] -= triangle[i, j] * right[j]
        if not pivot > GRAM_INDEPENDENCE * gram[head + i, head + i]:
            return False
        pivots[i] = pivot
    for i in range(n - 1, -1, -1):
        right[i] /= pivots[i]
        for k in range(i + 1, n):
            right[i] -= triangle[k, i] * right[k]
    return True


@_plain
def _remember(
    moves: Array, changes: Array, gram: Array, counts: Array, before: Array, after: Array, old: Array, new: Array
) -> None:
    """Put after - before and new - old in front of the differences, whose head and number ``counts`` holds."""
    rows, columns = before.shape
    head, count, most = counts[3], counts[4], counts[5]
    if head == 0:
        # The room before the newest is used up: the block moves to the end.
        kept = min(count, most - 1)
        head = len(moves) - kept
        for r in range(kept - 1, -1, -1):
            for i in range(rows):
                for j in range(columns):
                    moves[head + r, i, j] = moves[r, i, j]
                    changes[head + r, i, j] = changes[r, i, j]
            for s in range(kept - 1, -1, -1):
                gram[head + r, head + s] = gram[r, s]
    head -= 1
    count = min(count + 1, most)
    for i in range(rows):
        for j in range(columns):
            moves[head, i, j] = after[i, j] - before[i, j]
            changes[head, i, j] = new[i, j] - old[i, j]
    for r in range(count):
        gram[head, head + r] = gram[head + r, head] = _product(changes, head + r, changes[head])
    counts[3], counts[4] = head, count


@_plain
def anderson_steps(
    weights: Array,
    biases: Array,
    parameters: Array,
    stages: Array,
    outputs: Array,
    work: Array,
    blocks: Array,
    x: Array,
    g: Array,
    orbit: Array,
    orbit_displacement: Array,
    moves: Array,
    changes: Array,
    gram: Array,
    rules: Array,
    numbers: Array,
    counts: Array,
    residuals: Array,
    evaluations: Array,
) -> int:
    """Make steps of the scheme from x with g = R(x) - x, both overwritten; return how many were made.

    It ends where a Gram matrix is too ill-conditioned, before that step; after ``most`` steps; or where the residual is
    at most ``target``, above ``bound`` or not finite.

    Parameters
    ----------
    weights, biases, parameters, stages, outputs, work, blocks
        The map and its work space.
    x, g : ndarray (1 or L, n)
    orbit, orbit_displacement : ndarray (1 or L, n)
        The point p of the plain orbit and R(p) - p, overwritten; of no meaning while it goes on from x.
    moves, changes : ndarray (2 m, 1 or L, n)
        The differences of iterates and displacements, newest first from a head on; m is the memory.
    gram : ndarray (2 m, 2 m)
        That of the changes.
    rules : ndarray (9,)
        The constants of the safeguard: the limits of a step and of a residual, the decay, the largest and the smallest
        relaxation, the factor of a step that pays, the smallest mixing, the limit of the orbit's residual, the factor
        of a quick pass.
    numbers : ndarray (10,)
        target, bound, the first residual, growth and the largest mixing; and, also results, the best residual, the
        relaxation, the mixing, the residual at which the present turn began and the lead over the orbit.
    counts : ndarray (11,)
        The most steps, the length of a turn and m, at 0, 6 and 5; and, also results, the evaluations and the accepted
        steps at 1 and 2, the head and the number of differences at 3 and 4, the accelerated steps of the turn and the
        plain ones left at 7 and 8, whether the orbit goes on from x and whether the next pass is its at 9 and 10.
    residuals, evaluations : ndarray (at least most,)
        Those of the new states.
    """
    target, bound, initial, growth, most_mixing = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    best, relaxation, mixing = numbers[5], numbers[6], numbers[7]
    most, length = counts[0], counts[6]
    keeps_orbit = most_mixing == 1.0
    rows, columns = x.shape
    step, trial, image, new = np.empty_like(x), np.empty_like(x), np.empty_like(x), np.empty_like(x)
    zero = np.zeros_like(x)
    triangle, pivots, gamma = np.empty((counts[5], counts[5])), np.empty(counts[5]), np.empty(counts[5])
    residual = distance(g, zero)
    made = 0
    while made < most:
        if counts[10]:
            # A pass of the plain orbit.
            joined = counts[9] == 1
            for i in range(rows):
                for j in range(columns):
                    trial[i, j] = x[i, j] + g[i, j] if joined else orbit[i, j] + orbit_displacement[i, j]
            evaluate(weights, biases, parameters, stages, outputs, work, blocks, trial, image)
            following = distance(image, trial)
            counts[1] += 1
            counts[4] = 0
            numbers[9] -= 1
            if joined:
                moves_on = following < math.inf and following <= growth * best
            else:
                most_residual = rules[1] * initial * (counts[2] + 1.0) ** -(1.0 + rules[2])
                moves_on = following < best and following <= most_residual
            if moves_on:
                if not joined:
                    counts[2] += 1
                counts[9] = 1
                best = min(best, following)
                residual = following
                for i in range(rows):
                    for j in range(columns):
                        x[i, j], g[i, j] = trial[i, j], image[i, j] - trial[i, j]
            elif following < math.inf and following <= rules[7] * initial:
                counts[9] = 0
                for i in range(rows):
                    for j in range(columns):
                        orbit[i, j], orbit_displacement[i, j] = trial[i, j], image[i, j] - trial[i, j]
            else:
                counts[9], numbers[9] = 1, 0.0
            counts[10] = numbers[9] > 0
            residuals[made], evaluations[made] = residual, counts[1]
            made += 1
            if not target < residual <= bound:
                break
            continue
        head, count = counts[3], counts[4]
        plain = keeps_orbit and counts[9] == 1 and mixing == 1.0 and (counts[8] > 0 or count == 0)
        passes, lowered = counts[1], best
        for i in range(rows):
            for j in range(columns):
                step[i, j] = mixing * g[i, j]
        if counts[8] == 0 and count > 0:
            for r in range(count):
                gamma[r] = _product(changes, head + r, g)
            if not solve_gram(gram, head, gamma[:count], triangle, pivots):
                break
            for r in range(count):
                for i in range(rows):
                    for j in range(columns):
                        step[i, j] -= gamma[r] * (moves[head + r, i, j] + mixing * changes[head + r, i, j])
        accepted = False
        most_residual = rules[1] * initial * (counts[2] + 1.0) ** -(1.0 + rules[2])
        if residual <= most_residual and distance(step, zero) <= rules[0] * residual:
            for i in range(rows):
                for j in range(columns):
                    trial[i, j] = x[i, j] + step[i, j]
            evaluate(weights, biases, parameters, stages, outputs, work, blocks, trial, image)
            following = distance(image, trial)
            counts[1] += 1
            accepted = following < math.inf and following <= growth * best
        if accepted:
            counts[2] += 1
        else:
            if plain and counts[1] > passes:
                if following < math.inf and following <= rules[7] * initial:
                    counts[9] = 0
                    for i in range(rows):
                        for j in range(columns):
                            orbit[i, j], orbit_displacement[i, j] = trial[i, j], image[i, j] - trial[i, j]
                else:
                    numbers[9] = 0.0
            for i in range(rows):
                for j in range(columns):
                    trial[i, j] = x[i, j] + relaxation * g[i, j]
            evaluate(weights, biases, parameters, stages, outputs, work, blocks, trial, image)
            following = distance(image, trial)
            counts[1] += 1
            relaxation = min(2 * relaxation, rules[3]) if following <= residual else max(relaxation / 2, rules[4])
        best = min(best, following)
        for i in range(rows):
            for j in range(columns):
                new[i, j] = image[i, j] - trial[i, j]
        learns = True
        if keeps_orbit:
            spent = counts[1] - passes
            if plain and (spent == 2 or accepted):
                spent -= 1
            numbers[9] += spent
            if spent > 0 and accepted and 0.0 < following < lowered:
                numbers[9] -= math.log(lowered / following) / math.log(1.0 / rules[5])
            counts[10] = numbers[9] >= max(1, counts[5])
        if not accepted:
            counts[4] = counts[7] = counts[8] = 0
            numbers[8] = following
            mixing = max(mixing / 2, rules[6])
        else:
            mixing = min(2 * mixing, most_mixing)
            if keeps_orbit:
                counts[8] = max(0, counts[8] - 1) if following <= rules[8] * residual else 0
            elif counts[8] > 0:
                counts[8] -= 1
                if counts[8] == 0:
                    # The plain steps are over: acceleration begins anew, without this difference.
                    counts[4] = counts[7] = 0
                    numbers[8] = following
                    learns = False
            else:
                counts[7] += 1
                if counts[7] > length > 0:
                    paid = following <= rules[5] ** counts[7] * numbers[8]
                    counts[7] = 0
                    counts[8] = 0 if paid else length + 1
                    numbers[8] = following
        if learns and counts[5] > 0:
            _remember(moves, changes, gram, counts, x, trial, g, new)
        for i in range(rows):
            for j in range(columns):
                x[i, j], g[i, j] = trial[i, j], new[i, j]
        residual = following
        residuals[made], evaluations[made] = residual, counts[1]
        made += 1
        if not target < residual <= bound:
            break
    numbers[5], numbers[6], numbers[7] = best, relaxation, mixing
    return made


def signatures() -> list[tuple[Any, Any]]:
    """Return the kernel with its signature in double precision."""
    from numba import float64, int64

    vector, matrix, stack, integers = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
    network = (float64[:, :, :, ::1], stack, stack, int64[:, ::1], matrix, vector, matrix)
    return [
        (
            anderson_steps,
            (*network, *4 * (matrix,), stack, stack, matrix, vector, vector, integers, vector, integers),
        )
    ]
