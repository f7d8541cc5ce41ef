"""The compiled passes: small dense networks, and the steps of schemes on them, as loops over numbers.

With Numba these functions are compiled and kept on disk; without it they are ordinary functions, which serve to check
them.

A map is given by ``weights`` (L, rows / 4, 4, columns) and ``biases`` (L, rows / 4, 4), in blocks of four rows, which
load x once; ``parameters`` (2, L, rows), those of each coordinate's activation; and ``stages`` (L, 4): for each layer
its rows, its columns, the layer that it listens to and its activation's form. Iterates are arrays (L, n), or (1, n) for
the composite map, whose layers stand in the order of the ring; ``outputs`` (L, rows) is room for what they answer, and
``work`` (rows,), which ``blocks`` shows as (rows / 4, 4), for one pre-activation.

Nothing is sliced, for counting the references to a slice takes as long as a small product, and indices that a compiler
cannot prove nonnegative are kept out of inner loops, which it would otherwise not turn into loops over several numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_promises import KEPT, WATCHED, relaxed_fall
from nngames.networks.compiled.fused_scalars import compiled, exponential, hyperbolic_tangent
from nngames.networks.compiled.maps import FROM_BASE, LARGEST_MOVE, RECURRENCE, ROUNDINGS
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

#: Sums in any order, so that they can be made several terms at a time; NaN and infinities keep their meaning.
_inlined_sum = compiled(fastmath={"reassoc", "contract"}, forceinline=True)
#: Term by term as written.
_plain = compiled()


@_plain
def respond(form: int, parameters: Array, layer: int, rows: int, v: Array, out: Array, row: int) -> None:
    """Write the activations of a layer at ``v[:rows]`` into a row of ``out``."""
    if form == IDENTITY:
        for i in range(rows):
            out[row, i] = v[i]
    elif form == AFFINE:
        for i in range(rows):
            out[row, i] = parameters[0, layer, i] * v[i] + parameters[1, layer, i]
    elif form == RECTIFIED:
        for i in range(rows):
            line = parameters[0, layer, i] * v[i] + parameters[1, layer, i]
            out[row, i] = 0.0 if line <= 0.0 else line
    elif form == TWO_SLOPES:
        for i in range(rows):
            out[row, i] = (parameters[0, layer, i] if v[i] < 0.0 else 1.0) * v[i]
    elif form == TANH:
        for i in range(rows):
            out[row, i] = parameters[0, layer, i] * hyperbolic_tangent(v[i])
    elif form == SIGMOID:
        for i in range(rows):
            y = -abs(v[i])
            s, p = exponential(-708.0 if y < -708.0 else y)
            # Where e^y is no normal number, it is nothing.
            e = 0.0 if y < -708.0 else s + s * p
            out[row, i] = (e if v[i] < 0.0 else 1.0) / (1.0 + e)
    elif form == CLIP:
        for i in range(rows):
            low, high = parameters[0, layer, i], parameters[1, layer, i]
            above = low if v[i] < low else v[i]
            out[row, i] = high if above > high else above
    elif form == RISE:
        for i in range(rows):
            width = parameters[0, layer, i]
            raised = v[i] + 0.5 * width
            above = 0.0 if raised < 0.0 else raised
            out[row, i] = (width if above > width else above) / width
    elif form == SOFTSIGN:
        for i in range(rows):
            # An infinity over itself would be NaN.
            w = math.copysign(1e300, v[i]) if abs(v[i]) > 1e300 else v[i]
            out[row, i] = w / (1.0 + abs(w))
    elif form == SOFT_THRESHOLD:
        for i in range(rows):
            level = parameters[0, layer, i]
            above = -level if v[i] < -level else v[i]
            out[row, i] = v[i] - (level if above > level else above)
    elif form == ARCTAN:
        for i in range(rows):
            out[row, i] = math.atan(v[i])
    else:
        for i in range(rows):
            out[row, i] = parameters[0, layer, i] * math.expm1(v[i]) if v[i] < 0.0 else v[i]


@_inlined_sum
def drive(
    weights: Array, biases: Array, layer: int, rows: int, columns: int, x: Array, source: int, blocks: Array
) -> None:
    """Write the pre-activations of a layer that listens to a row of x into ``blocks``, four rows at a time."""
    for k in range((rows + 3) // 4):
        first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
        for j in range(columns):
            heard = x[source, j]
            first += weights[layer, k, 0, j] * heard
            second += weights[layer, k, 1, j] * heard
            third += weights[layer, k, 2, j] * heard
            fourth += weights[layer, k, 3, j] * heard
        blocks[k, 0] = first + biases[layer, k, 0]
        blocks[k, 1] = second + biases[layer, k, 1]
        blocks[k, 2] = third + biases[layer, k, 2]
        blocks[k, 3] = fourth + biases[layer, k, 3]


@_inlined_sum
def drive_from_base(
    singles: Array, bases: Array, layer: int, rows: int, columns: int, moved: Array, source: int, blocks: Array
) -> None:
    """Write the pre-activations of a layer that listens to a row of base + ``moved`` into ``blocks``."""
    nothing = np.float32(0.0)
    for k in range((rows + 3) // 4):
        first, second, third, fourth = nothing, nothing, nothing, nothing
        for j in range(columns):
            heard = moved[source, j]
            first += singles[layer, k, 0, j] * heard
            second += singles[layer, k, 1, j] * heard
            third += singles[layer, k, 2, j] * heard
            fourth += singles[layer, k, 3, j] * heard
        blocks[k, 0] = bases[1, layer, 4 * k] + first
        blocks[k, 1] = bases[1, layer, 4 * k + 1] + second
        blocks[k, 2] = bases[1, layer, 4 * k + 2] + third
        blocks[k, 3] = bases[1, layer, 4 * k + 3] + fourth


@_inlined_sum
def distance(x: Array, y: Array) -> float:
    """Return |x - y|_2."""
    total = 0.0
    rows, columns = x.shape
    for i in range(rows):
        for j in range(columns):
            difference = x[i, j] - y[i, j]
            total += difference * difference
    return math.sqrt(total)


@_inlined_sum
def move(x: Array, bases: Array, moved: Array, row: int) -> float:
    """Write x - base into ``moved`` from that row on; return its norm."""
    total = 0.0
    rows, columns = x.shape
    for i in range(rows):
        for j in range(columns):
            difference = x[i, j] - bases[0, i, j]
            moved[row + i, j] = np.float32(difference)
            total += difference * difference
    return math.sqrt(total)


@_plain
def evaluate(
    weights: Array,
    biases: Array,
    parameters: Array,
    stages: Array,
    outputs: Array,
    work: Array,
    blocks: Array,
    x: Array,
    image: Array,
) -> None:
    """Write R(x) into ``image``: the composite map where x is one row, with the layers' outputs in ``outputs``."""
    layers, last = len(stages), len(stages) - 1
    if len(x) > 1:
        for layer in range(layers):
            drive(weights, biases, layer, stages[layer, 0], stages[layer, 1], x, stages[layer, 2], blocks)
            respond(stages[layer, 3], parameters, layer, stages[layer, 0], work, image, layer)
        return
    for i in range(x.shape[1]):
        outputs[last, i] = x[0, i]
    for layer in range(layers):
        drive(weights, biases, layer, stages[layer, 0], stages[layer, 1], outputs, stages[layer, 2], blocks)
        respond(stages[layer, 3], parameters, layer, stages[layer, 0], work, outputs, layer)
    for i in range(x.shape[1]):
        image[0, i] = outputs[last, i]


