"""What the closed ring of the macro forecaster settles to, computed without nngames.

Reads ``forecaster.npz`` and prints the figures that the scenario's ``expect`` cites: a proof of uniqueness in exact
rational arithmetic, the fixed point by two methods, the certificates that do and do not apply, and a strict improvement
cycle of the game. Uses NumPy, SciPy and the standard library.

    python verify.py
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import root

Array = NDArray[np.float64]
Layers = list[tuple[Array, Array]]

SEED = 7
SCALES = (0.0, 0.1, 1.0, 10.0, 100.0, 1000.0)
STARTS_PER_SCALE = 200
QUARTERS_PER_YEAR = 4


def load() -> tuple[Layers, Array, Array, list[str]]:
    """Layers (weight, bias), mean and standard deviation of the quarterly rates in per cent, names of the series."""
    with np.load(Path(__file__).resolve().parent / "forecaster.npz", allow_pickle=False) as archive:
        layers = [(archive[f"W{number}"], archive[f"b{number}"]) for number in (1, 2, 3)]
        return layers, archive["mean"], archive["std"], [str(name) for name in archive["series"]]


def outputs(layers: Layers, window: Array) -> list[Array]:
    """Outputs of the three layers (tanh, tanh, identity) for one window or a batch of rows."""
    (first, bias_1), (second, bias_2), (third, bias_3) = layers
    hidden_1 = np.tanh(window @ first.T + bias_1)
    hidden_2 = np.tanh(hidden_1 @ second.T + bias_2)
    return [hidden_1, hidden_2, hidden_2 @ third.T + bias_3]


def jacobian(layers: Layers, window: Array) -> Array:
    """Derivative of the composite map at a window."""
    hidden_1, hidden_2, _last = outputs(layers, window)
    (first, _b1), (second, _b2), (third, _b3) = layers
    return third @ ((1.0 - hidden_2**2)[:, None] * second) @ ((1.0 - hidden_1**2)[:, None] * first)


def norm_is_below(weight: Array, bound: Fraction) -> bool:
    """Whether |W|_2 < bound, exactly: bound^2 I - W W' is positive definite iff all its LDL' pivots are positive."""
    rows = [[Fraction(float(entry)) for entry in row] for row in min(weight, weight.T, key=len)]
    matrix = [[-sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0)) for right in rows] for left in rows]
    for k, row in enumerate(matrix):
        row[k] += bound * bound
    for k, pivot_row in enumerate(matrix):
        if pivot_row[k] <= 0:
            return False
        for row in matrix[k + 1 :]:
            factor = row[k] / pivot_row[k]
            for column in range(k, len(row)):
                row[column] -= factor * pivot_row[column]
    return True


def report_contraction(layers: Layers) -> None:
    """The norm product; with the 1-Lipschitz activations it bounds the Lipschitz constant of the composite map."""
    norms = [float(np.linalg.norm(weight, 2)) for weight, _bias in layers]
    bounds = [Fraction(ceil(norm * 10**6) + 1, 10**6) for norm in norms]
    print("spectral norms        ", " ".join(f"{norm:.10f}" for norm in norms))
    print(f"product of the norms   {np.prod(norms):.10f}")
    proved = all(norm_is_below(weight, bound) for (weight, _b), bound in zip(layers, bounds, strict=True))
    total = bounds[0] * bounds[1] * bounds[2]
    print(f"exact rational bounds  {' '.join(str(float(bound)) for bound in bounds)}, product {float(total):.8f}")
    print(f"composite map is a contraction, proved in rational arithmetic: {proved and total < 1}")


def report_other_certificates(layers: Layers) -> None:
    """Spectral radius of |W| and monotonicity of I - W for the block-cyclic W of the whole profile."""
    (first, _b1), (second, _b2), (third, _b3) = layers
    lower = block_diag(first, second, third)  # acts on (x_3, x_1, x_2): move the columns of x_3 to the end
    cyclic = np.roll(lower, -first.shape[1], axis=1)
    radius = float(np.max(np.abs(np.linalg.eigvals(np.abs(cyclic)))))
    highest = float(np.linalg.eigvalsh((cyclic + cyclic.T) / 2.0)[-1])
    product = np.linalg.eigvals(third @ second @ first)
    print(f"spectral radius of |W| {radius:.10f} (below 1: {radius < 1}); of |W_3||W_2||W_1| {radius**3:.6f}")
    print(f"I - W is monotone      {highest < 1}, smallest eigenvalue of I - (W + W')/2 is {1.0 - highest:.10f}")
    print(
        f"norm of W_3 W_2 W_1    {np.linalg.norm(third @ second @ first, 2):.10f}, radius {np.abs(product).max():.10f}"
    )


def feed(layers: Layers, starts: Array, tolerance: float = 1e-13, passes: int = 2000) -> tuple[Array, Array]:
    """Iterated feed of every row: the last windows and the pass at which each row's step fell below the tolerance."""
    windows, settled = starts, np.zeros(len(starts), dtype=int)
    for number in range(1, passes + 1):
        following = outputs(layers, windows)[-1]
        moving = np.linalg.norm(following - windows, axis=1) > tolerance
        windows, settled = following, np.where(moving, number + 1, settled)
        if not moving.any():
            return windows, settled
    raise SystemExit(f"the feed has not settled in {passes} passes")


