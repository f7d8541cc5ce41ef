"""What a layer's parameters multiply: the rows (x_t, 1), or, of a convolution, the patches of x_t with a 1 appended.

A layer of parameters Theta = (W, b), written as one matrix (channels, features), maps a sample to v_t = Theta z for
each of the sample's rows z. A dense layer has one row a sample, (x_t, 1), and a convolution one for each position of
its kernel; so |A_t Theta|^2 is the sum of |Theta z|^2 over the rows z of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.bounds import largest_eigenvalue_bound
from nngames.core.errors import InputError, ShapeError
from nngames.core.profiles import Array

#: Features of a smaller size are not squared.
_SMALL = 1e-100


@dataclass(frozen=True)
class Convolution:
    """A convolution without padding: the layer's input is an image whose pixels hold their channels side by side.

    Attributes
    ----------
    height, width : int
        Of the input image.
    kernel : (int, int)
        Height and width of the kernel.
    channels : int
        Of the output.
    input_channels : int
        Of the input.
    """

    height: int
    width: int
    kernel: tuple[int, int]
    channels: int
    input_channels: int = 1

    def __post_init__(self) -> None:
        kernel = self.kernel
        if not isinstance(kernel, tuple | list) or len(kernel) != 2:
            raise InputError(f"the kernel of a convolution is a pair (height, width); got {kernel!r}")
        object.__setattr__(self, "kernel", tuple(kernel))
        for name, value in self.__dict__.items():
            for number in value if name == "kernel" else (value,):
                if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
                    raise InputError(f"{name} of a convolution must be a positive integer; got {number!r}")
        if self.kernel[0] > self.height or self.kernel[1] > self.width:
            raise InputError(f"the kernel {self.kernel} is larger than the image ({self.height}, {self.width})")

    @property
    def input_size(self) -> int:
        """The size of the layer's input."""
        return self.height * self.width * self.input_channels

    @property
    def positions(self) -> int:
        """How many positions the kernel takes."""
        return (self.height - self.kernel[0] + 1) * (self.width - self.kernel[1] + 1)

    @property
    def output_size(self) -> int:
        """The size of the layer's output: positions, each with its channels."""
        return self.positions * self.channels

    def patches(self, x: Array) -> Array:
        """Return the patches (T, positions, kernel size * input channels) of inputs (T, input_size)."""
        image = x.reshape(len(x), self.height, self.width, self.input_channels)
        windows = np.lib.stride_tricks.sliding_window_view(image, self.kernel, axis=(1, 2))
        # (T, rows, columns, channels, kernel height, kernel width)
        return np.moveaxis(windows, 3, -1).reshape(len(x), self.positions, -1)

    def weight(self, kernels: Array) -> Array:
        """Return the dense weight (output_size, input_size) of kernels (channels, kernel size * input channels)."""
        unit = np.eye(self.input_size)
        return np.einsum("ipf,cf->pci", self.patches(unit), kernels).reshape(self.output_size, self.input_size)


