"""The compiled sweep over the rows of a sparse acyclic network, each of which is answered once.

With Numba this function is compiled, and kept on disk, with those of ``fused_kernels``.
"""

from __future__ import annotations

from typing import Any

from nngames.core.profiles import Array
from nngames.networks.compiled.fused_kernels import respond
from nngames.networks.compiled.fused_scalars import compiled

#: Sums term by term as written, like those of a plain pass.
_plain = compiled()


@_plain
def answer_in_order(
    order: Array,
    starts: Array,
    sources: Array,
    values: Array,
    biases: Array,
    kinds: Array,
    forms: Array,
    parameters: Array,
    work: Array,
    x: Array,
) -> None:
    """Write r_i(v_i(x)) into x for each coordinate in order.

    Parameters
    ----------
    order : ndarray (N,)
        Each coordinate after all that it listens to.
    starts, sources, values : ndarray
        The matrix W by rows.
    biases : ndarray (N,)
    kinds : ndarray (N,)
        The index of each coordinate's activation.
    forms : ndarray (K,)
        Of each activation.
    parameters : ndarray (2, K, 1)
    work : ndarray (1,)
    x : ndarray (N, 1)
    """
    for place in range(len(order)):
        row = order[place]
        total = 0.0
        for entry in range(starts[row], starts[row + 1]):
            total += values[entry] * x[sources[entry], 0]
        work[0] = total + biases[row]
        respond(forms[kinds[row]], parameters, kinds[row], 1, work, x, row)


def signatures() -> list[tuple[Any, Any]]:
    """Return the function with its signature in double precision."""
    from numba import float64, int32, int64, types

    # What belongs to the network may be protected.
    places, vector = (types.Array(number, 1, "C", readonly=True) for number in (int32, float64))
    matrices = float64[:, :, ::1], float64[::1], float64[:, ::1]
    return [(answer_in_order, (places, places, places, vector, vector, places, int64[::1], *matrices))]
