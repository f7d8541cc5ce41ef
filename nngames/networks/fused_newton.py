"""The compiled steps of Newton's method on small rings of dense layers: Jacobian, factors, line search and updates.

See ``fused_kernels`` for how a map is given, and ``solvers/newton`` for the method.
"""

from __future__ import annotations

import math
from typing import Any

from nngames.core.profiles import Array
from nngames.networks.forms import (
    AFFINE,
    ARCTAN,
    CLIP,
    IDENTITY,
    RECTIFIED,
    RISE,
    SIGMOID,
    SOFT_THRESHOLD,
    SOFTSIGN,
    TANH,
    TWO_SLOPES,
)
from nngames.networks.fused_kernels import distance, drive, evaluate, respond
from nngames.networks.fused_scalars import compiled, hyperbolic_tangent

_plain = compiled()
#: Sums in any order.
_summed = compiled(fastmath={"reassoc", "contract"})


@_plain
def slope(form: int, a: float, b: float, v: float) -> float:
    """Return the slope of a form at v, at its kinks as ``Activation.derivative`` does."""
    if form == IDENTITY:
        return 1.0
    if form == AFFINE:
        return a
    if form == RECTIFIED:
        return a if a * v + b > 0.0 else 0.0
    if form == TWO_SLOPES:
        return a if v < 0.0 else 1.0
    if form == TANH:
        t = hyperbolic_tangent(v)
        return a * (1.0 - t) * (1.0 + t)
    if form == SIGMOID:
        e = math.exp(-abs(v))
        return e / ((1.0 + e) * (1.0 + e))
    if form == CLIP:
        return 1.0 if a < v < b else 0.0
    if form == RISE:
        return 1.0 / a if abs(v) < 0.5 * a else 0.0
    if form == SOFTSIGN:
        return 1.0 / ((1.0 + abs(v)) * (1.0 + abs(v)))
    if form == SOFT_THRESHOLD:
        return 1.0 if abs(v) > a else 0.0
    if form == ARCTAN:
        return 1.0 / (1.0 + v * v)
    return 1.0 if v > 0.0 else a * math.exp(v)


