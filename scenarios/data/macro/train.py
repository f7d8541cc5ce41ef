"""Train the macro forecaster: a ring of three layers that maps a year of US growth rates to the next year.

Reads ``macrodata.csv`` beside this file, chooses the regularisation on a validation period, writes
``forecaster.npz`` and prints the table of the selection. Needs NumPy and SciPy only.

    python train.py                  choose, train, write forecaster.npz
    python train.py --check          compare the hand-written gradient with finite differences
    python train.py --sensitivity    repeat the selection with other split dates, write nothing

The selection rule: for every (exponent, decay) of the grid the network is fitted from several seeded starts and the
lowest *training* objective is kept; the pair with the lowest *validation* error wins. The test period plays no part
in it and nothing is refitted: ``evaluate.py`` compares the stored network with simple forecasts there.

The penalty on the weights is ``decay / q * sum_l |W_l|_q^q`` with the Schatten norm of exponent q. With q = 2 it is
the usual weight decay. On a product of three layers that acts as a Schatten quasi-norm of exponent 2/3, which drives
the product to a low rank or to zero; q = 6 acts as the squared Frobenius norm of the product, that is as ridge
regression (Hoelder's inequality for Schatten norms and the inequality of the means: |ABC|_2^2 <= (|A|_6^6 + |B|_6^6
+ |C|_6^6) / 3, with equality at a balanced factorisation). Both are in the grid; the validation error decides.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]

FOLDER = Path(__file__).resolve().parent
SERIES = ("realgdp", "realcons", "realinv", "cpi")
WINDOW = 4
HIDDEN = (8, 8)
SPLIT = (1985.0, 1997.0)  # first quarters of the validation and of the test period
OTHER_SPLITS = ((1980.0, 1994.0), (1982.0, 1996.0), (1987.0, 1998.0), (1989.5, 1999.5))
EXPONENTS = (2, 6)
DECAYS = tuple(10.0 ** (k / 4) for k in range(-10, 1))
RESTARTS = 6
SEED = 20091215
DECIMALS = 8


@dataclass(frozen=True)
class Data:
    """Standardised growth rates and the index of the first quarter of the validation and test periods."""

    rates: Array
    mean: Array
    std: Array
    validation: int
    test: int

    def pairs(self, period: str) -> tuple[Array, Array]:
        """Inputs and targets (one row per forecast) whose targets lie wholly inside ``period``."""
        begin, end = {
            "train": (WINDOW, self.validation),
            "validation": (self.validation, self.test),
            "test": (self.test, len(self.rates)),
        }[period]
        starts = range(begin, end - WINDOW + 1)
        inputs = np.array([self.rates[s - WINDOW : s].ravel() for s in starts])
        targets = np.array([self.rates[s : s + WINDOW].ravel() for s in starts])
        return inputs, targets


def load(split: tuple[float, float] = SPLIT) -> Data:
    """Quarterly log growth rates in per cent, standardised with the figures of the training period alone."""
    table = np.genfromtxt(FOLDER / "macrodata.csv", delimiter=",", names=True)
    growth = np.column_stack([100.0 * np.diff(np.log(table[name])) for name in SERIES])
    date = (table["year"] + (table["quarter"] - 1) / 4)[1:]
    validation, test = (int(np.searchsorted(date, boundary)) for boundary in split)
    mean = np.round(growth[:validation].mean(axis=0), DECIMALS)
    std = np.round(growth[:validation].std(axis=0), DECIMALS)
    return Data((growth - mean) / std, mean, std, validation, test)


def sizes() -> tuple[int, ...]:
    """Widths of the layers 0..3; layer 0 is layer 3."""
    width = WINDOW * len(SERIES)
    return (width, *HIDDEN, width)


def unpack(theta: Array) -> list[tuple[Array, Array]]:
    """Weights and bias of each layer, as views of the parameter vector."""
    layers, position = [], 0
    for columns, rows in pairwise(sizes()):
        weight = theta[position : position + rows * columns].reshape(rows, columns)
        position += rows * columns
        layers.append((weight, theta[position : position + rows]))
        position += rows
    return layers


def forecast(theta: Array, inputs: Array) -> Array:
    """Output of the network for each row: tanh, tanh, identity."""
    (first, bias_1), (second, bias_2), (third, bias_3) = unpack(theta)
    hidden = np.tanh(np.tanh(inputs @ first.T + bias_1) @ second.T + bias_2)
    return hidden @ third.T + bias_3


def penalty(weight: Array, exponent: int) -> tuple[float, Array]:
    """|W|_q^q / q for an even q, and its gradient (W W')^(q/2 - 1) W."""
    gram = weight @ weight.T
    power = np.linalg.matrix_power(gram, exponent // 2 - 1)
    return float(np.sum(power * gram)) / exponent, power @ weight


def objective(theta: Array, inputs: Array, targets: Array, exponent: int, decay: float) -> tuple[float, Array]:
    """Half the mean squared error plus the penalty, and the gradient by back-propagation."""
    (first, bias_1), (second, bias_2), (third, bias_3) = unpack(theta)
    hidden_1 = np.tanh(inputs @ first.T + bias_1)
    hidden_2 = np.tanh(hidden_1 @ second.T + bias_2)
    error = hidden_2 @ third.T + bias_3 - targets
    value = 0.5 * float(np.mean(error**2))
    delta_3 = error / error.size
    delta_2 = (delta_3 @ third) * (1.0 - hidden_2**2)
    delta_1 = (delta_2 @ second) * (1.0 - hidden_1**2)
    pieces = []
    for weight, delta, signal in ((first, delta_1, inputs), (second, delta_2, hidden_1), (third, delta_3, hidden_2)):
        size, slope = penalty(weight, exponent)
        value += decay * size
        pieces += [(delta.T @ signal + decay * slope).ravel(), delta.sum(axis=0)]
    return value, np.concatenate(pieces)


def starting_points() -> list[Array]:
    """Seeded random parameters: weights of variance 1 / fan-in, zero biases."""
    rng = np.random.default_rng(SEED)
    points = []
    for _ in range(RESTARTS):
        theta = np.zeros(sum((columns + 1) * rows for columns, rows in pairwise(sizes())))
        for weight, _bias in unpack(theta):
            weight[...] = rng.standard_normal(weight.shape) / np.sqrt(weight.shape[1])
        points.append(theta)
    return points


def fit(data: Data, exponent: int, decay: float) -> tuple[float, Array]:
    """Lowest training objective over the restarts, and its parameters."""
    problem = (*data.pairs("train"), exponent, decay)
    options = {"maxiter": 5000, "maxfun": 10000, "maxcor": 30, "ftol": 1e-14, "gtol": 1e-8}
    runs = [
        minimize(objective, start, args=problem, jac=True, method="L-BFGS-B", options=options)
        for start in starting_points()
    ]
    best = min(runs, key=lambda run: run.fun)
    return float(best.fun), best.x


def mean_squared_error(prediction: Array, target: Array) -> float:
    return float(np.mean((prediction - target) ** 2))


def spectral_norms(theta: Array) -> Array:
    """Largest singular value of each weight."""
    return np.array([np.linalg.norm(weight, 2) for weight, _bias in unpack(theta)])


@dataclass(frozen=True)
class Candidate:
    """A fitted network of the grid with its errors outside the test period."""

    exponent: int
    decay: float
    theta: Array
    objective: float
    training_error: float
    validation_error: float


def grid(data: Data) -> list[Candidate]:
    """One fitted network per exponent and decay."""
    candidates = []
    for exponent in EXPONENTS:
        for decay in DECAYS:
            value, theta = fit(data, exponent, decay)
            errors = [mean_squared_error(forecast(theta, x), y) for x, y in map(data.pairs, ("train", "validation"))]
            candidates.append(Candidate(exponent, decay, theta, value, *errors))
    return candidates


def polish(data: Data, chosen: Candidate, steps: int = 4, width: float = 1e-5) -> tuple[Array, float, float]:
    """Newton's method on the gradient, so that the weights do not depend on where L-BFGS happened to stop.

    Returns the parameters, the largest entry of the gradient there and the smallest eigenvalue of the Hessian.
    """
    problem = (*data.pairs("train"), chosen.exponent, chosen.decay)

    def gradient(theta: Array) -> Array:
        return objective(theta, *problem)[1]

    theta = chosen.theta
    for _ in range(steps):
        shifts = width * np.eye(theta.size)
        hessian = np.array([gradient(theta + shift) - gradient(theta - shift) for shift in shifts]) / (2.0 * width)
        hessian = (hessian + hessian.T) / 2.0
        theta = theta - np.linalg.solve(hessian, gradient(theta))
    return theta, float(np.max(np.abs(gradient(theta)))), float(np.linalg.eigvalsh(hessian)[0])


def canonical(theta: Array) -> list[tuple[Array, Array]]:
    """The same network with its hidden units in a fixed order and sign (tanh is odd), rounded to ``DECIMALS``."""
    layers = [(weight.copy(), bias.copy()) for weight, bias in unpack(theta)]
    for (weight, bias), (following, _bias) in pairwise(layers):
        rows = np.arange(len(bias))
        sign = np.sign(weight[rows, np.argmax(np.abs(weight), axis=1)])
        order = np.argsort(-np.linalg.norm(weight, axis=1))
        weight[...] = (sign[:, None] * weight)[order]
        bias[...] = (sign * bias)[order]
        following[...] = (following * sign)[:, order]
    return [(np.round(weight, DECIMALS) + 0.0, np.round(bias, DECIMALS) + 0.0) for weight, bias in layers]


def choose(candidates: list[Candidate]) -> Candidate:
    """The selection rule: lowest validation error."""
    return min(candidates, key=lambda candidate: candidate.validation_error)


def write(data: Data, layers: list[tuple[Array, Array]]) -> None:
    """Write ``forecaster.npz`` through a temporary file and a rename: never a partial file, never a pickle."""
    arrays: dict[str, NDArray[np.generic]] = {"mean": data.mean, "std": data.std, "series": np.array(SERIES)}
    for number, (weight, bias) in enumerate(layers, start=1):
        arrays[f"W{number}"], arrays[f"b{number}"] = weight, bias
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    handle, temporary = tempfile.mkstemp(dir=FOLDER, prefix=".forecaster.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(buffer.getvalue())
        os.chmod(temporary, 0o644)
        os.replace(temporary, FOLDER / "forecaster.npz")
    except BaseException:
        os.unlink(temporary)
        raise


def train() -> None:
    """Run the selection, report it and write the network."""
    data = load()
    counts = {period: len(data.pairs(period)[0]) for period in ("train", "validation", "test")}
    print("forecasts (overlapping windows):", ", ".join(f"{count} {period}" for period, count in counts.items()))
    candidates = grid(data)
    print("\nexponent  decay    objective  training  validation  product of spectral norms")
    for entry in candidates:
        product = np.prod(spectral_norms(entry.theta))
        print(
            f"{entry.exponent:8d}  {entry.decay:6.4f}  {entry.objective:9.6f}  {entry.training_error:8.4f}"
            f"  {entry.validation_error:10.4f}  {product:8.4f}"
        )
    chosen = choose(candidates)
    theta, slope, curvature = polish(data, chosen)
    layers = canonical(theta)
    print(f"\nchosen: exponent {chosen.exponent}, decay {chosen.decay:.4f}")
    print(f"after Newton's method: largest gradient entry {slope:.0e}, smallest Hessian eigenvalue {curvature:.2e}")
    write(data, layers)


def check_gradient() -> None:
    """Compare back-propagation with central differences along random directions."""
    rng = np.random.default_rng(SEED)
    inputs, targets = load().pairs("train")
    worst = 0.0
    for exponent in EXPONENTS:
        for theta in starting_points():
            direction = rng.standard_normal(theta.size)
            slope = objective(theta, inputs, targets, exponent, 0.1)[1] @ direction
            width = 1e-5
            forward = objective(theta + width * direction, inputs, targets, exponent, 0.1)[0]
            backward = objective(theta - width * direction, inputs, targets, exponent, 0.1)[0]
            worst = max(worst, abs((forward - backward) / (2.0 * width) - slope) / abs(slope))
    print(f"largest relative difference {worst:.1e}")
    if worst > 1e-6:
        raise SystemExit("back-propagation disagrees with finite differences")


def sensitivity() -> None:
    """The chosen regularisation and the product of norms under other split dates."""
    print("validation from  test from  exponent  decay   validation  product of spectral norms")
    for split in (SPLIT, *OTHER_SPLITS):
        chosen = choose(grid(load(split)))
        product = np.prod(spectral_norms(chosen.theta))
        print(
            f"{split[0]:15.2f}  {split[1]:9.2f}  {chosen.exponent:8d}  {chosen.decay:6.4f}"
            f"  {chosen.validation_error:10.4f}  {product:8.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare the gradient with finite differences")
    mode.add_argument("--sensitivity", action="store_true", help="repeat the selection with other split dates")
    arguments = parser.parse_args()
    if arguments.check:
        check_gradient()
    elif arguments.sensitivity:
        sensitivity()
    else:
        train()


if __name__ == "__main__":
    main()
