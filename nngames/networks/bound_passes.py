"""Passes of vectors through dense linear layers, made of bound methods: without the looks at what a call is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np

from nngames.activations import Activation
from nngames.activations.foundations.scalar import ScalarActivation
from nngames.activations.numerics.elementwise import BLOCK
from nngames.core.operators import DenseMap
from nngames.core.profiles import Array

if TYPE_CHECKING:
    from nngames.networks.layers import Layer

#: A map (x, out) -> out for vectors of one precision; ``out`` is contiguous and not x.
BoundPass = Callable[[Array, Array], Array]


class Stage(NamedTuple):
    """A dense linear layer of a pass: out[where] = respond(product(x[source]) + bias)."""

    product: Callable[[Array, Array], Any]
    bias: Array
    respond: Callable[[Array, Array], Any]
    source: slice
    where: slice


def dense_stages(layers: Sequence[Layer]) -> list[Stage] | None:
    """Return the stages of layers with one dense coupling each and activations that refuse nothing; else None."""
    stages = []
    for layer in layers:
        coupling = dense_coupling(layer)
        if coupling is None:
            return None
        matrix, source = coupling
        stages.append(Stage(matrix.dot, layer.bias, in_place(layer.activation, layer.bias.size), source, layer.where))
    return stages


def dense_coupling(layer: Layer) -> tuple[Array, slice] | None:
    """Return the matrix and the source of a layer with one dense coupling; None for others.

    None also where the activation may refuse an argument: the passes of such layers name the player.
    """
    weight, source = layer.single, layer.source
    if source is None or layer.others or not layer.activation.defined_everywhere:
        return None
    return (weight.matrix, source) if isinstance(weight, DenseMap) else None


def bound_joint(stages: Sequence[Stage], runs: Sequence[tuple[slice, Activation]]) -> BoundPass:
    """Return the joint map: products into slices, one addition, the activations in place."""
    products = [(stage.product, stage.source, stage.where) for stage in stages]
    bias = np.concatenate([stage.bias for stage in stages])
    responses = [(where, in_place(activation, where.stop - where.start)) for where, activation in runs]

    def evaluate(x: Array, out: Array) -> Array:
        for product, source, where in products:
            product(x[source], out[where])
        np.add(out, bias, out)
        for where, respond in responses:
            target = out[where]
            respond(target, target)
        return out

    return evaluate


def bound_outputs(stages: Sequence[Stage]) -> BoundPass:
    """Return the map from x_L to the profile of the layers' outputs on the way."""

    def evaluate(x: Array, out: Array) -> Array:
        for product, bias, respond, _, where in stages:
            target = out[where]
            product(x, target)
            np.add(target, bias, target)
            respond(target, target)
            x = target
        return out

    return evaluate


def bound_composite(stages: Sequence[Stage]) -> BoundPass:
    """Return the composite map x_L -> O(x_L), with buffers of its own for the layers between."""
    between = [(*stage[:3], np.empty_like(stage.bias)) for stage in stages[:-1]]
    product, bias, respond, _, _ = stages[-1]

    def evaluate(x: Array, out: Array) -> Array:
        for apply, shift, answer, target in between:
            apply(x, target)
            np.add(target, shift, target)
            answer(target, target)
            x = target
        product(x, out)
        np.add(out, bias, out)
        respond(out, out)
        return out

    return evaluate


def in_place(activation: Activation, size: int) -> Callable[[Array, Array], Any]:
    """Return r as a function (v, out) of vectors (size,) for which ``activation`` was accepted; ``out`` may be v."""
    if _elementwise(activation) and size <= BLOCK:
        return activation._response
    return lambda v, out: activation(v, out=out)


def slopes_of(activation: Activation, size: int) -> Callable[[Array, None], Array]:
    """Return r' as a function (v, None) of vectors (size,) for which ``activation`` was accepted."""
    if _elementwise(activation) and size <= BLOCK:
        return activation._slope
    return activation.derivative


def _elementwise(activation: Activation) -> TypeGuard[ScalarActivation]:
    """Whether r is one function of each coordinate, defined on the line."""
    # To learn that a class is not a scalar one Python asks all of these, which takes as long as some passes.
    return activation.separable and isinstance(activation, ScalarActivation) and activation.defined_everywhere