@_summed
def system(
    weights: Array,
    biases: Array,
    parameters: Array,
    stages: Array,
    outputs: Array,
    work: Array,
    blocks: Array,
    x: Array,
    products: Array,
    matrix: Array,
) -> None:
    """Write Id - J at x into ``matrix``; ``products`` (2, rows, n) is room for those of the first layers."""
    layers, n = len(stages), x.shape[1]
    for j in range(n):
        outputs[layers - 1, j] = x[0, j]
    for layer in range(layers):
        rows, columns, form = stages[layer, 0], stages[layer, 1], stages[layer, 3]
        drive(weights, biases, layer, rows, columns, outputs, stages[layer, 2], blocks)
        here, before = layer % 2, (layer + 1) % 2
        for i in range(rows):
            share = slope(form, parameters[0, layer, i], parameters[1, layer, i], work[i])
            if layer == 0:
                for j in range(n):
                    products[here, i, j] = share * weights[layer, i // 4, i % 4, j]
                continue
            for j in range(n):
                products[here, i, j] = 0.0
            if share == 0.0:
                continue
            for k in range(columns):
                weight = share * weights[layer, i // 4, i % 4, k]
                for j in range(n):
                    products[here, i, j] += weight * products[before, k, j]
        respond(form, parameters, layer, rows, work, outputs, layer)
    last = (layers - 1) % 2
    for i in range(n):
        for j in range(n):
            matrix[i, j] = -products[last, i, j]
        matrix[i, i] += 1.0


@_summed
def factorise(matrix: Array, pivots: Array) -> bool:
    """Replace the matrix by its triangular factors, with partial pivoting; return whether it is regular and finite."""
    n = len(matrix)
    for k in range(n):
        largest, pivot = 0.0, k
        for i in range(k, n):
            size = abs(matrix[i, k])
            if not size < math.inf:
                return False
            if size > largest:
                largest, pivot = size, i
        if largest == 0.0:
            return False
        pivots[k] = pivot
        if pivot != k:
            for j in range(n):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
        for i in range(k + 1, n):
            factor = matrix[i, k] / matrix[k, k]
            matrix[i, k] = factor
            if factor != 0.0:
                for j in range(k + 1, n):
                    matrix[i, j] -= factor * matrix[k, j]
    return True


@_summed
def substitute(matrix: Array, pivots: Array, g: Array, d: Array) -> None:
    """Write the solution for the right-hand side g (1, n) into d (1, n)."""
    n = len(matrix)
    for i in range(n):
        d[0, i] = g[0, i]
    for i in range(n):
        pivot = pivots[i]
        if pivot != i:
            d[0, i], d[0, pivot] = d[0, pivot], d[0, i]
    for i in range(n):
        total = d[0, i]
        for j in range(i):
            total -= matrix[i, j] * d[0, j]
        d[0, i] = total
    for back in range(n):
        i = n - 1 - back
        total = d[0, i]
        for j in range(i + 1, n):
            total -= matrix[i, j] * d[0, j]
        d[0, i] = total / matrix[i, i]


@_summed
def update(steps: Array, held: int, d: Array) -> float:
    """Let d, the solution with the factors, be that with Broyden's updates for the steps; return its square."""
    n = d.shape[1]
    for m in range(held):
        inner, square, total = 0.0, 0.0, 0.0
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
    products: Array,
    matrix: Array,
    steps: Array,
    room: Array,
    pivots: Array,
    rules: Array,
    numbers: Array,
    counts: Array,
    residuals: Array,
    evaluations: Array,
) -> int:
    """Make Newton's steps from x with R(x) - x = ``g``, both overwritten; return how many were made.

    It ends after ``most`` steps, where the residual is at most ``target`` or above ``bound``, and before a step for
    which there is no direction that succeeds: of that one nothing remains.

    Parameters
    ----------
    weights, biases, parameters, stages, outputs, work, blocks
        The map and its work space.
    x, g : ndarray (1, n)
    products, matrix, steps, room : ndarray (2, rows, n), (n, n), (most updates, n), (3, 1, n)
        The last factors, the steps made with them, and room.
    pivots : ndarray (n,)
    rules : ndarray (6,)
        The limits of the safeguard on steps and residuals and its decay, the descent asked for, the shortest share, and
        the factor by which the residual has to fall in the first step with factors that are used again.
    numbers : ndarray (5,)
        target, bound, the first residual, the smallest so far (also a result), and the factor by which it has to fall
        in the other steps with the same factors.
    counts : ndarray (4,)
        The most steps, and as results too the passes, the accepted steps, and those made with the last factors.
    residuals, evaluations : ndarray (at least most,)
    """
    n = x.shape[1]
    step_limit, residual_limit, decay, descent, shortest, first = rules
    target, bound, initial, reuse = numbers[0], numbers[1], numbers[2], numbers[4]
    d, trial, image = room[0], room[1], room[2]
    residual = 0.0
    for j in range(n):
        residual += g[0, j] * g[0, j]
    residual = math.sqrt(residual)
    for k in range(counts[0]):
        passes, held, found = counts[1], counts[3], False
        licence = residual <= residual_limit * initial * (counts[2] + 1.0) ** -(1.0 + decay)
        fell = 0.0
        if licence and 0 < held < len(steps):
            substitute(matrix, pivots, g, d)
            if math.sqrt(update(steps, held, d)) <= step_limit * residual:
                for j in range(n):
                    trial[0, j] = x[0, j] + d[0, j]
                evaluate(weights, biases, parameters, stages, outputs, work, blocks, trial, image)
                fell = distance(image, trial)
                passes += 1
                found = fell <= reuse * residual
        if found:
            held += 1
        elif licence:
            held = 0
            system(weights, biases, parameters, stages, outputs, work, blocks, x, products, matrix)
            passes += n + 1
            if factorise(matrix, pivots):
                substitute(matrix, pivots, g, d)
                if math.sqrt(update(steps, 0, d)) <= step_limit * residual:
                    share = 1.0
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
            counts[3] = 0
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
        numbers[3] = min(numbers[3], residual)
        if not target < residual <= bound:
            return k + 1
    return counts[0]


def signatures() -> list[tuple[Any, Any]]:
    """Return the kernel with its signature in double precision."""
    from numba import float64, int64

    vector, matrix, stack, integers = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
    network = (float64[:, :, :, ::1], stack, stack, int64[:, ::1], matrix, vector, matrix)
    room = (matrix, matrix, stack, matrix, matrix, stack, integers)
    return [(newton_steps, (*network, *room, vector, vector, integers, vector, integers))]
