"""Scalar activations in mpmath's arithmetic, written from their definitions: the second route of the audit's tests.

``EXACT`` maps a name to r(v, **parameters); the defaults are the package's. Nothing here is taken from the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import exp, log, mpf, sqrt

Function = Callable[..., Any]


def sigmoid(v: Any) -> Any:
    return 1 / (1 + exp(-v)) if v > 0 else exp(v) / (1 + exp(v))


def softplus(v: Any) -> Any:
    return max(v, mpf(0)) + mpmath.log1p(exp(-abs(v)))


def elu(v: Any, alpha: Any = 1) -> Any:
    return v if v > 0 else alpha * mpmath.expm1(v)


def clip(v: Any, low: Any, high: Any) -> Any:
    return min(max(v, mpf(low)), mpf(high))


def shrink(v: Any, threshold: Any) -> Any:
    return mpmath.sign(v) * max(abs(v) - threshold, 0)


def soft_exponential(v: Any, exponent: Any = 1) -> Any:
    if exponent == 0:
        return v
    if exponent < 0:
        return -log(1 - exponent * (v + exponent)) / exponent
    return exponent + mpmath.expm1(exponent * v) / exponent


def probit(v: Any) -> Any:
    return sqrt(mpf(2)) * mpmath.erfinv(2 * v - 1)


def softsign(v: Any) -> Any:
    return v / (1 + abs(v))


def sqnl(v: Any) -> Any:
    c = clip(v, -2, 2)
    return c - c * abs(c) / 4


EXACT: dict[str, Function] = {
    "absolute_value": abs,
    "arctan": mpmath.atan,
    "bent_identity": lambda v, scale=1: scale * (2 * v + sqrt(v * v + 1) - 1) / 3,
    "bipolar_sigmoid": lambda v: mpmath.tanh(v / 2),
    "celu": lambda v, alpha=1: v if v > 0 else alpha * mpmath.expm1(v / alpha),
    "cloglog": lambda v: -mpmath.expm1(-exp(v)),
    "elu": elu,
    "gaussian": lambda v: exp(-v * v),
    "gelu": lambda v, scale=1: scale * v * mpmath.erfc(-v / sqrt(mpf(2))) / 2,
    "gelu_tanh": lambda v, scale=1: scale * v * sigmoid(2 * sqrt(2 / mpmath.pi) * (v + mpf("0.044715") * v**3)),
    "hard_sigmoid": lambda v: clip((v + 3) / 6, 0, 1),
    "hard_tanh": lambda v: clip(v, -1, 1),
    "hardshrink": lambda v, lambda_=1: v if abs(v) > lambda_ else mpf(0),
    "hardswish": lambda v: v * clip((v + 3) / 6, 0, 1),
    "heaviside_approx": lambda v, epsilon=0.25: sigmoid(v / epsilon),
    "identity": lambda v: v,
    "inverse_multiquadric": lambda v, center=0, width_excess=0: 1 / sqrt((v - center) ** 2 + (1 + width_excess) ** 2),
    "isrlu": lambda v, lambda_=1: v if v >= 0 else v / sqrt(1 + lambda_ * v * v),
    "isru": lambda v, excess=1: v / sqrt(1 + (1 + excess) * v * v),
    "leaky_relu": lambda v, slope=0.01: v if v > 0 else slope * v,
    "linear": lambda v, slope=1, bias=0: slope * v + bias,
    "linear_gaussian": lambda v: v * exp(-v * v),
    "log_sigmoid": lambda v: -softplus(-v),
    "logistic": lambda v, slope=1, bias=0: sigmoid(slope * v + bias),
    "logit": lambda v: log(v / (1 - v)) / 10 if 0.25 <= v <= 0.75 else mpf(0),
    "metallic_mean": lambda v: (v + sqrt(v * v + 4)) / 2,
    "mish": lambda v: v * mpmath.tanh(softplus(v)),
    "multiquadric": lambda v, center=0, width=1: sqrt((v - center) ** 2 + width**2),
    "piecewise_linear": lambda v: clip(v + mpf(1) / 2, 0, 1),
    "prelu": lambda v, slope=0.25: v if v > 0 else slope * v,
    "quick_gelu": lambda v: v * sigmoid(mpf(1.702) * v),
    "relu": lambda v, slope=1, bias=0: max(slope * v + bias, mpf(0)),
    "relu6": lambda v: clip(v, 0, 6),
    "selu": lambda v: mpf("1.0507009873554804934193349852946") * elu(v, mpf("1.6732632423543772848170429916717")),
    "selu_as_printed": lambda v: mpf("0.0507") * mpf("0.6733") * elu(v),
    "sigmoid": sigmoid,
    "silu": lambda v: v * sigmoid(v),
    "sin": mpmath.sin,
    "sinc": lambda v: mpmath.sin(v) / v if v else mpf(1),
    "sinu_sigmoidal": lambda v, amplitude=1, frequency=1: (v + amplitude * mpmath.sin(frequency * v)) * sigmoid(v),
    "snake": lambda v, frequency=1: v + mpmath.sin(frequency * v) ** 2 / frequency,
    "soft_clipping": lambda v, sharpness=1: (softplus(sharpness * v) - softplus(sharpness * (v - 1))) / sharpness,
    "soft_exponential": soft_exponential,
    "soft_threshold": lambda v, threshold=1: shrink(v, threshold),
    "softplus": lambda v, scale=1: scale * softplus(v),
    "softplus_beta": lambda v, beta=1: softplus(beta * v) / beta,
    "softshrink": lambda v, lambda_=1: shrink(v, lambda_),
    "softsign": softsign,
    "softsign_probit": lambda v: softsign(probit(v)),
    "sqnl": sqnl,
    "squareplus": lambda v, b=4: (v + sqrt(v * v + b)) / 2,
    "swish": lambda v, scale=1, beta=1: scale * v * sigmoid(beta * v),
    "tanh": lambda v, scale=1: scale * mpmath.tanh(v),
    "tanhshrink": lambda v: v - mpmath.tanh(v),
}
