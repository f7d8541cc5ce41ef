"""The forward pass of a network without cycles: its players answer once, each after all that it listens to.

The profile that it ends at is the network's only equilibrium, whatever the activations are: nobody's answer reaches
what it answered to. A network of coordinates is answered level by level, one product of rows and one activation each,
with the sums of a plain pass, so that the residual there is mostly 0 to the last bit; or, where the compiled kernels
are loaded, row by row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nngames.activations import Activation
from nngames.core.deadlines import look
from nngames.core.errors import DomainError
from nngames.core.operators import SparseMap, added_product
from nngames.core.profiles import Array, Player, ProfileSpace
from nngames.networks.bound_passes import in_place
from nngames.networks.compiled.loading import Kernels
from nngames.networks.forms import form_of
from nngames.networks.levels import CLOCKED, Levels, levels_of, strictly_lower
from nngames.networks.order import answers_in_order, layer_order, strict_pattern

if TYPE_CHECKING:
    from nngames.networks.layers import Layer
    from nngames.networks.network import Network

#: A matrix of no more entries is kept in the order of the levels; of a larger one so many are reordered at once.
_KEPT, _AT_ONCE = 2**18, 2**16
#: The largest number of entries that the compiled sweep counts to.
_LARGEST = 2**31 - 1


class _Rows(NamedTuple):
    """Rows of the matrix and biases level by level, in one precision; no biases where the matrix has them."""

    first: int
    starts: NDArray[np.integer[Any]]
    sources: NDArray[np.integer[Any]]
    values: Array
    biases: Array | None


class RowSweep:
    """The forward pass of a network of coordinates.

    Parameters
    ----------
    weight : SparseMap
        W (N, N).
    biases : ndarray (N,)
    runs : sequence of (slice, Activation)
        Separable activations, with the stretch of a profile each acts on.
    space : ProfileSpace
        The players, for errors.
    levels : Levels
    in_listed_order : bool
        Whether each coordinate listens to coordinates before it only.
    """

    def __init__(
        self,
        weight: SparseMap,
        biases: Array,
        runs: Sequence[tuple[slice, Activation]],
        space: ProfileSpace,
        levels: Levels,
        in_listed_order: bool,
    ) -> None:
        self.in_listed_order = in_listed_order
        self._weight, self._biases, self._space = weight, biases, space
        index: dict[Activation, int] = {}
        self._kinds = np.empty(len(biases) if len(runs) > 1 else 0, dtype=np.int32)
        for where, activation in runs:
            kind = index.setdefault(activation, len(index))
            if len(runs) > 1:
                self._kinds[where] = kind
        self._activations = list(index)
        known = all(form_of(activation) is not None for activation in index)
        self._compilable = known and weight.matrix.nnz <= _LARGEST
        self._order, self._bounds = levels
        if len(index) > 1:
            self._split_by_kind(levels)
        n = len(biases)
        self._identical = bool((self._order == np.arange(n)).all())
        entries = weight.matrix.nnz + n
        self._rows_at_once = n if entries <= _KEPT or self._identical else max(1, n * _AT_ONCE // entries)
        if self._rows_at_once < n:
            self._bounds = np.union1d(self._bounds, np.arange(0, n, self._rows_at_once, dtype=np.int32))
        self._longest = int(np.diff(self._bounds).max())
        self._rows: dict[Any, _Rows] = {}

    def _split_by_kind(self, levels: Levels) -> None:
        """Let each stretch have one activation."""
        height = np.repeat(np.arange(len(levels.bounds) - 1), np.diff(levels.bounds))
        kinds = self._kinds[levels.order]
        by_kind = np.lexsort((levels.order, kinds, height))
        self._order = levels.order[by_kind]
        changes = (np.diff(height) != 0) | (np.diff(kinds[by_kind]) != 0)
        self._bounds = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(kinds)]])

    def __call__(self, x: Array, kernels: Kernels | None = None, deadline: float = math.inf) -> bool:
        """Write the equilibrium into x (N,); return whether the ``kernels`` did it, whose sums may differ in rounding.

        Raises
        ------
        DomainError
            If an activation is not defined at a pre-activation; it names the player, and x is as it was.
        TimeUpError
            After ``deadline``, likewise.
        """
        if kernels is not None and self._compilable and x.dtype == np.float64 and x.flags.c_contiguous:
            kernels.answer_in_order(*self._packed, np.empty(1), x.reshape(-1, 1))
            return True
        y = self._by_levels(x.dtype, deadline)
        self._scatter(y, x)
        return False

    def _scatter(self, y: Array, x: Any) -> None:
        """Write what stands in the order of the levels into x, without large arrays of indices."""
        for first in range(0, len(y), self._rows_at_once):
            some = slice(first, first + self._rows_at_once)
            x[self._order[some]] = y[some]

    def _by_levels(self, dtype: Any, deadline: float) -> Array:
        """Return the equilibrium, level by level."""
        product, n = added_product(), len(self._biases)
        y = np.zeros(n + 1, dtype=dtype)
        # What the biases are multiplied by where they stand in the last column.
        y[n] = 1.0
        responses = [in_place(activation, self._longest) for activation in self._activations]
        for rows in self._stretches(dtype):
            first, starts, sources, values, biases = rows
            begin = first
            for end, kind in self._levels_of(rows, deadline):
                part = y[begin:end]
                stretch = starts[begin - first : end - first + 1]
                product(end - begin, n + 1, stretch, sources, values, y, part)
                if biases is not None:
                    part += biases[begin:end]
                try:
                    responses[kind](part, part)
                except DomainError as error:
                    raise self._located(part, begin, self._activations[kind], error) from None
                begin = end
        return y[:n]

    def _levels_of(self, rows: _Rows, deadline: float) -> Iterator[tuple[int, int]]:
        """Yield where each level of the rows ends, and the index of its activation."""
        low, high = np.searchsorted(self._bounds, (rows.first, rows.first + len(rows.starts) - 1)) + 1
        for some in range(low, high, CLOCKED):
            look(deadline)
            ends = self._bounds[some : min(some + CLOCKED, high)]
            several = len(self._activations) > 1
            kinds = self._kinds[self._order[ends - 1]].tolist() if several else repeat(0, len(ends))
            yield from zip(ends.tolist(), kinds, strict=True)

    def _stretches(self, dtype: Any) -> Iterator[_Rows]:
        """Yield the rows level by level: one stretch that is kept, or several that are made when they are needed."""
        if dtype in self._rows:
            yield self._rows[dtype]
            return
        matrix: Any = self._weight.astype(dtype).matrix
        biases: Array = self._biases.astype(dtype, copy=False)
        n = len(biases)
        if self._identical:
            self._rows[dtype] = _Rows(0, matrix.indptr, matrix.indices, matrix.data, biases)
            yield self._rows[dtype]
            return
        place = np.empty(n + 1, dtype=np.int32)
        self._scatter(np.arange(n, dtype=np.int32), place)
        place[n] = n
        for first in range(0, n, self._rows_at_once):
            rows = self._reordered(matrix, biases, place, first)
            if self._rows_at_once >= n:
                self._rows[dtype] = rows
            yield rows

    def _reordered(self, matrix: Any, biases: Array, place: NDArray[np.int32], first: int) -> _Rows:
        """Return rows, from the one at ``first`` on, in the order of the levels, and a last column with the biases.

        The last term of a row's sum is then its bias, which a plain pass adds last as well.
        """
        from scipy import sparse

        rows = self._order[first : first + self._rows_at_once]
        biased = sparse.hstack([matrix[rows], sparse.csr_array(biases[rows, np.newaxis])], format="csr")
        return _Rows(first, biased.indptr.astype(np.int32, copy=False), place[biased.indices], biased.data, None)

    @cached_property
    def _packed(self) -> tuple[Any, ...]:
        """The first arguments of the kernel."""
        matrix: Any = self._weight.matrix
        places = [array.astype(np.int32, copy=False) for array in (self._order, matrix.indptr, matrix.indices)]
        forms, first, second = zip(*(form_of(activation) or () for activation in self._activations), strict=True)
        parameters = np.array([first, second], dtype=np.float64)[:, :, np.newaxis]
        kinds = self._kinds if len(self._kinds) else np.zeros(len(self._biases), dtype=np.int32)
        return (*places, matrix.data, self._biases, kinds, np.array(forms, dtype=np.int64), parameters)

    def _located(self, v: Array, first: int, activation: Activation, error: DomainError) -> DomainError:
        """Return the error with the player of the first refused pre-activation, found by halving."""
        from nngames.networks.layers import located, refusal

        while len(v) > 1:
            half = len(v) // 2
            refused = refusal(activation, v[:half]) is not None
            v, first = (v[:half], first) if refused else (v[half:], first + half)
        at = int(self._order[first])
        player = next(player for player, where in self._space.slices.items() if where.start <= at < where.stop)
        return located(player, refusal(activation, v) or error)


class LayerSweep:
    """The forward pass of a network of layers, which no kernel takes.

    Parameters
    ----------
    network : Network
    order : sequence of players
        Each after all that it listens to.
    """

    def __init__(self, network: Network, order: Sequence[Player]) -> None:
        self.in_listed_order = tuple(order) == network.players
        self._joint = network.joint
        self._places = [network.players.index(player) for player in order] if not self.in_listed_order else None

    def __call__(self, x: Array, kernels: Kernels | None = None, deadline: float = math.inf) -> bool:
        """Write the equilibrium into x (N,), as ``RowSweep`` does, without kernels; an error leaves a part of it."""
        from nngames.networks.layers import located

        layers: Sequence[Layer] = self._joint.layers(x.dtype)
        for layer in layers if self._places is None else [layers[place] for place in self._places]:
            part = x[layer.where]
            layer.preactivation(x, part)
            try:
                layer.activation(part, out=part)
            except DomainError as error:
                raise located(layer.player, error) from None
            look(deadline)
        return False


ForwardPass = RowSweep | LayerSweep


def forward_pass(network: Network, deadline: float = math.inf) -> ForwardPass | None:
    """Return the forward pass of a network; None where a signal may return to where it came from.

    By coordinates where all activations are separable and the weights are stored as one sparse matrix, or can be: then
    cycles among layers do not count that none of their coordinates has. Raises TimeUpError after ``deadline``.
    """
    joint = network.joint
    if network.ring_order is not None and len(network.players) > 1:
        return None
    simple = all(activation.separable and activation.size is None for _, activation in joint.runs)
    if not (simple and joint.assembled):
        order = network.players if answers_in_order(network) else layer_order(network)
        if order is not None:
            return LayerSweep(network, order)
    pattern = strict_pattern(network) if simple else None
    levels = None if pattern is None else levels_of(pattern, deadline)
    if pattern is None or levels is None:
        return None
    weight, biases = joint.assembly(np.dtype(np.float64))
    return RowSweep(weight, biases, joint.runs, network.space, levels, strictly_lower(pattern))
