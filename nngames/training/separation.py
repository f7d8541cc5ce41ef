"""Whether a layer's loss has a minimiser: separable classes let it fall for ever, along a direction found by an LP.

Let D be a change of (W, b), d_t = D z_t. Along D the loss of a sample stays bounded only if its target lies at the end
of r's range that d_t points to: d_t = 0 for a target inside the range, d_t >= 0 for one at the upper end, d_t <= 0 for
one at the lower end; for softmax <d_t, y_t> = max_j d_tj. If such a D moves some pre-activation, and r is strictly
increasing, theta + s D has a smaller loss for each larger s, so no theta is a minimiser: the classes are
(quasi-)separable [albert1984]. If no such D exists but 0, the loss has bounded level sets, up to directions that change
no pre-activation, and minimisers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.activations.foundations.domain import Interval, Simplex
from nngames.core.exact import fraction, rational, rational_matrix, row_echelon
from nngames.core.profiles import Array, Player
from nngames.core.verdicts import Decision, Verdict
from nngames.training.layer_problem import LayerProblem
from nngames.training.overlap import distinct_columns, independent, overlapping

#: Larger linear programs, in entries of their matrix, are not tried.
LARGEST = 4_000_000
#: Directions that do not separate strictly are checked in rationals up to this many entries.
LARGEST_EXACT = 200_000
METHOD = (
    "linear programs for a direction in which the loss falls without end; the direction, or positive weights of the "
    "samples that exclude one, checked with the rounding"
)
_UNIT = 2.0**-53


def separating_direction(layers: Mapping[Player, LayerProblem], matrices: Mapping[Player, Array]) -> Verdict:
    """Return whether every layer's loss has a minimiser: PROVED, REFUTED with a direction, or UNDECIDED.

    Parameters
    ----------
    layers : mapping player -> LayerProblem
    matrices : mapping player -> ndarray (channels, features)
        Parameters that are tried as directions before any linear program: a training run on separable classes ends at
        some that separate them.
    """
    open_questions = []
    for player, layer in layers.items():
        answer = _of_layer(layer, matrices[player])
        if layer.allowed is not None and not layer.allowed.bounded and isinstance(answer, tuple) and not layer.ridge:
            answer = "the classes are separable, and whether the allowed weights reach as far as that is not decided"
        if isinstance(answer, str):
            open_questions.append(f"layer {player}: {answer}")
        elif answer is not None:
            neuron, direction = answer
            where = f"layer {player}" + (f", neuron {neuron}" if neuron is not None else "")
            return Verdict(
                Decision.REFUTED,
                f"{where}: the classes are separable, so along a direction the loss falls without end and nothing "
                "minimises it; add a ridge, or expect weights that grow until the run ends",
                METHOD,
                witness={"layer": player, "neuron": neuron, "direction": direction.tolist()},
                references=("albert1984",),
            )
    if open_questions:
        return Verdict(Decision.UNDECIDED, "; ".join(open_questions), METHOD, references=("albert1984",))
    return Verdict(
        Decision.PROVED,
        "every layer's loss has a minimiser: it falls without end in no direction",
        METHOD,
        references=("albert1984",),
    )


#: Changes of parameters: floats, or Fractions where floats do not hold them.
Direction = NDArray[Any]
#: A neuron (None: all of a softmax layer) with a direction; None where there is none; or why that is not known.
Answer = tuple[int | None, Direction] | str | None


def _of_layer(layer: LayerProblem, theta: Array) -> Answer:
    activation, features = layer.activation, layer.features
    if activation.slope_range[0] > 0:
        # g grows as a square.
        return None
    domain = activation.domain
    rows = features.rows
    if layer.ridge > 0 or (layer.allowed is not None and layer.allowed.bounded):
        # The weight has no way to infinity: only the bias, the last feature.
        rows, theta = rows[:, -1:], theta[:, -1:]
    if isinstance(domain, Simplex) and activation.name == "softmax":
        return _of_softmax(layer, rows, theta)
    if not activation.separable or not isinstance(domain, Interval):
        return f"whether the loss of {activation.name!r} has a minimiser is not decided"
    targets = layer.targets.reshape(-1, features.channels)
    strict = not activation.slope_range_exact[0].attained
    unknown: str | None = None
    distinct: NDArray[np.bool_] | None = None
    for neuron in range(features.channels):
        y = targets[:, neuron]
        signs = np.where(y >= domain.upper, 1.0, np.where(y <= domain.lower, -1.0, 0.0))
        if not signs.any():
            continue
        kept = np.ones(rows.shape[1], dtype=bool)
        if features.mask is not None:
            kept = features.mask[neuron, -rows.shape[1] :].astype(bool)
        found: Direction | str | None
        if signs.all() and _strictly(signs[:, None] * rows[:, kept], theta[neuron, kept]):
            found = theta[neuron, kept]
        else:
            if distinct is None or features.mask is not None:
                distinct = distinct_columns(rows[:, kept])
            kept[kept] = distinct
            found = _cone_direction(rows[:, kept], signs)
        if isinstance(found, str):
            unknown = found
        elif found is not None and not strict:
            unknown = f"{activation.name!r} is constant in places, where targets at its ends have many pre-activations"
        elif found is not None:
            direction = np.zeros(rows.shape[1], dtype=found.dtype)
            direction[kept] = found
            return neuron, direction
    return unknown


def _cone_direction(rows: Array, signs: Array) -> Direction | str | None:
    """Return d with signs_t d_t >= 0 on the rows, d_t = 0 where the sign is 0, one d_t != 0; None if there is none."""
    free = signs != 0
    inner = rows[~free]
    if independent(inner):
        return None
    return _direction(signs[free, None] * rows[free], inner)


def _direction(signed: Array, equal: Array) -> Direction | str | None:
    """Return D with signed D >= 0, equal D = 0 and some of signed D > 0, proved; None if there is none."""
    if signed.size + equal.size > LARGEST:
        return f"a linear program with {signed.size + equal.size} entries is too large to look for separable classes"
    from scipy.optimize import linprog

    # Powers of two, so that the scaled lines are exact.
    scale = np.exp2(np.frexp(np.abs(np.concatenate([signed, equal])).max(axis=0))[1].astype(float))
    width = signed.shape[1]
    given = (signed, equal)
    signed, equal = signed / scale, equal / scale
    if any((a * scale != b).any() for a, b in zip((signed, equal), given, strict=True)):
        return "a column of the inputs spans the range of floats, so it is not known whether the classes are separable"
    equations = {"A_eq": equal, "b_eq": np.zeros(len(equal))} if len(equal) else {}
    if not len(equal):
        # First the largest margin: a direction that separates strictly is proved by it.
        margins = np.concatenate([-signed, np.ones((len(signed), 1))], axis=1)
        limits = [(-1.0, 1.0)] * width + [(None, 1.0)]
        lp = linprog(np.append(np.zeros(width), -1.0), A_ub=margins, b_ub=np.zeros(len(signed)), bounds=limits)
        if lp.success and _strictly(signed, lp.x[:-1]):
            return lp.x[:-1] / scale
    lp = linprog(-signed.mean(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), **equations)
    if not lp.success:
        return f"the linear program for separable classes ended with: {lp.message}"
    multipliers = lp.eqlin.marginals if len(equal) else np.zeros(0)
    if overlapping(signed, equal, 1 / len(signed) - lp.ineqlin.marginals, multipliers):
        return None
    if signed.size + equal.size <= LARGEST_EXACT:
        exact = _exact_direction(signed, equal, lp.x)
        if exact is not None:
            return exact / np.array([fraction(rational(s)) for s in scale.tolist()], dtype=object)
    return "rounding hides whether the classes are separable, that is on which side some samples lie"


def _strictly(signed: Array, direction: Array) -> bool:
    """Whether signed D > 0 beyond rounding."""
    images = signed @ direction
    rounding = 1.1 * (len(direction) + 2) * _UNIT * (np.abs(signed) @ np.abs(direction)) + 1e-300
    return bool((images > rounding).all())


def _exact_direction(signed: Array, equal: Array, near: Array) -> Direction | None:
    """Return rational D near the given one with signed D >= 0, some of it > 0, and equal D = 0; None if that fails.

    The lines that the linear program left at 0 are solved as equations in rationals, for the entries at their pivots.
    """
    images = signed @ near
    tight = images <= 1e-9 * (np.abs(signed) @ np.abs(near))
    lines = np.concatenate([equal, signed[tight]])
    exact = [rational(x) for x in near.tolist()]
    if len(lines):
        reduced, pivots = row_echelon(rational_matrix(lines))
        free = [c for c in range(len(exact)) if c not in pivots]
        for row, pivot in enumerate(pivots):
            exact[pivot] = -sum((reduced[row, c] * exact[c] for c in free), rational(0.0))
    signs = [sum((rational(x) * d for x, d in zip(row, exact, strict=True)), rational(0.0)) for row in signed.tolist()]
    if min(signs) >= 0 and max(signs) > 0:
        return np.array([fraction(d) for d in exact], dtype=object)
    return None


def _of_softmax(layer: LayerProblem, rows: Array, theta: Array) -> Answer:
    """Return the direction for softmax: d_t is largest where y_t is positive, for all classes together."""
    features, targets = layer.features, layer.targets
    if features.convolution is not None:
        return "whether the loss of a convolution with softmax has a minimiser is not decided"
    samples, classes = targets.shape
    if classes == 1:
        # The only answer is 1.
        return None
    used = np.ones((classes, rows.shape[1]), dtype=bool)
    if features.mask is not None:
        used = features.mask[:, -rows.shape[1] :].astype(bool)
    theta = theta * used
    top = targets.argmax(axis=1)
    vertices = (np.count_nonzero(targets, axis=1) == 1).all()
    v = rows @ theta.T
    if vertices:
        rounding = 2.2 * (rows.shape[1] + 2) * _UNIT * (np.abs(rows) @ np.abs(theta).T).max(axis=1) + 1e-300
        others = v.copy()
        others[np.arange(samples), top] = -np.inf
        if (v[np.arange(samples), top] - others.max(axis=1) > rounding).all():
            return None, theta
    if features.mask is None:
        used &= distinct_columns(rows)
    # Only differences between the classes count: what all of them have, the last one need not change.
    used[-1] &= ~used.all(axis=0)
    width = int(np.count_nonzero(used))
    if samples * (classes - 1) * width > LARGEST:
        return (
            f"a linear program with {samples * (classes - 1) * width} entries is too large to look for separable "
            "classes, and the parameters given do not separate them"
        )
    # One line for each sample and class j beside its first class k: (row in k) - (row in j).
    signed: list[Array] = []
    equal: list[Array] = []
    for t, row in enumerate(rows):
        for j in range(classes):
            if j != top[t]:
                line = np.zeros(used.shape)
                line[top[t]], line[j] = row, -row
                (equal if targets[t, j] > 0 else signed).append(line[used])
    if not signed:
        return None
    found = _direction(np.array(signed), np.array(equal).reshape(-1, width))
    if found is None or isinstance(found, str):
        return found
    direction = np.zeros(used.shape, dtype=found.dtype)
    direction[used] = found
    return None, direction
