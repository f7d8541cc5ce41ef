"""Maps of a whole layer: variants, and gaps in mpmath's arithmetic, at the point of the domain nearest to x."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mpf

from activation_cases.arithmetic import t_log_t

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("group_soft_threshold", {"threshold": 0.3}),
    ("group_soft_threshold", {"threshold": 3.0}),
    ("layer_norm", {"epsilon": 1.0}),
    ("layer_norm", {"epsilon": 0.03}),
    ("rms_norm", {"epsilon": 2.0}),
    ("rms_norm", {"epsilon": 0.3}),
    ("attention", {"score": 3.0, "bias": 0.7}),
    ("attention", {"score": 0.5, "bias": [0.3, -1.0, 2.0]}),
    ("attention", {"score": 4.0, "bias": [0.0, 0.5]}),
    ("attention", {"score": -1.5, "bias": [0.3, -1.0, 2.0, 0.0]}),
    ("attention", {"score": 2.0, "bias": [0.5]}),
    ("attention", {"score": [[1.0, -0.5, 0.0], [0.3, 0.2, 1.0], [0.0, 0.7, -1.0]], "bias": [0.1, 0.0, -0.2]}),
    ("attention", {"score": [[4.0, 1.0], [-1.0, 3.0]]}),
    ("attention", {"score": [[1.0, 0.0], [0.0, 1.0]], "bias": -1.0}),
    ("attention_gaussian", {"score": -2.0, "bias": [0.3, -1.0, 2.0]}),
    ("attention_gaussian", {"score": [[4.0, 1.0], [-1.0, 3.0]], "bias": [0.5, 0.0]}),
]


def centred(x: list[Any]) -> list[Any]:
    mean = mpmath.fsum(x) / len(x)
    return [t - mean for t in x]


def softsign_norm_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    size, length = mpmath.norm(x), mpmath.norm(v)
    if size >= 1:
        return mpf("inf")
    return -size - mpmath.log1p(-size) + length - mpmath.log1p(length) - mpmath.fdot(x, v)


def group_soft_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    size, length, t = mpmath.norm(x), mpmath.norm(v), mpf(a.threshold)
    return size**2 / 2 + t * size + max(length - t, 0) ** 2 / 2 - mpmath.fdot(x, v)


def rms_norm_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    n, e = len(x), mpf(a.epsilon)
    size = mpmath.norm(x)
    if size**2 > n:
        x = [t * mpmath.sqrt(n) / size for t in x]
        size = mpmath.sqrt(n)
    own = -n * mpmath.sqrt(e) * mpmath.sqrt(max(1 - size**2 / n, 0))
    return own + n * mpmath.sqrt(mpmath.norm(v) ** 2 / n + e) - mpmath.fdot(x, v)


def layer_norm_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    return rms_norm_gap(a, centred(x), centred(v))


def entmax_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    """With t by bisection, from its definition."""
    total = mpmath.fsum(x)
    x = [t / total for t in x]
    low, high = max(v) / 2 - 1, max(v) / 2
    for _ in range(int(mpmath.mp.prec) + 20):
        t = (low + high) / 2
        if mpmath.fsum(max(s / 2 - t, 0) ** 2 for s in v) > 1:
            low = t
        else:
            high = t
    p = [max(s / 2 - low, 0) ** 2 for s in v]

    def entropy(z: list[Any]) -> Any:
        return mpf(4) / 3 * mpmath.fsum(t - t * mpmath.sqrt(t) for t in z)

    return -entropy(x) + mpmath.fdot(p, v) + entropy(p) - mpmath.fdot(x, v)


def attention_gap(a: Any, x: list[Any], v: list[Any]) -> Any:
    total, s = mpmath.fsum(x), mpf(a.score)
    x = [t / total for t in x]
    b = [mpf(t) for t in a.bias] if isinstance(a.bias, tuple) else [mpf(a.bias)] * len(x)
    drive = mpmath.log(mpmath.fsum(mpmath.exp(s * t + c) for t, c in zip(v, b, strict=True))) / s
    return (mpmath.fsum(t_log_t(t) for t in x) - mpmath.fdot(x, b)) / s + drive - mpmath.fdot(x, v)


VECTOR_GAPS: dict[str, Callable[[Any, list[Any], list[Any]], Any]] = {
    "softsign_norm": softsign_norm_gap,
    "group_soft_threshold": group_soft_gap,
    "layer_norm": layer_norm_gap,
    "rms_norm": rms_norm_gap,
    "entmax15": entmax_gap,
    "attention": attention_gap,
}
