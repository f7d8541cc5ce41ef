"""The resolvent of the affine operator of a coupled game, u -> x with x + step (M x + q) = u, factorised once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nngames.core.elimination import BlockElimination, feedback_blocks
from nngames.core.errors import NotApplicableError
from nngames.core.factors import DENSE_ORDER, Factor, factorised
from nngames.core.operators import LinearMap, SparseMap
from nngames.core.profiles import Array
from nngames.games.views.inclusions import Resolvent
from nngames.networks.assembly import ASSEMBLE_ENTRIES

if TYPE_CHECKING:
    from nngames.games.coupled_game import CoupledGame
    from nngames.games.coupled_inclusion import CoupledInclusion

#: With more blocks, or with small ones outside a ring, one factor of the whole matrix is faster than their elimination.
_MOST_BLOCKS = 512
#: A solution leaves at most this residual, relative to the terms of the system; one refinement is made where needed.
_RESIDUAL = 1e-13
#: Random vectors that estimate the size of a map that cannot be written out.
_PROBES = 4


class AffineResolvent(Resolvent):
    """(Id + step A)^{-1} of A x = M x + q.

    On a ring, and wherever it takes fewer multiplications, the blocks are eliminated in turn; else M is assembled, and
    is factorised as a sparse or as a dense matrix. A first solution is checked against the operator itself.

    Parameters
    ----------
    view : CoupledInclusion
    step : float

    Raises
    ------
    NotApplicableError
        If a coupling is not linear, a factor would be too large, or Id + step M is singular up to rounding.
    """

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def __init__(self, view: CoupledInclusion, step: float) -> None:
        game, self._view, self._step = view.game, view, step
        if not game.linear:
            raise NotApplicableError("a coupling is not linear, so M has no resolvent that can be factorised")
        try:
            self._factor = _factor(view, step)
        except np.linalg.LinAlgError:
            raise _singular(step) from None
        # M x + q = Q x - u(x), and the constant part of u is the bias.
        q = np.concatenate([-game.network.effective_bias(block) for block in game.blocks.players])
        self._shift = step * q.astype(np.float64)
        self._refine = False
        if not self._is_accurate():
            self._refine = True
            if not self._is_accurate():
                raise _singular(step)
        one_pass = sum(weight.multiplications for weight in game.network.weights.values())
        one_pass += sum(metric.size for metric in view.curvatures()[1])
        share = -(-self._factor.multiplications // one_pass)
        self.passes = 2 * share + 1 if self._refine else share

    def __call__(self, u: Array) -> Array:
        """Return x."""
        x = self._factor.solve(u - self._shift)
        if self._refine:
            x += self._factor.solve(self._defect(u, x))
        return x

    def _defect(self, u: Array, x: Array) -> Array:
        return u - x - self._step * self._view.operator(x, np.empty_like(x))

    def _is_accurate(self) -> bool:
        """Whether a solution leaves a residual of the size of rounding."""
        u = np.random.default_rng(0).standard_normal(self._view.size)
        x = self(u)
        defect = self._defect(u, x)
        # The terms of the system: u, x, step q and step (M x + q).
        terms = sum(float(np.abs(term).max()) for term in (u, x, self._shift, u - x - defect))
        return float(np.abs(defect).max()) <= _RESIDUAL * terms


def _singular(step: float) -> NotApplicableError:
    return NotApplicableError(
        f"Id + {step:.6g} M is singular, or its solutions lose their digits: give another step_size"
    )


def mean_singular_value(view: CoupledInclusion) -> float:
    """Return the root mean square of the singular values of M, |M|_F / sqrt(N); inf where that leaves the floats."""
    game = view.game
    with np.errstate(over="ignore", invalid="ignore"):
        if len(game.blocks.players) > _MOST_BLOCKS:
            _require_entries(game)
            sizes = [_frobenius(view.assembled().data)]
        else:
            sizes = [_map_size(weight) for weight in _couplings(game).values()]
            sizes += [_frobenius(_entries(block)) for block in own_blocks(view)]
        size = math.hypot(*sizes) / math.sqrt(game.size)
    return size if math.isfinite(size) else math.inf


def _entries(matrix: Any) -> Array:
    return matrix if isinstance(matrix, np.ndarray) else matrix.data


def _frobenius(entries: Array) -> float:
    """Return the root of the sum of squares, also where the squares leave the floats."""
    size = math.sqrt(float(np.sum(np.square(entries))))
    if math.isfinite(size):
        return size
    largest = float(np.abs(entries).max())
    return largest * math.sqrt(float(np.sum(np.square(entries / largest))))


def _map_size(weight: Any) -> float:
    """Return |W|_F; of a map that cannot be written out, an estimate by its values at random vectors."""
    if hasattr(weight, "matrix"):
        return _frobenius(_entries(weight.matrix))
    if weight.has_dense:
        return _frobenius(weight.dense)
    draws = np.random.default_rng(0).standard_normal((_PROBES, weight.shape[1]))
    return _frobenius(weight.apply(draws)) / math.sqrt(_PROBES)


def own_blocks(view: CoupledInclusion) -> list[Any]:
    """Return the blocks of M on its diagonal: a diagonal (n,), a dense matrix, or a sparse one where W_ll is sparse."""
    from scipy import sparse

    game = view.game
    result = []
    for block, metric, shift in zip(game.blocks.players, *view.curvatures()[1:], strict=True):
        base = metric - shift if metric.ndim == 1 else metric - shift * np.eye(len(metric))
        loop = game.network.weights.get((block, block))
        # No metric is dense where a layer feeds itself: its own loop is kept in W.
        if isinstance(loop, SparseMap):
            base = sparse.csr_array(sparse.diags_array(base) - loop.matrix.astype(np.float64))
        elif loop is not None:
            base = np.diag(base) - loop.dense
        result.append(base)
    return result


def _couplings(game: CoupledGame) -> dict[tuple[int, int], LinearMap]:
    """Return the couplings between distinct blocks by their numbers, float64."""
    number = {block: i for i, block in enumerate(game.blocks.players)}
    return {
        (number[target], number[source]): weight.astype(np.float64)
        for (target, source), weight in game.couplings().items()
    }


def _require_entries(game: CoupledGame) -> None:
    """Raise NotApplicableError unless every coupling can be written out."""
    if not all(hasattr(weight, "matrix") or weight.has_dense for weight in game.network.weights.values()):
        raise NotApplicableError("a coupling is a map without a matrix, too large to be written out")


def _factor(view: CoupledInclusion, step: float) -> Factor:
    game = view.game
    couplings = _couplings(game)
    if _eliminates(game, couplings):
        return BlockElimination([_shifted(block, step) for block in own_blocks(view)], couplings, step)
    _require_entries(game)
    return factorised(_shifted(view.assembled(), step))


def _shifted(block: Any, step: float) -> Any:
    """Return Id + step * block."""
    if isinstance(block, np.ndarray):
        return 1 + step * block if block.ndim == 1 else np.eye(len(block)) + step * block
    from scipy import sparse

    return sparse.csr_array(sparse.eye_array(block.shape[0]) + step * block)


def _eliminates(game: CoupledGame, couplings: dict[tuple[int, int], LinearMap]) -> bool:
    """Whether the blocks are eliminated in turn: on a ring, or where that takes fewer multiplications."""
    sizes = list(game.blocks.dims.values())
    if len(sizes) > _MOST_BLOCKS:
        return False
    if game.network.ring_order is not None:
        return True
    kept, _ = feedback_blocks(sizes, couplings)
    # A product of few entries costs as much as one of ASSEMBLE_ENTRIES.
    sweep = sum(max(weight.multiplications, ASSEMBLE_ENTRIES) for weight in couplings.values())
    order = sum(sizes[i] for i in kept)
    cost = (2 if kept else 1) * sweep + order**2
    return order <= DENSE_ORDER and (game.size > DENSE_ORDER or cost <= game.size**2)
