"""Sparse layers answered piece by piece: bias, activation and what a caller does find each piece in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nngames.core import pieces as division
from nngames.core.operators import SparseMap
from nngames.core.pieces import LONG, pieces
from nngames.core.profiles import Array
from nngames.networks.bound_passes import in_place

if TYPE_CHECKING:
    from nngames.networks.layers import Layer

#: What a caller does with each piece of a map's value once it is there.
Visit = Callable[[slice], None]


def answers_by_pieces(layer: Layer) -> bool:
    """Whether a layer is long, listens to one sparse matrix, and answers entry by entry."""
    r = layer.activation
    return (
        isinstance(layer.single, SparseMap)
        and not layer.others
        and layer.bias.size >= LONG
        and r.separable
        and r.size is None
        and layer.single.has_rows(layer.bias.dtype)
    )


def is_zero(x: Array) -> bool:
    """Whether x is 0, where runs start: a product with it would take as long as any.

    Of most others one piece is looked at.
    """
    return not any(x[piece].any() for piece in pieces(x.size))


def answer_by_pieces(layer: Layer, x: Array, out: Array, visit: Visit | None = None) -> None:
    """Write r(b + W x) of such a layer into ``out``, both contiguous vectors, and visit each piece of it.

    Raises DomainError with ``out`` half written.
    """
    answer = _answer(layer, x)
    for piece in pieces(out.size):
        answer(piece, out[piece])
        if visit is not None:
            visit(piece)


def displacement_by_pieces(layer: Layer, x: Array, before: Array) -> float:
    """Return |r(b + W x) - before|_2 of such a layer, without room for the whole answer; all are contiguous vectors."""
    answer, room, square = _answer(layer, x), np.empty(division.PIECE, before.dtype), 0.0
    for piece in pieces(before.size):
        v = room[: piece.stop - piece.start]
        answer(piece, v)
        v -= before[piece]
        square += float(v.dot(v))
    return math.sqrt(square)


def _answer(layer: Layer, x: Array) -> Callable[[slice, Array], None]:
    """Return what writes a piece of r(b + W x) into an array of its size."""
    weight, bias, respond = layer.single, layer.bias, in_place(layer.activation, division.PIECE)
    moved = not is_zero(x)

    def answer(piece: slice, v: Array) -> None:
        v[...] = bias[piece]
        if moved:
            weight.add_rows(piece, x, v)  # type: ignore[union-attr]
        respond(v, v)

    return answer
