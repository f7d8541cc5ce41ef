"""Maps of networks packed for the compiled kernels: which small dense networks have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nngames.core.operators import DenseMap
from nngames.core.profiles import Array
from nngames.networks.forms import Form, form_of

if TYPE_CHECKING:
    from nngames.networks.compiled.loading import Kernels
    from nngames.networks.layers import Layer

#: A residual this close to that of a stored iterate, relative to the larger of that and the scale, may belong to a
#: return to it: compiled steps end there for the rule for cycles to look.
RECURRENCE = 1e-9
#: Gram matrices are trusted while each difference keeps this share of its square beside the newer ones.
GRAM_INDEPENDENCE = 1e-10
#: Products of more multiplications gain nothing from compiled loops beside the BLAS.
LARGEST_PRODUCT = 250_000
#: Columns that compiled factors eliminate at once.
PANEL = 8
#: Seconds that one multiplication, and one layer, takes at most: what bounds a stretch of compiled steps in time.
_PER_MULTIPLICATION, _PER_LAYER = 1e-9, 1e-6


#: Products of so many multiplications take less time in single precision.
SINGLE_PRODUCT = 2**13
#: The largest weight of each layer is between the inverse of this and this, so that moves which pass through several
#: layers stay far from the limits of single precision.
LARGEST_SINGLE = 1e6
#: Passes from one base in single precision, and the share of the distance from it that their rounding may be: eight
#: roundings of 6e-8.
FROM_BASE, ROUNDINGS = 32, 5e-7
#: Beyond so long a move from the base products may exceed single precision.
LARGEST_MOVE = 1e15
#: Makes passes read the weights in double precision.
_DOUBLE = np.empty((0, 0, 0, 0), dtype=np.float32), np.empty((0, 0), dtype=np.float32), np.empty((0, 0, 0))


class FusedMap:
    """A map of a network packed for the compiled kernels; see ``fused_kernels``.

    Attributes
    ----------
    weights, biases, parameters, stages : ndarray
    shape : tuple of int
        The shape in which the kernels take an iterate: (L, n), or (1, n_L) for the composite map; (n,) if sparse.
    seconds : float
        What a pass takes at most.
    sparse : bool
        Whether it is a sparse map, which other kernels take.
    multiplications, entries : int
        Those of a pass.
    """

    sparse: ClassVar[bool] = False
    _singles: Array | None = None
    shape: tuple[int, ...]

    def __init__(self, layers: Sequence[Layer], forms: Sequence[Form], composite: bool) -> None:
        self._layers = layers
        #: The packed weights once they are made, of shallow copies too.
        self._packed: list[Array] = []
        n = max(layer.bias.size for layer in layers)
        rows = -(-n // 4) * 4
        places = {layer.where.start: place for place, layer in enumerate(layers)}
        biases = np.zeros((len(layers), rows))
        self.parameters = np.zeros((2, len(layers), rows))
        self.stages = np.zeros((len(layers), 4), dtype=np.int64)
        for place, (layer, (form, first, second)) in enumerate(zip(layers, forms, strict=True)):
            size, source = layer.bias.size, 0
            if isinstance(layer.single, DenseMap) and layer.source is not None:
                source = places[layer.source.start]
            biases[place, :size] = layer.bias
            self.parameters[0, place, :size], self.parameters[1, place, :size] = first, second
            self.stages[place] = size, columns_of(layer), source, form
        self.biases = biases.reshape(len(layers), -1, 4)
        self.shape = (1, layers[-1].bias.size) if composite else (len(layers), n)
        self.multiplications, self.entries = int(self.stages[:, 0] @ self.stages[:, 1]), int(self.stages[:, 0].sum())
        passed = self.multiplications + 30.0 * self.entries
        self.seconds = _PER_MULTIPLICATION * passed + _PER_LAYER * len(layers)

    @property
    def weights(self) -> Array:
        """W_1, ..., W_L in blocks of four rows, packed when first asked for: to know what passes cost takes none."""
        if not self._packed:
            self._packed.append(self._copied_weights())
        return self._packed[0]

    def _copied_weights(self) -> Array:
        weights = np.zeros((*self.parameters.shape[1:], int(self.stages[:, 1].max())))
        for place, layer in enumerate(self._layers):
            if isinstance(layer.single, DenseMap) and layer.source is not None:
                weights[place, : layer.bias.size, : columns_of(layer)] = layer.single.matrix
        return weights.reshape(len(weights), -1, 4, weights.shape[2])

    def arguments(self) -> tuple[Any, ...]:
        """Return the first arguments of a kernel: the map, and the work space of one call."""
        _, layers, rows = self.parameters.shape
        work = np.empty(rows)
        outputs = np.empty((layers, rows))
        return self.weights, self.biases, self.parameters, self.stages, outputs, work, work.reshape(-1, 4)

    def refined(self, single: bool) -> tuple[Any, ...]:
        """Return the last arguments of the kernel of relaxed steps: what it needs to read weights in single precision.

        They are empty unless that is wanted, pays, and the weights are of a size for it. These are rounded once.
        """
        if not single or self.multiplications < SINGLE_PRODUCT * len(self.stages):
            return _DOUBLE
        if self._singles is None:
            self._singles = _rounded(self.weights)
        if not self._singles.size:
            return _DOUBLE
        layers, rows = self.parameters.shape[1:]
        return self._singles, np.zeros((layers, rows), dtype=np.float32), np.zeros((3, layers, rows))

    def relaxed_steps(self, kernels: Kernels) -> Callable[..., int]:
        """Return the kernel that makes relaxed steps on the map."""
        return kernels.relaxed_steps


def _rounded(weights: Array) -> Array:
    """Return the weights in single precision; nothing where a layer's are out of ``LARGEST_SINGLE``."""
    largest = np.abs(weights).max(axis=(1, 2, 3))
    if not ((largest == 0) | ((largest >= 1 / LARGEST_SINGLE) & (largest <= LARGEST_SINGLE))).all():
        return _DOUBLE[0]
    return weights.astype(np.float32)


def columns_of(layer: Layer) -> int:
    """Return the columns of a layer's matrix, 0 where it listens to nobody."""
    return 0 if layer.single is None else layer.single.shape[1]


def fused_map(layers: Sequence[Layer], composite: bool) -> FusedMap | None:
    """Return the packed map of layers with at most one dense coupling each and compiled activations; else None.

    The layers of a joint map have one size. Where the sizes of a ring's layers differ much, so that most of the packed
    array would be empty, there is none either, nor where nobody listens to anybody.
    """
    forms = []
    for layer in layers:
        dense = isinstance(layer.single, DenseMap) and layer.single.multiplications <= LARGEST_PRODUCT
        form = form_of(layer.activation)
        if layer.others or not (dense or layer.single is None) or form is None:
            return None
        forms.append(form)
    sizes = {layer.bias.size for layer in layers}
    if not composite and len(sizes) > 1:
        return None
    stored = sum(layer.bias.size * columns_of(layer) for layer in layers)
    packed = len(layers) * max(sizes) * max(map(columns_of, layers))
    if not 0 < packed <= 4 * stored:
        return None
    return FusedMap(layers, forms, composite)
