"""Passes near a base: large dense weights are read in single precision, which takes half the time.

In double precision a pass at x0 tells the pre-activations p = W x0 + b. Near it those at x are p + W (x - x0), and with
W (x - x0) in single precision their rounding is relative to |x - x0| instead of |x|. A base is left for the next
argument where the residual is at most ``ROUNDINGS`` of that distance, or after ``FROM_BASE`` passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nngames.core.operators import DenseMap
from nngames.core.profiles import Array
from nngames.networks.bound_passes import Stage, dense_coupling, dense_stages
from nngames.networks.compiled.maps import FROM_BASE, LARGEST_MOVE, LARGEST_SINGLE, ROUNDINGS

if TYPE_CHECKING:
    from nngames.networks.layers import Layer

#: A dense product of so many multiplications takes the time of reading the weights.
LARGE_PRODUCT = 2**17


class NearStage(NamedTuple):
    """A stage with its weights in single precision."""

    stage: Stage
    single: Array


def near_stages(layers: Callable[[Any], list[Layer]]) -> list[NearStage] | None:
    """Return the stages of layers, which are given in each precision.

    None where a layer is no large dense one, its activation may refuse an argument, or its weights are not of a size
    for single precision.
    """
    double = layers(np.dtype(np.float64))
    stages = dense_stages(double) if all(map(_fits, double)) else None
    if stages is None:
        return None
    return [NearStage(*pair) for pair in zip(stages, _matrices(layers(np.dtype(np.float32))), strict=True)]


def _matrices(layers: Sequence[Layer]) -> list[Array]:
    return [found[0] for layer in layers if (found := dense_coupling(layer)) is not None]


def _fits(layer: Layer) -> bool:
    weight = layer.single
    if not isinstance(weight, DenseMap) or weight.matrix.size < LARGE_PRODUCT:
        return False
    largest = max(float(weight.matrix.max()), -float(weight.matrix.min()))
    return 1 / LARGEST_SINGLE <= largest <= LARGEST_SINGLE


class PassesFromBase:
    """The composite or joint map of stages in double precision near the base of one run."""

    def __init__(self, stages: Sequence[NearStage], composite: bool) -> None:
        self._composite = composite
        #: Each stage, its product in single precision, what that gives, and at the base v and the layer's answer.
        self._stages = [
            (stage, single.dot, np.empty(len(single), single.dtype), *np.empty((2, len(single))))
            for stage, single in stages
        ]
        #: Room for the layers' answers before the last, and for how far they are from those at the base.
        self._answers = [np.empty_like(stage.bias) for stage, _ in stages[:-1]]
        self._moves = [np.empty(len(single), single.dtype) for _, single in stages[:-1]]
        self._base: Array | None = None
        self._passes = 0

    def __call__(self, x: Array, out: Array) -> Array:
        """Write the map's value at x into ``out`` and return it."""
        if self._base is not None:
            move = x - self._base
            size = math.sqrt(move.dot(move))
            if size <= LARGEST_MOVE:
                self._near(move.astype(np.float32), out)
                self._passes += 1
                move = np.subtract(out, x, move)
                if math.sqrt(move.dot(move)) <= ROUNDINGS * size or self._passes >= FROM_BASE:
                    self._base = None
                return out
        self._at(x, out)
        self._base, self._passes = x.copy(), 0
        return out

    def _at(self, x: Array, out: Array) -> None:
        """Write the value at x, which becomes the base."""
        heard = x
        for stage, _, _, v, answer in self._stages:
            stage.product(heard if self._composite else x[stage.source], v)
            np.add(v, stage.bias, v)
            stage.respond(v, answer)
            if self._composite:
                heard = answer
            else:
                out[stage.where] = answer
        if self._composite:
            out[...] = heard

    def _near(self, move: Array, out: Array) -> None:
        """Write the value at the base + ``move``."""
        if not self._composite:
            for stage, product, change, v, _ in self._stages:
                product(move[stage.source], change)
                target = out[stage.where]
                np.add(v, change, target)
                stage.respond(target, target)
            return
        last = len(self._answers)
        for place, (stage, product, change, v, answer) in enumerate(self._stages):
            product(move, change)
            target = self._answers[place] if place < last else out
            np.add(v, change, target)
            stage.respond(target, target)
            if place < last:
                move = np.subtract(target, answer, self._moves[place], casting="same_kind")
