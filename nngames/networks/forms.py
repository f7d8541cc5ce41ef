"""Which activations have a compiled form, and with which parameters: the table that the compiled passes go by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nngames.activations import (
    Activation,
    arctan,
    boxes,
    clips,
    elu,
    linear,
    rectifiers,
    shrinkage,
    sigmoids,
    softsign,
)

#: The forms, with a and b the two parameters of a coordinate: v; a v + b; max(0, a v + b); v or, for v < 0, a v;
#: a tanh v; 1/(1 + e^-v); min(b, max(a, v)); min(a, max(0, v + a/2))/a; v/(1 + |v|); v - min(a, max(-a, v)); arctan v;
#: v or, for v < 0, a (e^v - 1).
IDENTITY, AFFINE, RECTIFIED, TWO_SLOPES, TANH, SIGMOID, CLIP, RISE, SOFTSIGN, SOFT_THRESHOLD, ARCTAN, ELU = range(12)

#: A form with its parameters, each one number or one for each coordinate.
Form = tuple[int, Any, Any]


def _linear(activation: Any) -> Form:
    # The constant also where v is infinite.
    b = activation.bias
    return (CLIP, b, b) if activation.slope == 0 else (AFFINE, activation.slope, b)


def _relu(activation: Any) -> Form:
    b = max(0.0, activation.bias)
    return (CLIP, b, b) if activation.slope == 0 else (RECTIFIED, activation.slope, activation.bias)


def _box(activation: Any) -> Form:
    return (CLIP, *activation.ends)


def _two_slopes(activation: Any) -> Form:
    return (CLIP, 0.0, np.inf) if activation.slope == 0 else (TWO_SLOPES, activation.slope, 0.0)


def _rise(activation: Any) -> Form:
    return (RISE, float(activation.width), 0.0)


def _threshold(activation: Any) -> Form:
    return (SOFT_THRESHOLD, activation.level, 0.0)


_FORMS: dict[type[Activation], Callable[[Any], Form]] = {
    linear.Identity: lambda _: (IDENTITY, 0.0, 0.0),
    linear.Linear: _linear,
    rectifiers.Relu: _relu,
    rectifiers.LeakyRelu: _two_slopes,
    rectifiers.Prelu: _two_slopes,
    sigmoids.Tanh: lambda a: (TANH, a.scale, 0.0),
    sigmoids.Sigmoid: lambda _: (SIGMOID, 0.0, 0.0),
    boxes.Box: _box,
    boxes.Nonnegative: _box,
    boxes.HardTanh: _box,
    boxes.Relu6: _box,
    boxes.Singleton: _box,
    clips.PiecewiseLinear: _rise,
    clips.HardSigmoid: _rise,
    softsign.Softsign: lambda _: (SOFTSIGN, 0.0, 0.0),
    shrinkage.Softshrink: _threshold,
    shrinkage.SoftThreshold: _threshold,
    arctan.Arctan: lambda _: (ARCTAN, 0.0, 0.0),
    elu.Elu: lambda a: (ELU, a.alpha, 0.0),
}


def form_of(activation: Activation) -> Form | None:
    """Return the compiled form of an activation and its parameters, one or one a coordinate; None if it has none."""
    maker = _FORMS.get(type(activation))
    return None if maker is None else maker(activation)