def report_limit(layers: Layers) -> Array:
    """Limit of the feed from many starts, and the same point by a quasi-Newton method."""
    rng = np.random.default_rng(SEED)
    width = layers[-1][0].shape[0]
    starts = np.vstack([scale * rng.standard_normal((STARTS_PER_SCALE, width)) for scale in SCALES])
    limits, settled = feed(layers, starts)
    spread = np.max(np.linalg.norm(limits - limits[0], axis=1))
    print(f"iterated feed          {len(starts)} starts, scales {SCALES[0]:g} to {SCALES[-1]:g}: all settled to 1e-13")
    print(f"                       in at most {settled.max()} passes; distance between the limits at most {spread:.1e}")
    roots = [
        root(lambda x: outputs(layers, x)[-1] - x, start, method="hybr", tol=1e-14).x
        for start in starts[:: STARTS_PER_SCALE // 2]
    ]
    residual = max(float(np.linalg.norm(outputs(layers, x)[-1] - x)) for x in roots)
    distance = max(float(np.linalg.norm(x - limits[0])) for x in roots)
    print(f"scipy.optimize.root    {len(roots)} starts: residual at most {residual:.1e}, distance {distance:.1e}")
    moduli = np.sort(np.abs(np.linalg.eigvals(jacobian(layers, limits[0]))))[::-1]
    print("Jacobian at the limit  moduli of the largest eigenvalues", " ".join(f"{value:.6f}" for value in moduli[:5]))
    print(f"                       spectral norm {np.linalg.norm(jacobian(layers, limits[0]), 2):.6f}")
    return roots[0]


def report_profile(layers: Layers, window: Array, mean: Array, std: Array, names: list[str]) -> None:
    """The equilibrium profile in the network's units and, for the window, as annualised log growth in per cent."""
    profile = outputs(layers, window)
    for number, action in enumerate(profile, start=1):
        print(f"x_{number} = {np.array2string(action, precision=12, separator=', ', max_line_width=100)}")
    standardised = window.reshape(-1, len(names))
    annual = QUARTERS_PER_YEAR * (mean + std * standardised)
    print("annualised log growth, per cent   " + " ".join(f"{name:>9s}" for name in names))
    for quarter, row in enumerate(annual, start=1):
        print(f"  quarter {quarter}                       " + " ".join(f"{value:9.4f}" for value in row))
    print("  year                            " + " ".join(f"{value:9.4f}" for value in annual.mean(axis=0)))
    print("  mean of the training period     " + " ".join(f"{value:9.4f}" for value in QUARTERS_PER_YEAR * mean))


def cost(layers: Layers, player: int, actions: list[Array]) -> float:
    """J_l = f_l(x_l) + |x_l - v_l|^2 / 2: f sums z artanh z + log(1 - z^2)/2 - z^2/2 for tanh and is 0 for identity."""
    weight, bias = layers[player]
    own = actions[player]
    distance = 0.5 * float(np.sum((own - weight @ actions[player - 1] - bias) ** 2))
    if player == len(layers) - 1:
        return distance
    return distance + float(np.sum(own * np.arctanh(own) + 0.5 * np.log1p(-(own**2)) - 0.5 * own**2))


def report_improvement_cycle(layers: Layers, window: Array, radius: float = 0.1) -> None:
    """Six strict unilateral improvements that return to their start, so no (generalised) ordinal potential exists.

    Every player moves between x_l + radius d_l and x_l - radius d_l, where d_3 is the leading eigenvector direction of
    the symmetric part of W_3 W_2 W_1 and d_1, d_2 are its images. Near the equilibrium a player gains by taking the
    sign of the player it listens to, times the sign of <d_l, W_l d_(l-1)>.
    """
    centre = outputs(layers, window)
    (first, _b1), (second, _b2), (third, _b3) = layers
    loop = third @ second @ first
    values, vectors = np.linalg.eigh((loop + loop.T) / 2.0)
    last = vectors[:, np.argmax(np.abs(values))]
    one = first @ last / np.linalg.norm(first @ last)
    two = second @ one / np.linalg.norm(second @ one)
    directions = [one, two, last]
    couplings = [float(directions[k] @ layers[k][0] @ directions[k - 1]) for k in range(3)]
    print("couplings <d_l, W_l d_k>", " ".join(f"{value:.6f}" for value in couplings))

    def at(signs: list[int]) -> list[Array]:
        return [x + radius * sign * d for x, sign, d in zip(centre, signs, directions, strict=True)]

    signs, gains = [1, 1, -1] if couplings[2] > 0 else [1, 1, 1], []
    start = list(signs)
    for _ in range(6):
        wishes = [int(np.sign(couplings[k])) * signs[k - 1] for k in range(3)]
        mover = next(k for k in range(3) if wishes[k] != signs[k] and signs[(k + 1) % 3] == wishes[(k + 1) % 3])
        before = cost(layers, mover, at(signs))
        signs[mover] = wishes[mover]
        gains.append((mover + 1, before - cost(layers, mover, at(signs))))
    print("improvement cycle      (mover, gain):", ", ".join(f"({mover}, {gain:.6f})" for mover, gain in gains))
    print(f"                       closed: {signs == start}, smallest gain {min(gain for _m, gain in gains):.6f}")


def main() -> None:
    layers, mean, std, names = load()
    print("layers                ", ", ".join(f"{w.shape[1]} -> {w.shape[0]}" for w, _bias in layers))
    report_contraction(layers)
    report_other_certificates(layers)
    window = report_limit(layers)
    report_profile(layers, window, mean, std, names)
    report_improvement_cycle(layers, window)


if __name__ == "__main__":
    main()
