"""Gradient training of a whole chain by back-propagation, to compare the games with.

The loss is not convex: what is found is a critical point at best, and a small residual says no more than that.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.core.errors import OptionError, check_choice, check_positive
from nngames.core.profiles import Array
from nngames.core.seeds import Seed, generator
from nngames.core.threads import blas_threads
from nngames.results.result import Status
from nngames.solvers.options import integer_from
from nngames.training.chain import ChainShape, initial_parameters
from nngames.training.chain_loss import ChainLoss
from nngames.training.data import read_numbers
from nngames.training.trained import TrainedNetwork

METHODS = ("lbfgs", "adam", "projected_gradient")
#: Adam's decay of the means of the gradient and of its square, and what keeps its quotient finite [kingma2015].
DECAY, SQUARE_DECAY, SMALL = 0.9, 0.999, 1e-8


@dataclass(frozen=True, eq=False)
class BackpropagationResult:
    """What gradient training came to.

    Attributes
    ----------
    network : TrainedNetwork
    status : Status
        ``converged``: the residual, the norm of theta - P(theta - dE(theta)), is at most tolerance times max(1, that of
        the start). Else ``max_iterations``, ``max_seconds``, ``stalled`` or ``not_finite``.
    loss, residual : float
        At the network, on all samples.
    losses : ndarray
        After each iteration; of Adam, the means over an epoch's batches.
    iterations : int
        Steps, of Adam epochs.
    seconds : float
    message : str
    """

    network: TrainedNetwork
    status: Status
    loss: float
    residual: float
    losses: Array
    iterations: int
    seconds: float
    message: str


def train_by_backpropagation(
    inputs: ArrayLike,
    targets: ArrayLike,
    activations: Sequence[Any],
    widths: Sequence[int],
    *,
    method: str = "lbfgs",
    weights: ArrayLike | None = None,
    ridge: Any = 0.0,
    bounds: Any = None,
    start: Sequence[ArrayLike] | None = None,
    seed: Seed = None,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    max_seconds: float | None = None,
    batch: int = 64,
    step_size: float = 1e-3,
) -> BackpropagationResult:
    """Train a chain of dense layers by gradients of its last layer's loss.

    Parameters
    ----------
    inputs : array_like (T, n_0)
    targets : array_like (T, n_L)
    activations : sequence of L names, mappings with a name, or Activation
        The last one the gradient of a convex function.
    widths : sequence of L - 1 int
        The sizes of the hidden layers.
    method : {"lbfgs", "adam", "projected_gradient"}
        SciPy's L-BFGS-B on all samples; Adam on random batches; or gradient steps with a line search, which keep
        bounds.
    weights : array_like (T,), optional
    ridge : float or sequence of L floats
    bounds : float or sequence of L floats or None, optional
        Bounds on |W_l|_2, for ``projected_gradient``.
    start : sequence of L arrays (n_l, n_{l-1} + 1), optional
        The first matrices (W, b); default: drawn.
    seed : int or Generator, optional
        Of the first weights and the batches.
    tolerance : float
    max_iterations : int
        Steps; of Adam, epochs.
    max_seconds : float, optional
    batch : int
        The samples of a batch of Adam.
    step_size : float
        Of Adam.

    Returns
    -------
    BackpropagationResult

    Raises
    ------
    ShapeError, InputError, UnknownNameError, OptionError, NotApplicableError
        If the data do not fit each other, or an option is not usable.
    """
    check_choice("train_by_backpropagation: method", method, METHODS)
    check_positive("tolerance", tolerance)
    check_positive("step_size", step_size)
    limit = integer_from("train_by_backpropagation", "max_iterations", max_iterations, 1)
    rows = integer_from("train_by_backpropagation", "batch", batch, 1)
    if max_seconds is not None:
        check_positive("max_seconds", max_seconds)
    shape = ChainShape(inputs, targets, activations, widths, weights=weights, ridge=ridge)
    shape.activations[-1].require_penalty()
    loss = ChainLoss(shape, read_numbers("bounds", bounds, shape.depth, none=True))
    if method != "projected_gradient" and any(bound is not None for bound in loss.bounds):
        raise OptionError(f"bounds are kept by method='projected_gradient'; got method={method!r}")
    rng = generator(seed)
    theta = loss.project(_first(loss, start, rng))
    with (
        blas_threads(len(shape.inputs) * max(shape.sizes) ** 2, loss.size),
        np.errstate(over="ignore", invalid="ignore"),
    ):
        run = _Run(loss, theta, tolerance, limit, max_seconds)
        if method == "lbfgs":
            run.lbfgs()
        elif method == "adam":
            run.adam(rng, rows, float(step_size))
        else:
            run.projected_gradient()
        return run.result(method)


def _first(loss: ChainLoss, start: Sequence[ArrayLike] | None, rng: np.random.Generator) -> Array:
    if start is None:
        return np.concatenate([matrix.ravel() for matrix in initial_parameters(loss.shape, rng)])
    theta = np.zeros(loss.size)
    given = list(start)
    wanted = loss.matrices(theta)
    if len(given) != len(wanted) or any(np.shape(a) != b.shape for a, b in zip(given, wanted, strict=True)):
        raise OptionError(f"start must be the matrices (W, b) of shapes {', '.join(str(b.shape) for b in wanted)}")
    for target, matrix in zip(wanted, given, strict=True):
        target[:] = matrix
    if not np.isfinite(theta).all():
        raise OptionError("start holds a number that is not finite")
    return theta


class _Enough(Exception):
    """Ends SciPy's run: the residual is met, or the time is up."""


