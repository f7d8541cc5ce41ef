"""What the generators draw: orthogonal and Gaussian matrices of an exact norm, and biases for a chosen equilibrium."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nngames.activations import Activation
from nngames.core.operators import LinearMap
from nngames.core.profiles import Array
from nngames.networks.generators.generator import Generated
from nngames.networks.inputs import ActivationLike, as_activation
from nngames.networks.network import Network

#: Orthogonal weights are multiplied by this. Rounding may lift the norm of an orthogonal matrix above 1, and then
#: nothing is proved about it; with this factor the stored matrix is provably nonexpansive, up to some 1000 rows.
NONEXPANSIVE = 1.0 - 1e-9


def haar_orthogonal(size: int, rng: np.random.Generator) -> Array:
    """Return an orthogonal matrix from the uniform (Haar) distribution."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    # The signs of R's diagonal make the factorisation unique, hence Q uniform (Mezzadri 2007).
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def gaussian_of_norm(rows: int, columns: int, norm: float, rng: np.random.Generator) -> Array:
    """Return a matrix with independent normal entries, scaled to a spectral norm."""
    matrix = rng.standard_normal((rows, columns))
    return matrix * (norm / spectral_norm(matrix))


def spectral_norm(matrix: Array) -> float:
    """Return the largest singular value."""
    return leading_singular_pair(matrix)[0]


def leading_singular_pair(matrix: Array) -> tuple[float, Array]:
    """Return the largest singular value, to a few roundings, and its right singular vector.

    The largest eigenvalue of A'A alone is several times faster than the singular values, and loses nothing: only the
    small ones suffer from the square.
    """
    from scipy.linalg import eigh

    last = matrix.shape[1] - 1
    values, vectors = eigh(matrix.T @ matrix, subset_by_index=[last, last])
    return float(np.sqrt(values[0])), np.asarray(vectors[:, 0])


def planted_ring(
    weights: Sequence[Array | LinearMap], preactivations: Sequence[Array], activation: ActivationLike
) -> Generated:
    """Return the ring with the given weights that has an equilibrium with the given pre-activations v_l.

    With x_l = r(v_l) the biases are b_l = v_l - W_l x_{l-1}.
    """
    response = as_activation(activation)
    actions = [np.asarray(response(v)) for v in preactivations]
    before = [actions[-1], *actions[:-1]]
    biases = [v - _times(w, x) for w, v, x in zip(weights, preactivations, before, strict=True)]
    return Generated(Network.ring(weights, biases, [response] * len(weights)), np.concatenate(actions))


def planted_chain(weights: Sequence[Array], preactivations: Sequence[Array], source: Array, r: Activation) -> Generated:
    """Return the open chain behind the input ``source`` whose forward pass has the given pre-activations."""
    actions = [np.asarray(r(v)) for v in preactivations]
    before = [source, *actions[:-1]]
    biases = [v - w @ x for w, v, x in zip(weights, preactivations, before, strict=True)]
    return Generated(Network.chain(weights, biases, [r] * len(weights), source), np.concatenate(actions))


def _times(weight: Array | LinearMap, x: Array) -> Array:
    return weight.apply(x) if isinstance(weight, LinearMap) else weight @ x