@_plain
def relaxed_steps(
    weights: Array,
    biases: Array,
    parameters: Array,
    stages: Array,
    outputs: Array,
    work: Array,
    blocks: Array,
    x: Array,
    image: Array,
    anchor: Array,
    numbers: Array,
    counts: Array,
    residuals: Array,
    displacements: Array,
    singles: Array,
    moved: Array,
    bases: Array,
) -> int:
    """Make steps x + lambda (R(x) - x) from x with R(x) = ``image``, both overwritten; return how many were made.

    It ends at a state at which the loop has to look: after ``most`` steps, or where the residual is at most ``target``,
    above ``bound``, not finite, or close to that of the anchor, the stored iterate of the rule for cycles, which is
    renewed at powers of two.

    Where it would end with the last displacement that is taken, it goes on with lambda = 1/2 if these promise that few
    such steps are needed (``fused_promises``), and ends once they do not keep it.

    Parameters
    ----------
    weights, biases, parameters, stages, outputs, work, blocks
        The map and its work space.
    x, image, anchor : ndarray (1 or L, n)
    numbers : ndarray (7,)
        lambda, target, bound, the anchor's residual (also a result), the scale, the residual above which it ends with
        the last displacement that is taken, and the caution with which relaxed steps are promised.
    counts : ndarray (6,)
        The most steps, the iteration, whether cycles are watched for, and the iterations of the anchor and of its next
        renewal (also results); the steps with lambda = 1/2 that may be promised, of which 0 need no displacements and
        else five are taken at least, and, a result, whether they were begun.
    residuals : ndarray (at least most, and the displacements and the steps that may be promised,)
        The residuals of the new states.
    displacements : ndarray (any number, 1 or L, n)
        Takes R(x) - x of so many first new states.
    singles : ndarray (L, rows / 4, 4, columns) or (0, 0, 0, 0)
        The weights in single precision, where passes shall read these: the pre-activations are those at a base, which
        a pass in double precision told, plus W (x - base) in single precision, whose rounding is relative to the
        distance from the base. The next state becomes the base where a residual is at most ``ROUNDINGS`` of that
        distance, may be above the target with it, or is the last but one that is forecast from; and after
        ``FROM_BASE`` passes.
    moved : ndarray (L, rows), single precision
        Room for what moved from the base.
    bases : ndarray (3, L, rows)
        Room for the base, the pre-activations and what the layers answer there.
    """
    relaxation, target, bound, scale = numbers[0], numbers[1], numbers[2], numbers[4]
    most, iteration, watched = counts[0], counts[1], counts[2] != 0
    rows, columns = x.shape
    layers, joint = len(stages), rows > 1
    refined, since = len(singles) > 0, -1
    look, pause, fall, promised, counts[5] = len(displacements), numbers[5], 0.0, counts[5], 0
    for k in range(len(residuals)):
        iteration += 1
        for i in range(rows):
            for j in range(columns):
                # With relaxation 1 the image itself, to the last bit.
                x[i, j] = image[i, j] if relaxation == 1.0 else x[i, j] + relaxation * (image[i, j] - x[i, j])
        # What ``evaluate`` does, for a call counts the references to all arrays, which takes as long as a small pass.
        size = 0.0
        if since >= 0:
            since += 1
            size = move(x, bases, moved, 0 if joint else layers - 1)
            if not size <= LARGEST_MOVE:
                since = -1
        if since >= 0:
            for layer in range(layers):
                count = stages[layer, 0]
                drive_from_base(singles, bases, layer, count, stages[layer, 1], moved, stages[layer, 2], blocks)
                if joint:
                    respond(stages[layer, 3], parameters, layer, count, work, image, layer)
                    continue
                respond(stages[layer, 3], parameters, layer, count, work, outputs, layer)
                for i in range(count):
                    moved[layer, i] = np.float32(outputs[layer, i] - bases[2, layer, i])
        else:
            if not joint:
                for j in range(columns):
                    outputs[layers - 1, j] = x[0, j]
            for layer in range(layers):
                count = stages[layer, 0]
                if joint:
                    drive(weights, biases, layer, count, stages[layer, 1], x, stages[layer, 2], blocks)
                else:
                    drive(weights, biases, layer, count, stages[layer, 1], outputs, stages[layer, 2], blocks)
                if refined:
                    for i in range(count):
                        bases[1, layer, i] = work[i]
                if joint:
                    respond(stages[layer, 3], parameters, layer, count, work, image, layer)
                    continue
                respond(stages[layer, 3], parameters, layer, count, work, outputs, layer)
                if refined:
                    for i in range(count):
                        bases[2, layer, i] = outputs[layer, i]
            if refined:
                since = 0
                for i in range(rows):
                    for j in range(columns):
                        bases[0, i, j] = x[i, j]
        if not joint:
            for j in range(columns):
                image[0, j] = outputs[layers - 1, j]
        residual = distance(image, x)
        residuals[k] = residual
        if k < len(displacements):
            for i in range(rows):
                for j in range(columns):
                    displacements[k, i, j] = image[i, j] - x[i, j]
        if since > 0:
            rounding = ROUNDINGS * size
            if residual <= rounding or since >= FROM_BASE:
                since = -1
            if residual <= target < residual + rounding and k + 1 < most:
                # The next pass tells.
                since = -1
                continue
        if k + 2 == look and (residual > pause or k + 2 == most):
            # What begins from the last displacement shall know its last digits.
            since = -1
        if not target < residual <= bound:
            return k + 1
        if k + 1 == look and residual > pause:
            if promised > 0 and counts[5] == 0:
                fall = relaxed_fall(displacements, residuals, numbers[6])
            if counts[5] != 0 or not fall > 0.0 or math.log(residual) - math.log(target) > promised * fall:
                return k + 1
            relaxation, counts[5], most, pause = 0.5, 1, k + 1 + promised, residual
        if k + 1 == look and counts[5] != 0:
            look, pause = look + WATCHED, pause * math.exp(-KEPT * WATCHED * fall)
        if k + 1 >= most:
            return k + 1
        if watched:
            reference = numbers[3]
            near = RECURRENCE * max(reference, scale)
            if reference < math.inf and residual > 1e3 * target and abs(residual - reference) <= near:
                return k + 1
            if iteration >= counts[4]:
                for i in range(rows):
                    for j in range(columns):
                        anchor[i, j] = x[i, j]
                numbers[3] = residual
                counts[3] = iteration
                counts[4] = 2 * iteration
    return len(residuals)


def signatures() -> list[tuple[Any, Any]]:
    """Return the kernels with their signatures in double precision."""
    from numba import float32, float64, int64

    vector, matrix, stack, integers = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
    singles = (float32[:, :, :, ::1], float32[:, ::1], stack)
    network = (float64[:, :, :, ::1], stack, stack, int64[:, ::1], matrix, vector, matrix)
    return [
        (evaluate, (*network, matrix, matrix)),
        (relaxed_steps, (*network, matrix, matrix, matrix, vector, integers, vector, stack, *singles)),
    ]