class _Run:
    """One run: its best parameters, the losses on the way, and how it ended."""

    def __init__(self, loss: ChainLoss, theta: Array, tolerance: float, limit: int, max_seconds: float | None) -> None:
        self.loss, self.theta, self.limit = loss, theta, limit
        self.began = time.perf_counter()
        self.deadline = math.inf if max_seconds is None else self.began + max_seconds
        value, gradient = loss.value_and_gradient(theta)
        self.target = tolerance * max(1.0, loss.residual(theta, gradient))
        self.value, self.gradient, self.losses, self.iterations, self.said = value, gradient, [value], 0, ""

    def late(self) -> bool:
        return time.perf_counter() > self.deadline

    def take(self, theta: Array, value: float, gradient: Array) -> None:
        self.theta, self.value, self.gradient = theta, value, gradient
        self.losses.append(value)
        self.iterations += 1

    def met(self) -> bool:
        return self.loss.residual(self.theta, self.gradient) <= self.target

    def lbfgs(self) -> None:
        from scipy.optimize import minimize

        latest: dict[str, Any] = {}

        def values(theta: Array) -> tuple[float, Array]:
            value, gradient = self.loss.value_and_gradient(theta)
            latest.update(theta=theta.copy(), value=value, gradient=gradient)
            if self.late():
                raise _Enough
            return value, gradient

        def note(theta: Array) -> None:
            if not np.array_equal(latest["theta"], theta):
                values(theta)
            self.take(theta.copy(), latest["value"], latest["gradient"])
            if self.met():
                raise _Enough

        options = {"maxiter": self.limit, "maxfun": 20 * self.limit, "gtol": 0.0, "ftol": 0.0, "maxcor": 20}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = minimize(values, self.theta, method="L-BFGS-B", jac=True, callback=note, options=options)
            self.said = " ".join(str(found.message).split())
        except _Enough:
            pass

    def adam(self, rng: np.random.Generator, batch: int, size: float) -> None:
        theta, count = self.theta.copy(), len(self.loss.shape.inputs)
        mean, square, step = np.zeros_like(theta), np.zeros_like(theta), 0
        for _ in range(self.limit):
            values = []
            for rows in np.array_split(rng.permutation(count), max(1, round(count / batch))):
                value, gradient = self.loss.value_and_gradient(theta, rows)
                values.append(value)
                step += 1
                mean = DECAY * mean + (1 - DECAY) * gradient
                square = SQUARE_DECAY * square + (1 - SQUARE_DECAY) * gradient**2
                corrected = mean / (1 - DECAY**step)
                theta = theta - size * corrected / (np.sqrt(square / (1 - SQUARE_DECAY**step)) + SMALL)
            value, gradient = self.loss.value_and_gradient(theta)
            self.take(theta, value, gradient)
            self.losses[-1] = float(np.mean(values))
            if not np.isfinite(value) or self.met() or self.late():
                return

    def projected_gradient(self) -> None:
        size = 1.0
        before: tuple[Array, Array] | None = None
        while self.iterations < self.limit and not self.met() and not self.late():
            if before is not None:
                moved, bent = self.theta - before[0], self.gradient - before[1]
                curvature = float(np.dot(moved, bent))
                # The step of Barzilai and Borwein, where it is one.
                size = float(np.dot(moved, moved)) / curvature if curvature > 0 else 2 * size
            size = min(max(size, 1e-10), 1e10)
            following = self._lower(size)
            if following is None:
                self.said = "no step lowers the loss: rounding hides the rest"
                return
            before = (self.theta, self.gradient)
            self.take(*following)

    def _lower(self, size: float) -> tuple[Array, float, Array] | None:
        """Return the first of the steps size, size/2, ... that lowers the largest of the last losses enough."""
        highest = max(self.losses[-10:])
        while size > 1e-16:
            theta = self.loss.project(self.theta - size * self.gradient)
            moved = theta - self.theta
            value, gradient = self.loss.value_and_gradient(theta)
            if value <= highest - 1e-4 / size * float(np.dot(moved, moved)) and np.any(moved):
                return theta, value, gradient
            size /= 2
        return None

    def result(self, method: str) -> BackpropagationResult:
        residual = self.loss.residual(self.theta, self.gradient)
        finite = np.isfinite(self.value) and np.isfinite(residual)
        if not finite:
            status = Status.NOT_FINITE
        elif residual <= self.target:
            status = Status.CONVERGED
        elif self.late():
            status = Status.MAX_SECONDS
        else:
            status = Status.MAX_ITERATIONS if self.iterations >= self.limit else Status.STALLED
        words = {
            Status.CONVERGED: f"residual {residual:.2e} <= {self.target:.2e}",
            Status.NOT_FINITE: "it left the finite numbers: a smaller step_size may keep it",
        }
        said = words.get(status, f"residual {residual:.2e} > {self.target:.2e}; {self.said or 'allow more iterations'}")
        return BackpropagationResult(
            TrainedNetwork.of_matrices(self.loss.matrices(self.theta), self.loss.shape.activations),
            status,
            float(self.value),
            residual,
            np.array(self.losses),
            self.iterations,
            time.perf_counter() - self.began,
            f"back-propagation with {method}: {status} after {self.iterations} iterations; {said}",
        )