class LayerFeatures:
    """The rows that a layer's parameters multiply, for all samples.

    Parameters
    ----------
    inputs : ndarray (T, m)
    outputs : int
        n, the size of the layer.
    mask : ndarray (n, m) of bool, optional
        Which weights there are; of a convolution it has none.
    convolution : Convolution, optional
    """

    def __init__(
        self, inputs: Array, outputs: int, mask: NDArray[Any] | None = None, convolution: Convolution | None = None
    ) -> None:
        samples, m = inputs.shape
        self.samples, self.outputs, self.convolution = samples, outputs, convolution
        if convolution is None:
            rows, self.positions, self.channels = inputs, 1, outputs
        else:
            if mask is not None:
                raise InputError("a convolution takes no mask: its kernel says which weights there are")
            if m != convolution.input_size or outputs != convolution.output_size:
                raise ShapeError(
                    f"the convolution maps {convolution.input_size} numbers to {convolution.output_size}; the layer "
                    f"maps {m} to {outputs}"
                )
            rows = convolution.patches(inputs).reshape(samples * convolution.positions, -1)
            self.positions, self.channels = convolution.positions, convolution.channels
        #: (T * positions, features), the last feature 1.
        self.rows = np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)
        self.shape = (self.channels, self.rows.shape[1])
        #: Which parameters there are, biases included (channels, features); None where all are.
        self.mask: Array | None = None
        if mask is not None:
            given = np.asarray(mask)
            if given.shape != (outputs, m) or given.dtype.kind not in "biuf" or not np.isin(given, (0, 1)).all():
                raise ShapeError(
                    f"a mask is an array ({outputs}, {m}) of zeros and ones, True where a weight is; got shape "
                    f"{given.shape}"
                )
            self.mask = np.concatenate([given.astype(float), np.ones((outputs, 1))], axis=1)

    @property
    def size(self) -> int:
        """The number of parameters, masked ones included."""
        return self.shape[0] * self.shape[1]

    def kept(self, theta: Array) -> Array:
        """Return the parameters with 0 where the mask has none."""
        return theta if self.mask is None else theta * self.mask

    def preactivations(self, theta: Array) -> Array:
        """Return v (T, n) for parameters (channels, features); masked ones do not count."""
        return (self.rows @ self.kept(theta).T).reshape(self.samples, self.outputs)

    def preactivation_rounding(self, theta: Array) -> Array:
        """Return bounds (T, n) on the rounding of the pre-activations, sums of products in any order."""
        sizes = (np.abs(self.rows) @ np.abs(self.kept(theta)).T).reshape(self.samples, self.outputs)
        return 1.1 * (self.shape[1] + 2) * 2.0**-53 * sizes

    def adjoint(self, u: Array) -> Array:
        """Return sum_t A_t' u_t (channels, features) for u (T, n)."""
        return self.kept(u.reshape(-1, self.channels).T @ self.rows)

    def gram(self, weights: Array) -> Array:
        """Return sum_t omega_t sum_z z z' (features, features) over the rows z of the samples."""
        if (weights == weights[0]).all():
            return weights[0] * (self.rows.T @ self.rows)
        half = self.rows * np.sqrt(np.repeat(weights, self.positions))[:, None]
        return half.T @ half

    def sizes(self, weights: Array) -> Array:
        """Return the root mean square of each feature (features,), the root of the Gram matrix's diagonal; 1 for 0."""
        found = self._root_mean_squares(self.rows, weights)
        small = np.flatnonzero(found < _SMALL)
        if small.size:
            # Squares of tiny entries underflow.
            columns = np.abs(self.rows[:, small]).max(axis=0)
            unit = np.where(columns > 0, columns, 1.0)
            found[small] = unit * np.where(
                columns > 0, self._root_mean_squares(self.rows[:, small] / unit, weights), 1.0
            )
        return found

    def _root_mean_squares(self, rows: Array, weights: Array) -> Array:
        if (weights == weights[0]).all():
            squares = weights[0] * np.einsum("tf,tf->f", rows, rows)
        else:
            squares = np.repeat(weights, self.positions) @ (rows * rows)
        return np.asarray(np.sqrt(squares))

    def gram_norm(self, weights: Array, units: Array | None = None) -> float:
        """Return a safe upper bound on the largest eigenvalue of the Gram matrix of the given rows.

        The computed matrix is off by at most a sum's rounding: entrywise by gamma sqrt(g_ii g_jj), by Cauchy and
        Schwarz, in norm by gamma times the trace.

        Parameters
        ----------
        weights : ndarray (T,)
        units : ndarray (features,), optional
            By which the features are divided, no less than their ``sizes`` up to rounding.
        """
        if units is not None and (units.min() < _SMALL or units.max() > 1 / _SMALL):
            # By the trace: each of these features has a mean square of at most 1.
            return len(units) * (1 + 1e-9)
        gram = self.gram(weights)
        terms = len(self.rows) + 8
        if units is not None:
            gram /= units * units[:, None]
        return float(np.nextafter(largest_eigenvalue_bound(gram) + 1.1 * terms * 2.0**-53 * np.trace(gram), np.inf))

    def squared_norms(self) -> Array:
        """Return |A_t|^2 (T,): 1 + |x_t|^2 of a dense layer; of a convolution the largest eigenvalue of its patches."""
        if self.positions == 1:
            return np.sum(self.rows**2, axis=1)
        grouped = self.rows.reshape(self.samples, self.positions, -1)
        return np.array([np.linalg.norm(block, 2) ** 2 for block in grouped])

    def part(self, samples: NDArray[np.intp]) -> LayerFeatures:
        """Return the features of some samples."""
        chosen = object.__new__(LayerFeatures)
        chosen.__dict__.update(self.__dict__)
        chosen.samples = len(samples)
        chosen.rows = self.rows.reshape(self.samples, self.positions, -1)[samples].reshape(-1, self.shape[1])
        return chosen

    def weight_and_bias(self, theta: Array) -> tuple[Array, Array]:
        """Return the layer's dense weight (n, m) and bias (n,)."""
        kept = self.kept(theta)
        weight, bias = kept[:, :-1], kept[:, -1]
        if self.convolution is None:
            return weight.copy(), bias.copy()
        return self.convolution.weight(weight), np.tile(bias, self.positions)
