"""The compiled steps of Newton's method on rings of dense layers: Jacobian, factors, line search and updates.

See ``fused_kernels`` for how a map is given, and ``solvers/newton`` for the method.
"""

from __future__ import annotations

import math
from typing import Any

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_kernels import distance, evaluate
from nngames.networks.compiled.fused_scalars import compiled
from nngames.networks.compiled.fused_systems import change, factors_at, solve, write_slopes

_plain = compiled()
#: Sums in any order.
_summed = compiled(fastmath={"reassoc", "contract"})


@_summed
def update(steps: Array, held: int, d: Array) -> float:
    """Let d, the solution with the factors, be that with Broyden's updates for the steps; return its square."""
    n = d.shape[1]
    for m in range(held):
        inner, square = 0.0, 0.0
        for j in range(n):
            inner += steps[m, j] * d[0, j]
            square += steps[m, j] * steps[m, j]
        share = inner / square
        for j in range(n):
            d[0, j] = d[0, j] / (1.0 - share) if m == held - 1 else d[0, j] + share * steps[m + 1, j]
    total = 0.0
    for j in range(n):
        total += d[0, j] * d[0, j]
    return total


@_plain
def newton_steps(
    weights: Array,
    biases: Array,
    parameters: Array,
    stages: Array,
    outputs: Array,
    work: Array,
    blocks: Array,
    x: Array,
    g: Array,
    zeros: Array,
    slopes: Array,
    places: Array,
    orders: Array,
    double: Array,
    double_bits: Array,
    single: Array,
    single_bits: Array,
    pivots: Array,
    steps: Array,
    room: Array,
    rules: Array,
    numbers: Array,
    counts: Array,
    residuals: Array,
    evaluations: Array,
) -> int:
    """Make Newton's steps from x with R(x) - x = ``g``, both overwritten; return how many were made.

    It ends after ``most`` steps, where the residual is at most ``target`` or above ``bound``, and before a step for
    which there is no direction that succeeds, or none in the precision asked for: of that one only passes remain.

    Parameters
    ----------
    weights, biases, parameters, stages, outputs, work, blocks
        The map and its work space.
    x, g : ndarray (1, n)
    zeros : ndarray (L, rows / 4, 4)
        Biases that are 0.
    slopes, places, orders, double, double_bits, single, single_bits, pivots
        The last factors, and room: see ``fused_systems``, in double and in single precision.
    steps, room : ndarray (most updates, n), (4, 1, n)
        The steps made with the last factors, and room.
    rules : ndarray (8,)
        The limits of the safeguard on steps and residuals and its decay, the descent asked for, the shortest share, the
        factor by which the residual has to fall in the first step with factors that are used again, the order from
        which on factors are in single precision, and what these may miss.
    numbers : ndarray (4,)
        target, bound, the first residual, and the factor by which it has to fall in the other steps with the same
        factors.
    counts : ndarray (7,)
        The most steps, and as results too the passes, the accepted steps, and those made with the last factors; whether
        these are in single precision, and whether others may be; and, a result, why there is no other step: 0 where
        none was tried, 1 where no direction was found, 2 where one failed. The passes are those for that step too, but
        not for a direction that was not found.
    residuals : ndarray (at least most,)
    evaluations : ndarray (at least most,)
        The residuals of the new states, and the passes up to each.
    """
    n, last = x.shape[1], len(stages) - 1
    step_limit, residual_limit, decay, descent, shortest, first = (
        rules[0],
        rules[1],
        rules[2],
        rules[3],
        rules[4],
        rules[5],
    )
    target, bound, initial, reuse = numbers[0], numbers[1], numbers[2], numbers[3]
    d, trial, image, missed = room[0], room[1], room[2], room[3]
    residual = 0.0
    for j in range(n):
        residual += g[0, j] * g[0, j]
    residual = math.sqrt(residual)
    for k in range(counts[0]):
        passes, held, found, failed = counts[1], counts[3], False, False
        licence = residual <= residual_limit * initial * (counts[2] + 1.0) ** -(1.0 + decay)
        fell = 0.0
        if licence and 0 < held < len(steps):
            if counts[4] != 0:
                solve(weights, zeros, stages, outputs, work, blocks, slopes, places, orders, single, pivots, g, d)
            else:
                solve(weights, zeros, stages, outputs, work, blocks, slopes, places, orders, double, pivots, g, d)
            if math.sqrt(update(steps, held, d)) <= step_limit * residual:
                for j in range(n):
                    trial[0, j] = x[0, j] + d[0, j]
                evaluate(weights, biases, parameters, stages, outputs, work, blocks, trial, image)
                fell = distance(image, trial)
                passes += 1
                found = fell <= reuse * residual
        again = passes
        if found:
            held += 1
        elif licence:
            held = 0
            write_slopes(weights, biases, parameters, stages, outputs, work, blocks, x, slopes, places, orders)
            passes += n + 1
            counts[4] = 1 if counts[5] != 0 and orders[last] >= rules[6] else 0
            if counts[4] != 0:
                passes += 1
                regular = factors_at(weights, slopes, places, orders, single, single_bits, pivots)
            else:
                regular = factors_at(weights, slopes, places, orders, double, double_bits, pivots)
            if regular and counts[4] != 0:
                # One step of iterative refinement, if what the factors miss says that it serves.
                solve(weights, zeros, stages, outputs, work, blocks, slopes, places, orders, single, pivots, g, trial)
                for j in range(n):
                    outputs[last, j] = trial[0, j]
                change(weights, zeros, stages, outputs, work, blocks, slopes)
                lost = 0.0
                for j in range(n):
                    missed[0, j] = g[0, j] - trial[0, j] + outputs[last, j]
                    lost += missed[0, j] * missed[0, j]
                regular = math.sqrt(lost) <= rules[7] * residual
                solve(weights, zeros, stages, outputs, work, blocks, slopes, places, orders, single, pivots, missed, d)
                for j in range(n):
                    d[0, j] += trial[0, j]
            elif regular:
                solve(weights, zeros, stages, outputs, work, blocks, slopes, places, orders, double, pivots, g, d)
            if regular and math.sqrt(update(steps, 0, d)) <= step_limit * residual:
                share, failed = 1.0, True
                while share >= shortest and not found:
                    for j in range(n):
                        trial[0, j] = x[0, j] + share * d[0, j]
                    evaluate(weights, biases, parameters, stages, outputs, work, blocks, trial, image)
                    fell = distance(image, trial)
                    passes += 1
                    found = fell <= (1.0 - descent * share) * residual
                    if found and share == 1.0 and fell <= first * residual:
                        held = 1
                    share /= 2.0
        if not found:
            counts[1], counts[3], counts[6] = passes if failed else again, 0, 2 if failed else 1
            return k
        if held > 0:
            for j in range(n):
                steps[held - 1, j] = d[0, j]
        for j in range(n):
            x[0, j] = trial[0, j]
            g[0, j] = image[0, j] - trial[0, j]
        residual = fell
        residuals[k], evaluations[k] = residual, passes
        counts[1], counts[3] = passes, held
        counts[2] += 1
        if not target < residual <= bound:
            return k + 1
    return counts[0]


def signatures() -> list[tuple[Any, Any]]:
    """Return the kernel with its signature in double precision."""
    from numba import float32, float64, int32, int64

    vector, matrix, stack, integers = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
    network = (float64[:, :, :, ::1], stack, stack, int64[:, ::1], matrix, vector, matrix)
    slopes = (stack, matrix, int64[:, ::1], integers)
    double = (matrix, int64[:, ::1])
    single = (float32[:, ::1], int32[:, ::1])
    room = (integers, matrix, stack)
    run = (vector, vector, integers, vector, integers)
    return [(newton_steps, (*network, matrix, matrix, *slopes, *double, *single, *room, *run))]
