"""One compiled pass of a map of many layers, or of large or sparse ones, where the kernels are loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.core.operators import DenseMap
from nngames.core.pieces import LONG, pieces
from nngames.core.profiles import Array
from nngames.networks.compiled.loading import Kernels, kernels
from nngames.networks.compiled.maps import FusedMap, columns_of
from nngames.networks.compiled.sparse_map import PIECE, FusedSparseMap, only_read
from nngames.networks.piecewise import is_zero
from nngames.networks.roundings import answers_apart

if TYPE_CHECKING:
    from nngames.networks.layers import Layer
    from nngames.networks.piecewise import Visit

#: A single pass is compiled from so many layers on, or where a product has so many multiplications.
FEW_LAYERS, LARGE_PRODUCT = 4, 2**14
DOUBLE = np.dtype(np.float64)
#: What passes keep once it is made, and what they keep of it for each precision.
MADE = frozenset({"_compiled", "fused", "forward", "elimination", "near"})
MADE_BY_PRECISION = frozenset({"_layers", "_assembled", "_bound"})


def compiled_pass(
    layers: Sequence[Layer], fused: Callable[[], FusedMap | None]
) -> CompiledPass | CompiledSparsePass | None:
    """Return one pass of the map ``fused`` of these layers; None where it is no faster or the kernels are not loaded.

    A call costs as much as some small layers do. The packed weights of large ones are those that compiled steps read:
    the others need not take their room in the cache. Few affine layers are solved in a few passes, with kept factors,
    and packing them would take as long as those.
    """
    loaded = kernels(limited=True)
    if loaded is None:
        return None
    if len(layers) < FEW_LAYERS and (
        all(layer.bias.size * columns_of(layer) < LARGE_PRODUCT for layer in layers) or all(map(_is_affine, layers))
    ):
        return None
    packed = fused()
    if packed is None:
        return None
    return CompiledSparsePass(packed, loaded) if isinstance(packed, FusedSparseMap) else CompiledPass(packed, loaded)


def _is_affine(layer: Layer) -> bool:
    """Whether a layer has one dense coupling and a response of one slope."""
    return isinstance(layer.single, DenseMap) and layer.activation.has_one_slope


class Compilable:
    """What passes over layers share: their compiled form, kept once the kernels are loaded, and its rounding."""

    _compiled: CompiledPass | CompiledSparsePass | None = None

    @cached_property
    def apart(self: Any) -> tuple[float, float]:
        """How far answers may be apart that sum in other orders; see ``answers_apart``."""
        return answers_apart(self.layers(DOUBLE))

    def compiled(self: Any, dtype: Any) -> CompiledPass | CompiledSparsePass | None:
        """Return the compiled pass, which is one in double precision; None where there is none."""
        if dtype is not DOUBLE and dtype != DOUBLE:
            return None
        if self._compiled is None:
            self._compiled = compiled_pass(self.layers(dtype), lambda: self.fused)
        found: CompiledPass | CompiledSparsePass | None = self._compiled
        return found

    def __getstate__(self) -> dict[str, Any]:
        # Bound functions have no copies: a copy makes for itself what was made on the way.
        state = {name: value for name, value in vars(self).items() if name not in MADE}
        return state | {name: {} for name in MADE_BY_PRECISION & state.keys()}


class CompiledPass:
    """One pass of a packed map, as a function (x, out) -> out; ``out`` is contiguous and not x."""

    def __init__(self, fused: FusedMap, kernels: Kernels) -> None:
        self._fused, self._kernels = fused, kernels
        self._evaluate, self._shape, self._arguments = kernels.evaluate, fused.shape, fused.arguments()

    def __reduce__(self) -> tuple[Any, ...]:
        # Two of the arguments are one memory, which they would not be in a copy of each.
        return CompiledPass, (self._fused, self._kernels)

    def __call__(self, x: Array, out: Array) -> Array:
        """Write R(x) into ``out``."""
        self._evaluate(*self._arguments, self._shaped(x), out.reshape(self._shape))
        return out

    def outputs(self, x: Array, out: Array) -> Array:
        """Write R(x) of a composite map into ``out``; return what its layers answered (L, rows), rows padded.

        They are in an array of their own: another thread may make a pass before they are read.
        """
        *fixed, outputs, work, blocks = self._arguments
        answered = np.empty_like(outputs)
        self._evaluate(*fixed, answered, work, blocks, self._shaped(x), out.reshape(self._shape))
        return answered

    def _shaped(self, x: Array) -> Array:
        """Return x as the kernels take it, a copy if it is read-only or has gaps."""
        return (x if x.flags.carray else x.copy()).reshape(self._shape)


class CompiledSparsePass:
    """One pass of a sparse network of one layer, as a function (x, out) -> out; ``out`` is contiguous and not x."""

    def __init__(self, fused: FusedSparseMap, kernels: Kernels) -> None:
        self._fused, self._evaluate = fused, kernels.sparse_evaluate

    def __call__(self, x: Array, out: Array) -> Array:
        """Write R(x) into ``out``."""
        x = x if x.flags.carray else x.copy()
        self._evaluate(*self._arguments(x), x, out)
        return out

    def outputs(self, x: Array, out: Array) -> Array:
        """Write R(x) into ``out`` and return it as the output of the one layer (1, n)."""
        return self(x, out)[np.newaxis]

    def visited(self, x: Array, out: Array, visit: Visit) -> None:
        """Write R(x) into ``out`` and visit each piece of it."""
        x = x if x.flags.carray else x.copy()
        *network, all_pieces, order, work, answers = self._arguments(x)
        for piece in pieces(len(out)):
            some = all_pieces[piece.start // PIECE : -(-piece.stop // PIECE)]
            self._evaluate(*network, some, order, work, answers, x, out)
            visit(piece)

    def _arguments(self, x: Array) -> tuple[Any, ...]:
        """Return the kernel's first arguments; at a long 0 those of a matrix of empty rows."""
        starts, *others = self._fused.arguments()
        if len(x) >= LONG and is_zero(x):
            # Zeros that nobody has written take no memory; those of zeros_like are written.
            starts = only_read(np.zeros(starts.shape, starts.dtype))
        return starts, *others
