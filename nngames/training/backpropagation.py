"""Gradient training of a whole chain by back-propagation, to compare the games with.

The loss is not convex: what is found is a critical point at best, and a small residual says no more than that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nngames.core.errors import OptionError, check_choice, check_positive
from nngames.core.profiles import Array
from nngames.core.seeds import Seed, generator
from nngames.core.threads import blas_threads
from nngames.core.verdicts import Verdict
from nngames.results.result import Status
from nngames.solvers.backpropagation import OPTIMISERS, Backpropagation
from nngames.solvers.options import integer_from
from nngames.solvers.solver import Ended
from nngames.training.chain import ChainShape, initial_parameters
from nngames.training.chain_game import ChainGame
from nngames.training.chain_loss import ChainLoss
from nngames.training.data import read_numbers
from nngames.training.ring_sets import ring_set
from nngames.training.trained import TrainedNetwork


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
    verdicts : mapping name -> Verdict
        The package's own verdicts on the ring of the network, where a certificate was asked for.
    """

    network: TrainedNetwork
    status: Status
    loss: float
    residual: float
    losses: Array
    iterations: int
    seconds: float
    message: str
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


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
    certificate: str | None = None,
    margin: float | None = None,
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
        L-BFGS on all samples; Adam on random batches; or gradient steps with a line search, which keep
        bounds.
    weights : array_like (T,), optional
    ridge : float or sequence of L floats
    bounds : float or sequence of L floats or None, optional
        Bounds on |W_l|_2, for ``projected_gradient``.
    certificate : {"contraction", "averaged", "monotone"}, optional
        What is to hold of the ring that feeds its answers back, in place of bounds and for ``projected_gradient``: the
        weights are held in a jointly convex set in which it does (``ring_sets``). The result has the verdicts.
    margin : float, optional
        Of the certificate.
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
    check_choice("train_by_backpropagation: method", method, OPTIMISERS)
    check_positive("tolerance", tolerance)
    check_positive("step_size", step_size)
    limit = integer_from("train_by_backpropagation", "max_iterations", max_iterations, 1)
    rows = integer_from("train_by_backpropagation", "batch", batch, 1)
    if max_seconds is not None:
        check_positive("max_seconds", max_seconds)
    shape = ChainShape(inputs, targets, activations, widths, weights=weights, ridge=ridge)
    shape.activations[-1].require_penalty()
    limits = read_numbers("bounds", bounds, shape.depth, none=True)
    loss = ChainLoss(shape, limits, ring_set(certificate, margin, limits, shape.sizes, shape.activations))
    if method != "projected_gradient" and loss.constrained:
        what = "bounds are" if certificate is None else "a certificate is"
        raise OptionError(f"{what} kept by method='projected_gradient'; got method={method!r}")
    rng = generator(seed)
    theta = _first(loss, start, rng)
    with (
        blas_threads(len(shape.inputs) * max(shape.sizes) ** 2, loss.size),
        np.errstate(over="ignore", invalid="ignore"),
    ):
        run = _Run(Backpropagation(method, rows, step_size), loss, rng, theta)
        return run.go(tolerance, limit, max_seconds)


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


class _Run:
    """One run: its state, the losses on the way, and how it ended."""

    def __init__(self, scheme: Backpropagation, loss: ChainLoss, rng: np.random.Generator, theta: Array) -> None:
        self.scheme, self.loss, self.began = scheme, loss, time.perf_counter()
        self.problem = scheme.problem(ChainGame(loss), rng)
        self.state = scheme.start(self.problem, self.problem.restrict(theta))
        self.losses, self.said = [self.state.memory["value"]], ""

    def go(self, tolerance: float, limit: int, max_seconds: float | None) -> BackpropagationResult:
        deadline = math.inf if max_seconds is None else self.began + max_seconds
        target = tolerance * max(1.0, self.state.residual)
        iterations = 0
        status = None
        while status is None:
            state = self.state
            if not (np.isfinite(state.memory["value"]) and np.isfinite(state.residual)):
                status = Status.NOT_FINITE
            elif state.residual <= target:
                status = Status.CONVERGED
            elif time.perf_counter() > deadline:
                status = Status.MAX_SECONDS
            elif iterations == limit:
                status = Status.MAX_ITERATIONS
            else:
                try:
                    self.state = self.scheme.step(self.problem, state)
                except Ended as end:
                    status, self.said = end.status, end.said
                    continue
                iterations += 1
                memory = self.state.memory
                self.losses.append(memory.get("passed", memory["value"]))
        return self._result(status, target, iterations)

    def _result(self, status: Status, target: float, iterations: int) -> BackpropagationResult:
        residual = self.state.residual
        words = {
            Status.CONVERGED: f"residual {residual:.2e} <= {target:.2e}",
            Status.NOT_FINITE: "it left the finite numbers: a smaller step_size may keep it",
        }
        said = words.get(status, f"residual {residual:.2e} > {target:.2e}; {self.said or 'allow more iterations'}")
        network = TrainedNetwork.of_matrices(self.loss.matrices(self.state.x), self.loss.shape.activations)
        ring = self.loss.ring
        return BackpropagationResult(
            network,
            status,
            self.state.memory["value"],
            residual,
            np.array(self.losses),
            iterations,
            time.perf_counter() - self.began,
            f"back-propagation with {self.scheme.optimiser}: {status} after {iterations} iterations; {said}",
            {} if ring is None else ring.verdicts(network.weights, network.biases, network.activations),
        )
