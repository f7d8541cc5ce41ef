"""Write references.json: activation functions as PyTorch, SciPy and NumPy compute them, and as mpmath does.

Run it in an environment with torch (CPU), scipy, numpy and mpmath; neither the package nor its tests import torch:

    python -m venv peers && peers/bin/pip install torch scipy numpy mpmath
    peers/bin/python tests/data/activations/make_references.py

The points are seeded by the function's name and parameters, so the file is the same each time; the peers' last bits may
depend on their version and on the processor's vector instructions.

The file holds, for each activation with its parameters (the package's names for both):

inputs
    float64 points: normals at the scales 0.1, 1, 5 and 30, and points where formulas fail (0, +-1e-8, ..., +-1e5).
    Functions of a vector take rows, the last axis.
exact
    The definition below at 400 digits, rounded to float64. No digit of it is lost to cancellation that leaves a value
    of float64's range, so the formulas stand as they are defined. A parameter is the float64 number; a constant of a
    definition (0.044715, 1.702) is the decimal. Points whose value overflows or is subnormal are left out: relative
    accuracy says nothing there. Values that underflow to zero are kept.
peers
    Of each peer its name, version, outputs, and the relative error of each output against the 400 digits.

Numbers that JSON lacks are the strings "inf", "-inf" and "nan".
"""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import scipy
import scipy.optimize
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from mpmath import exp, fabs, log, mp, mpf, sqrt

mp.dps = 400
torch.set_num_threads(1)

PATH = Path(__file__).with_name("references.json")
VERSIONS = {"torch": torch.__version__, "scipy": scipy.__version__, "numpy": np.__version__}

SPECIAL = (0.0, 1e-8, -1e-8, 1e-3, -1e-3, 40.0, -40.0, 700.0, -700.0, 1e5, -1e5)
SCALES = (0.1, 1.0, 5.0, 30.0)
WIDTH = 6
SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)

#: PyTorch's decimals of the constants of selu.
SELU_ALPHA = mpf("1.6732632423543772848170429916717")
SELU_SCALE = mpf("1.0507009873554804934193349852946")
SELU_AS_PRINTED = mpf("0.6733") * mpf("0.0507")

Array = np.ndarray
Tensor = torch.Tensor


@dataclass
class Function:
    """An activation with its parameters, its definition at high precision and the peers that compute it."""

    name: str
    exact: Callable[..., Any]
    parameters: dict[str, float] = field(default_factory=dict)
    #: By source, functions of a float64 array (of a tensor, where the source starts with torch).
    peers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    #: Whether the function takes a row rather than a number.
    row: bool = False
    #: Points beside the usual ones; for ``unit`` those of (0, 1) instead.
    extra: Sequence[float] = ()
    unit: bool = False
    inside: Callable[[float], bool] = lambda v: True

    def points(self) -> list[Any]:
        """Return the points (rows) at which the value is 0 or normal."""
        label = json.dumps([self.name, self.parameters])
        rng = np.random.default_rng(zlib.crc32(label.encode()))
        if self.unit:
            points: list[Any] = [*rng.uniform(size=48).tolist(), *self.extra]
        elif self.row:
            points = [(scale * rng.standard_normal(WIDTH)).tolist() for scale in SCALES for _ in range(2)]
            points += [
                [0.0] * WIDTH,
                [40.0, -40.0, 0.0, 1e-3, -1e-3, 1.0],
                [700.0, 0.0, 1e-8, -1e-8, -0.5, -700.0],
                [1e5, -1e5, 2.0, 0.25, -3.0, 0.0],
                [*(0.01 * rng.standard_normal(WIDTH - 2)).tolist(), 1.0, -2.0],
            ]
        else:
            points = [*(s * v for s in SCALES for v in rng.standard_normal(12).tolist()), *SPECIAL, *self.extra]
            points = [v for v in points if self.inside(v)]
        return [v for v in points if all(_is_kept(value) for value in _flat(self.value(v)))]

    def value(self, v: Any) -> Any:
        """Return the definition at one point or row."""
        point = [mpf(t) for t in v] if self.row else mpf(v)
        return self.exact(point, **{key: mpf(p) for key, p in self.parameters.items()})


FUNCTIONS: list[Function] = []


def add(name: str, exact: Callable[..., Any], /, **options: Any) -> None:
    """Add a function; the options are the fields of Function."""
    FUNCTIONS.append(Function(name, exact, **options))


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _is_kept(value: Any) -> bool:
    size = abs(float(value))
    return size == 0 or SMALLEST_NORMAL <= size < np.inf


# Definitions


def sigmoid(v: Any) -> Any:
    """Return 1/(1 + e^-v)."""
    return 1 / (1 + exp(-v))


def sign(v: Any) -> int:
    """Return the sign."""
    return (v > 0) - (v < 0)


def clip(v: Any, low: Any, high: Any) -> Any:
    """Return v clipped to [low, high]."""
    return mpf(min(max(v, low), high))


def elu(v: Any, alpha: Any) -> Any:
    """Return v for v > 0, alpha (e^v - 1) elsewhere."""
    return v if v > 0 else alpha * (exp(v) - 1)


def softplus(v: Any, beta: Any = 1) -> Any:
    """Return log(1 + e^(beta v))/beta."""
    return mpmath.log1p(exp(beta * v)) / beta


def gelu_tanh(v: Any, scale: Any = 1) -> Any:
    """Return scale v/2 (1 + tanh(sqrt(2/pi)(v + 0.044715 v^3)))."""
    return scale * v / 2 * (1 + mpmath.tanh(sqrt(2 / mpmath.pi) * (v + mpf("0.044715") * v**3)))


def sqnl(v: Any) -> Any:
    """Return -1, v + v^2/4, v - v^2/4 or 1, with the breaks -2, 0, 2."""
    return mpf(sign(v)) if abs(v) >= 2 else v - sign(v) * v**2 / 4


def soft_exponential(v: Any, exponent: Any = 1) -> Any:
    """Return -log(1 - a (v + a))/a, v or a + (e^(a v) - 1)/a by the sign of a."""
    a = exponent
    if a < 0:
        return -log(1 - a * (v + a)) / a
    return v if a == 0 else a + (exp(a * v) - 1) / a


def soft_clipping(v: Any, sharpness: Any = 1) -> Any:
    """Return log((1 + e^(s v))/(1 + e^(s (v - 1))))/s."""
    s = sharpness
    return mpmath.log1p((exp(s * v) - exp(s * (v - 1))) / (1 + exp(s * (v - 1)))) / s


def logit_window(v: Any) -> Any:
    """Return log(v/(1 - v))/10 on [1/4, 3/4], 0 elsewhere."""
    return log(v / (1 - v)) / 10 if 0.25 <= v <= 0.75 else mpf(0)


def probit(v: Any) -> Any:
    """Return the v-quantile of the standard normal distribution, by Newton's method from SciPy's."""
    if v > 0.5:
        return -probit(1 - v)
    x = mpf(float(scipy.special.ndtri(float(v))))
    for _ in range(8):
        x -= (mpmath.ncdf(x) - v) / mpmath.npdf(x) if x else 0
    return x


def shrink(v: Any, threshold: Any = 1) -> Any:
    """Return sign(v) max(|v| - threshold, 0)."""
    return sign(v) * max(fabs(v) - threshold, mpf(0))


def softmax(v: list[Any], gain: Any = 1) -> list[Any]:
    """Return e^(gain v_i) over its sum."""
    powers = [exp(gain * t) for t in v]
    return [p / sum(powers) for p in powers]


def sparsemax(v: list[Any]) -> list[Any]:
    """Return the projection on the simplex: max(v_i - t, 0), t such that the sum is 1."""
    top = sorted(v, reverse=True)
    for k in range(len(v), 0, -1):
        t = (sum(top[:k]) - 1) / k
        if top[k - 1] >= t:
            break
    return [max(x - t, mpf(0)) for x in v]


def entmax15(v: list[Any]) -> list[Any]:
    """Return max(v_i/2 - t, 0)^2, t such that the sum is 1."""
    top = sorted((x / 2 for x in v), reverse=True)
    for k in range(len(v), 0, -1):
        mean = sum(top[:k]) / k
        rest = 1 - sum((x - mean) ** 2 for x in top[:k])
        if rest >= 0 and top[k - 1] >= mean - sqrt(rest / k):
            t = mean - sqrt(rest / k)
            break
    return [max(x / 2 - t, mpf(0)) ** 2 for x in v]


def norm(v: list[Any]) -> Any:
    """Return the Euclidean norm."""
    return sqrt(sum(t**2 for t in v))


def layer_norm(v: list[Any], epsilon: Any = 0.25) -> list[Any]:
    """Return (v - mean)/sqrt(var + epsilon) with the biased variance."""
    mean = sum(v) / len(v)
    variance = sum((t - mean) ** 2 for t in v) / len(v)
    return [(t - mean) / sqrt(variance + epsilon) for t in v]


def rms_norm(v: list[Any], epsilon: Any = 0.25) -> list[Any]:
    """Return v/sqrt(mean(v^2) + epsilon)."""
    return [t / sqrt(sum(s**2 for s in v) / len(v) + epsilon) for t in v]


def group_soft_threshold(v: list[Any], threshold: Any = 1) -> list[Any]:
    """Return (1 - threshold/|v|)_+ v."""
    size = norm(v)
    return [(1 - threshold / size) * t if size > threshold else mpf(0) for t in v]


# Peers


def affine(slope: float, bias: float) -> Callable[[Tensor], Tensor]:
    """Return PyTorch's linear layer with one weight."""
    weight, offset = torch.tensor([[slope]], dtype=torch.float64), torch.tensor([bias], dtype=torch.float64)
    return lambda v: F.linear(v[:, None], weight, offset)[:, 0]


def by_root(response: Callable[[Array, float], Array]) -> Callable[[Array], Array]:
    """Return the map v -> response(v, t), row by row, t the root of sum response(v, t) = 1 in [max v - 1, max v].

    Rows are shifted so that their maximum is 0.
    """

    def apply(v: Array) -> Array:
        rows = []
        for row in v - v.max(axis=-1, keepdims=True):
            t = scipy.optimize.brentq(lambda t, row=row: response(row, t).sum() - 1, -1.0, 0.0, xtol=1e-300, rtol=1e-15)
            rows.append(response(row, t))
        return np.array(rows)

    return apply


def sparsemax_sorted(v: Tensor) -> Tensor:
    """Return sparsemax by sorting."""
    top, _ = torch.sort(v, descending=True, dim=-1)
    k = torch.arange(1, v.shape[-1] + 1, dtype=torch.float64)
    t = (top.cumsum(-1) - 1) / k
    count = (top > t).sum(-1, keepdim=True)
    return torch.clamp(v - t.gather(-1, count - 1), min=0)


def entmax15_sorted(v: Tensor) -> Tensor:
    """Return entmax15 by sorting."""
    half = (v - v.amax(-1, keepdim=True)) / 2
    top, _ = torch.sort(half, descending=True, dim=-1)
    k = torch.arange(1, v.shape[-1] + 1, dtype=torch.float64)
    mean, square = top.cumsum(-1) / k, (top**2).cumsum(-1) / k
    t = mean - torch.sqrt(torch.clamp((1 - k * (square - mean**2)) / k, min=0))
    count = (top >= t).sum(-1, keepdim=True)
    return torch.clamp(half - t.gather(-1, count - 1), min=0) ** 2


def zero_joined(v: Any, module: Any) -> Any:
    """Return rows with a zero joined, as log(1 + sum e^v) needs."""
    return module.concatenate([v, module.zeros_like(v[..., :1])], -1)


BIG = 1e300
special = scipy.special

add("identity", lambda v: v, peers={"torch.nn.Identity": torch.nn.Identity()})
add("linear", lambda v: v, peers={"torch.nn.functional.linear": affine(1.0, 0.0)})
add(
    "linear",
    lambda v, slope, bias: slope * v + bias,
    parameters={"slope": 0.7, "bias": -0.3},
    peers={"torch.nn.functional.linear": affine(0.7, -0.3)},
)
add("relu", lambda v: max(v, mpf(0)), peers={"torch.nn.functional.relu": F.relu})
add(
    "relu",
    lambda v, slope, bias: max(slope * v + bias, mpf(0)),
    parameters={"slope": -0.5, "bias": 0.3},
    peers={"torch.nn.functional.relu(linear)": lambda v: F.relu(affine(-0.5, 0.3)(v))},
)
add(
    "logistic",
    lambda v: sigmoid(v),
    peers={"torch.sigmoid": torch.sigmoid, "scipy.special.expit": special.expit},
)
add(
    "logistic",
    lambda v, slope, bias: sigmoid(slope * v + bias),
    parameters={"slope": -0.5, "bias": 0.3},
    peers={
        "torch.sigmoid": lambda v: torch.sigmoid(-0.5 * v + 0.3),
        "scipy.stats.logistic.sf": lambda v: scipy.stats.logistic.sf(v, loc=0.6, scale=2.0),
    },
)
add("sigmoid", sigmoid, peers={"torch.sigmoid": torch.sigmoid, "scipy.special.expit": special.expit})
add("tanh", mpmath.tanh, peers={"torch.tanh": torch.tanh, "numpy.tanh": np.tanh})
add(
    "tanh",
    lambda v, scale: scale * mpmath.tanh(v),
    parameters={"scale": 0.7},
    peers={"torch.tanh": lambda v: 0.7 * torch.tanh(v), "numpy.tanh": lambda v: 0.7 * np.tanh(v)},
)
add(
    "softmax",
    softmax,
    row=True,
    peers={
        "torch.nn.functional.softmax": lambda v: F.softmax(v, -1),
        "scipy.special.softmax": lambda v: special.softmax(v, axis=-1),
    },
)
add(
    "softmax",
    softmax,
    row=True,
    parameters={"gain": 0.7},
    peers={
        "torch.nn.functional.softmax": lambda v: F.softmax(0.7 * v, -1),
        "scipy.special.softmax": lambda v: special.softmax(0.7 * v, axis=-1),
    },
)
add("gelu_tanh", gelu_tanh, peers={"torch.nn.functional.gelu": lambda v: F.gelu(v, approximate="tanh")})
add(
    "gelu_tanh",
    gelu_tanh,
    parameters={"scale": 0.7},
    peers={"torch.nn.functional.gelu": lambda v: 0.7 * F.gelu(v, approximate="tanh")},
)
add(
    "gelu",
    lambda v: v * mpmath.ncdf(v),
    peers={"torch.nn.functional.gelu": F.gelu, "scipy.special.ndtr": lambda v: v * special.ndtr(v)},
)
add(
    "gelu",
    lambda v, scale: scale * v * mpmath.ncdf(v),
    parameters={"scale": 0.7},
    peers={
        "torch.nn.functional.gelu": lambda v: 0.7 * F.gelu(v),
        "scipy.special.ndtr": lambda v: 0.7 * v * special.ndtr(v),
    },
)
add(
    "softplus",
    softplus,
    peers={
        "torch.nn.functional.softplus": lambda v: F.softplus(v, threshold=BIG),
        "scipy.special.softplus": special.softplus,
        "numpy.logaddexp": lambda v: np.logaddexp(0.0, v),
    },
)
add(
    "softplus",
    lambda v, scale: scale * softplus(v),
    parameters={"scale": 0.7},
    peers={
        "torch.nn.functional.softplus": lambda v: 0.7 * F.softplus(v, threshold=BIG),
        "scipy.special.softplus": lambda v: 0.7 * special.softplus(v),
    },
)
add(
    "softplus_beta",
    softplus,
    peers={
        "torch.nn.functional.softplus": lambda v: F.softplus(v, threshold=BIG),
        "scipy.special.softplus": special.softplus,
    },
)
for value in (0.3, 10.0):
    add(
        "softplus_beta",
        softplus,
        parameters={"beta": value},
        peers={
            "torch.nn.functional.softplus": lambda v, b=value: F.softplus(v, beta=b, threshold=BIG),
            "scipy.special.softplus": lambda v, b=value: special.softplus(b * v) / b,
        },
    )
add(
    "log_sum_exp_one",
    lambda v: mpmath.log1p(sum(exp(t) for t in v)),
    row=True,
    peers={
        "torch.logsumexp": lambda v: torch.logsumexp(zero_joined(v, torch), -1),
        "scipy.special.logsumexp": lambda v: special.logsumexp(zero_joined(v, np), axis=-1),
    },
)
for value in (1.0, 0.3, 2.5):
    add(
        "elu",
        lambda v, alpha=1: elu(v, alpha),
        parameters={} if value == 1 else {"alpha": value},
        peers={
            "torch.nn.functional.elu": lambda v, a=value: F.elu(v, alpha=a),
            "scipy.special.expm1": lambda v, a=value: np.where(v > 0, v, a * special.expm1(np.minimum(v, 0))),
        },
    )
add("selu", lambda v: SELU_SCALE * elu(v, SELU_ALPHA), peers={"torch.nn.functional.selu": F.selu})
add(
    "selu_as_printed",
    lambda v: SELU_AS_PRINTED * (v if v >= 0 else exp(v) - 1),
    peers={"torch.nn.functional.elu": lambda v: F.elu(v, alpha=1.0) * (0.6733 * 0.0507)},
)
for name, default in (("leaky_relu", 0.01), ("prelu", 0.25)):
    for value in (default, 0.7, -0.5):
        torch_peer = (
            {"torch.nn.functional.leaky_relu": lambda v, s=value: F.leaky_relu(v, s)}
            if name == "leaky_relu"
            else {"torch.nn.functional.prelu": lambda v, s=value: F.prelu(v, torch.tensor([s], dtype=torch.float64))}
        )
        add(
            name,
            lambda v, slope=default: v if v >= 0 else slope * v,
            parameters={} if value == default else {"slope": value},
            peers=torch_peer,
        )
add(
    "silu",
    lambda v: v * sigmoid(v),
    peers={"torch.nn.functional.silu": F.silu, "scipy.special.expit": lambda v: v * special.expit(v)},
)
add(
    "swish",
    lambda v: v * sigmoid(v),
    peers={"torch.nn.functional.silu": F.silu, "scipy.special.expit": lambda v: v * special.expit(v)},
)
add(
    "swish",
    lambda v, scale, beta: scale * v * sigmoid(beta * v),
    parameters={"scale": 0.7, "beta": 1.5},
    peers={
        "torch.nn.functional.silu": lambda v: 0.7 / 1.5 * F.silu(1.5 * v),
        "scipy.special.expit": lambda v: 0.7 * v * special.expit(1.5 * v),
    },
)
add(
    "gaussian",
    lambda v: exp(-(v**2)),
    peers={"torch.exp": lambda v: torch.exp(-(v**2)), "numpy.exp": lambda v: np.exp(-np.square(v))},
)
add("maxout", lambda v: max(v), row=True, peers={"torch.amax": lambda v: torch.amax(v, -1)})
for value in (0.25, 0.7):
    add(
        "heaviside_approx",
        lambda v, epsilon=0.25: sigmoid(v / epsilon),
        parameters={} if value == 0.25 else {"epsilon": value},
        peers={
            "torch.sigmoid": lambda v, e=value: torch.sigmoid(v / e),
            "scipy.special.expit": lambda v, e=value: special.expit(v / e),
        },
    )
for center, width in ((0.0, 1.0), (0.3, 0.7)):
    add(
        "multiquadric",
        lambda v, center=0, width=1: sqrt((v - center) ** 2 + width**2),
        parameters={} if center == 0 else {"center": center, "width": width},
        peers={
            "torch.hypot": lambda v, c=center, w=width: torch.hypot(v - c, torch.full_like(v, w)),
            "numpy.hypot": lambda v, c=center, w=width: np.hypot(v - c, w),
        },
    )
for center, excess in ((0.0, 0.0), (0.3, 0.7)):
    add(
        "inverse_multiquadric",
        lambda v, center=0, width_excess=0: 1 / sqrt((v - center) ** 2 + (1 + width_excess) ** 2),
        parameters={} if center == 0 else {"center": center, "width_excess": excess},
        peers={
            "torch.rsqrt": lambda v, c=center, w=excess: torch.rsqrt((v - c) ** 2 + (1 + w) ** 2),
            "numpy.hypot": lambda v, c=center, w=excess: 1 / np.hypot(v - c, 1 + w),
        },
    )
add("mish", lambda v: v * mpmath.tanh(softplus(v)), peers={"torch.nn.functional.mish": F.mish})
add(
    "metallic_mean",
    lambda v: (v + sqrt(v**2 + 4)) / 2,
    peers={"torch.sqrt": lambda v: (v + torch.sqrt(v**2 + 4)) / 2},
)
add("arctan", mpmath.atan, peers={"torch.atan": torch.atan, "numpy.arctan": np.arctan})
add("softsign", lambda v: v / (1 + fabs(v)), peers={"torch.nn.functional.softsign": F.softsign})
for value in (1.0, 0.7):
    add(
        "isru",
        lambda v, excess=1: v / sqrt(1 + (1 + excess) * v**2),
        parameters={} if value == 1 else {"excess": value},
        peers={"torch.rsqrt": lambda v, e=value: v * torch.rsqrt(1 + (1 + e) * v**2)},
    )
    add(
        "isrlu",
        lambda v, lambda_=1: v if v >= 0 else v / sqrt(1 + lambda_ * v**2),
        parameters={} if value == 1 else {"lambda_": value},
        peers={"torch.rsqrt": lambda v, x=value: torch.where(v < 0, v * torch.rsqrt(1 + x * v**2), v)},
    )
add(
    "sqnl",
    sqnl,
    extra=(2.0, -2.0, 1.999999, -1.999999),
    peers={
        "torch.clamp": lambda v: torch.clamp(v, -2, 2) * (1 - torch.abs(torch.clamp(v, -2, 2)) / 4),
    },
)
for value in (1.0, -0.7):
    add(
        "bent_identity",
        lambda v, scale=1: scale * (v + (sqrt(1 + v**2) - 1) / 2) * 2 / 3,
        parameters={} if value == 1 else {"scale": value},
        peers={"torch.sqrt": lambda v, s=value: 2 / 3 * s * (v + (torch.sqrt(1 + v**2) - 1) / 2)},
    )
add(
    "soft_exponential",
    soft_exponential,
    peers={"torch.exp": torch.exp, "numpy.exp": np.exp},
)
add(
    "soft_exponential",
    soft_exponential,
    parameters={"exponent": 0.7},
    peers={
        "torch.special.expm1": lambda v: 0.7 + torch.special.expm1(0.7 * v) / 0.7,
        "scipy.special.expm1": lambda v: 0.7 + special.expm1(0.7 * v) / 0.7,
    },
)
add(
    "soft_exponential", soft_exponential, parameters={"exponent": 0.0}, peers={"torch.nn.Identity": torch.nn.Identity()}
)
add(
    "soft_exponential",
    soft_exponential,
    parameters={"exponent": -0.5},
    inside=lambda v: v > -1.5,
    peers={
        "torch.special.log1p": lambda v: torch.special.log1p(0.5 * (v - 0.5)) / 0.5,
        "scipy.special.log1p": lambda v: special.log1p(0.5 * (v - 0.5)) / 0.5,
    },
)
for value in (1.0, 5.0):
    add(
        "soft_clipping",
        soft_clipping,
        parameters={} if value == 1 else {"sharpness": value},
        peers={
            "torch.nn.functional.softplus": lambda v, s=value: (
                F.softplus(v, beta=s, threshold=BIG) - F.softplus(v - 1, beta=s, threshold=BIG)
            ),
            "scipy.special.softplus": lambda v, s=value: (special.softplus(s * v) - special.softplus(s * (v - 1))) / s,
        },
    )
add(
    "softsign_norm",
    lambda v: [t / (1 + norm(v)) for t in v],
    row=True,
    peers={"torch.linalg.vector_norm": lambda v: v / (1 + torch.linalg.vector_norm(v, dim=-1, keepdim=True))},
)
add("sin", mpmath.sin, peers={"torch.sin": torch.sin, "numpy.sin": np.sin})
add(
    "sinc",
    lambda v: mpmath.sin(v) / v if v else mpf(1),
    peers={
        "torch.special.spherical_bessel_j0": torch.special.spherical_bessel_j0,
        "scipy.special.spherical_jn": lambda v: special.spherical_jn(0, v),
    },
)
add(
    "piecewise_linear",
    lambda v: clip(v + mpf(1) / 2, 0, 1),
    extra=(0.5, -0.5),
    peers={
        "torch.clamp": lambda v: torch.clamp(v + 0.5, 0, 1),
        "scipy.stats.uniform.cdf": lambda v: scipy.stats.uniform.cdf(v, loc=-0.5),
    },
)
for amplitude, frequency in ((1.0, 1.0), (0.7, 2.5)):
    add(
        "sinu_sigmoidal",
        lambda v, amplitude=1, frequency=1: (v + amplitude * mpmath.sin(frequency * v)) * sigmoid(v),
        parameters={} if amplitude == 1 else {"amplitude": amplitude, "frequency": frequency},
        peers={
            "torch.sigmoid": lambda v, a=amplitude, w=frequency: (v + a * torch.sin(w * v)) * torch.sigmoid(v),
            "scipy.special.expit": lambda v, a=amplitude, w=frequency: (v + a * np.sin(w * v)) * special.expit(v),
        },
    )
add(
    "cloglog",
    # From v = 10 on, 1 - exp(-e^v) is 1 to 400 digits, and e^(e^100000) is slow.
    lambda v: 1 - exp(-exp(min(v, mpf(10)))),
    peers={
        "torch.special.expm1": lambda v: -torch.special.expm1(-torch.exp(v)),
        "scipy.stats.gumbel_l.cdf": scipy.stats.gumbel_l.cdf,
    },
)
add(
    "bipolar_sigmoid",
    lambda v: (1 - exp(-v)) / (1 + exp(-v)),
    peers={"torch.tanh": lambda v: torch.tanh(v / 2), "numpy.tanh": lambda v: np.tanh(v / 2)},
)
add("hard_tanh", lambda v: clip(v, -1, 1), extra=(1.0, -1.0), peers={"torch.nn.functional.hardtanh": F.hardtanh})
add("absolute_value", fabs, peers={"torch.abs": torch.abs, "numpy.absolute": np.absolute})
add(
    "logit",
    logit_window,
    unit=True,
    extra=(0.25, 0.75, 0.5, 0.5 + 1e-8, 0.5 - 1e-8, 0.501, 0.499, 0.0, 1.0, -1.0, 2.0, 40.0, -40.0, 1e5, -1e5),
    peers={
        "torch.special.logit": lambda v: torch.where(torch.abs(v - 0.5) <= 0.25, torch.special.logit(v) / 10, 0.0),
        "scipy.special.logit": lambda v: np.where(np.abs(v - 0.5) <= 0.25, special.logit(v) / 10, 0.0),
    },
)
add(
    "softsign_probit",
    lambda v: probit(v) / (1 + fabs(probit(v))),
    unit=True,
    extra=(0.5, 0.5 + 1e-8, 0.5 - 1e-8, 0.501, 0.499, 1e-3, 1e-8, 1e-100, 1e-300, 1 - 1e-3, 1 - 1e-8, 1 - 2.0**-53),
    peers={
        "torch.special.ndtri": lambda v: F.softsign(torch.special.ndtri(v)),
        "scipy.special.ndtri": lambda v: special.ndtri(v) / (1 + np.abs(special.ndtri(v))),
    },
)
add(
    "linear_gaussian",
    lambda v: v * exp(-(v**2)),
    peers={"torch.exp": lambda v: v * torch.exp(-(v**2)), "numpy.exp": lambda v: v * np.exp(-np.square(v))},
)
for value in (4.0, 0.7):
    add(
        "squareplus",
        lambda v, b=4: (v + sqrt(v**2 + b)) / 2,
        parameters={} if value == 4 else {"b": value},
        peers={"torch.sqrt": lambda v, b=value: (v + torch.sqrt(v**2 + b)) / 2},
    )
add(
    "hardswish",
    lambda v: v * clip(v + 3, 0, 6) / 6,
    extra=(3.0, -3.0),
    peers={"torch.nn.functional.hardswish": F.hardswish},
)
add(
    "hard_sigmoid",
    lambda v: clip(v + 3, 0, 6) / 6,
    extra=(3.0, -3.0),
    peers={"torch.nn.functional.hardsigmoid": F.hardsigmoid},
)
for value in (1.0, 0.7):
    add(
        "celu",
        lambda v, alpha=1: v if v > 0 else alpha * (exp(v / alpha) - 1),
        parameters={} if value == 1 else {"alpha": value},
        peers={"torch.nn.functional.celu": lambda v, a=value: F.celu(v, a)},
    )
add("relu6", lambda v: clip(v, 0, 6), extra=(6.0,), peers={"torch.nn.functional.relu6": F.relu6})
for name, parameter in (("softshrink", "lambda_"), ("soft_threshold", "threshold")):
    for value in (1.0, 0.7):
        add(
            name,
            lambda v, **parameters: shrink(v, *parameters.values()),
            parameters={} if value == 1 else {parameter: value},
            extra=(value, -value),
            peers={"torch.nn.functional.softshrink": lambda v, x=value: F.softshrink(v, x)},
        )
for value in (1.0, 0.7):
    add(
        "hardshrink",
        lambda v, lambda_=1: v if fabs(v) > lambda_ else mpf(0),
        parameters={} if value == 1 else {"lambda_": value},
        extra=(value, -value),
        peers={"torch.nn.functional.hardshrink": lambda v, x=value: F.hardshrink(v, x)},
    )
add("tanhshrink", lambda v: v - mpmath.tanh(v), peers={"torch.nn.functional.tanhshrink": F.tanhshrink})
add(
    "log_sigmoid",
    lambda v: -softplus(-v),
    peers={"torch.nn.functional.logsigmoid": F.logsigmoid, "scipy.special.log_expit": special.log_expit},
)
add(
    "quick_gelu",
    lambda v: v * sigmoid(mpf("1.702") * v),
    peers={
        "torch.sigmoid": lambda v: v * torch.sigmoid(1.702 * v),
        "scipy.special.expit": lambda v: v * special.expit(1.702 * v),
    },
)
for value in (1.0, 2.5):
    add(
        "snake",
        lambda v, frequency=1: v + mpmath.sin(frequency * v) ** 2 / frequency,
        parameters={} if value == 1 else {"frequency": value},
        peers={
            "torch.sin": lambda v, a=value: v + torch.sin(a * v) ** 2 / a,
            "numpy.sin": lambda v, a=value: v + np.sin(a * v) ** 2 / a,
        },
    )
for value in (1.0, 0.7):
    add(
        "group_soft_threshold",
        group_soft_threshold,
        row=True,
        parameters={} if value == 1 else {"threshold": value},
        peers={
            "torch.linalg.vector_norm": lambda v, t=value: (
                v * torch.clamp(1 - t / torch.linalg.vector_norm(v, dim=-1, keepdim=True), min=0)
            ),
        },
    )
add(
    "sparsemax",
    sparsemax,
    row=True,
    peers={
        "torch.sort": sparsemax_sorted,
        "scipy.optimize.brentq": by_root(lambda v, t: np.maximum(v - t, 0)),
    },
)
add(
    "entmax15",
    entmax15,
    row=True,
    peers={
        "torch.sort": entmax15_sorted,
        "scipy.optimize.brentq": by_root(lambda v, t: np.maximum(v / 2 - t, 0) ** 2),
    },
)
for value in (0.25, 1e-5):
    add(
        "layer_norm",
        layer_norm,
        row=True,
        parameters={} if value == 0.25 else {"epsilon": value},
        peers={"torch.nn.functional.layer_norm": lambda v, e=value: F.layer_norm(v, (WIDTH,), eps=e)},
    )
    add(
        "rms_norm",
        rms_norm,
        row=True,
        parameters={} if value == 0.25 else {"epsilon": value},
        peers={"torch.nn.functional.rms_norm": lambda v, e=value: F.rms_norm(v, (WIDTH,), eps=e)},
    )
add(
    "glu",
    lambda v: [a * sigmoid(b) for a, b in zip(v[: WIDTH // 2], v[WIDTH // 2 :], strict=True)],
    row=True,
    peers={"torch.nn.functional.glu": lambda v: F.glu(v, -1)},
)


# Writing


def relative_error(value: float, exact: Any) -> float:
    """Return |value - exact|/|exact| to two digits; an exact value that underflows counts as 0."""
    target = exact if float(exact) else mpf(0)
    if value == target:
        return 0.0
    if not target or not np.isfinite(value):
        return float("inf")
    return float(f"{float(abs((mpf(value) - target) / target)):.2g}")


def numbers(values: Iterable[Any]) -> list[Any]:
    """Return floats, those that JSON lacks as strings; rows stay rows."""
    return [numbers(v) if isinstance(v, list) else v if np.isfinite(v) else repr(float(v)) for v in _as_floats(values)]


def _as_floats(values: Iterable[Any]) -> list[Any]:
    return [v if isinstance(v, list) else float(v) for v in values]


def reference(function: Function) -> dict[str, Any]:
    """Return what the file holds on one function."""
    points = function.points()
    exact = [function.value(v) for v in points]
    inputs = np.array(points)
    peers = []
    for source, compute in function.peers.items():
        library = source.partition(".")[0]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = compute(torch.from_numpy(inputs) if library == "torch" else inputs)
        outputs = np.asarray(result, dtype=np.float64).tolist()
        errors = [
            [relative_error(a, b) for a, b in zip(o, e, strict=True)] if isinstance(e, list) else relative_error(o, e)
            for o, e in zip(outputs, exact, strict=True)
        ]
        peers.append({
            "source": source,
            "version": VERSIONS[library],
            "outputs": numbers(outputs),
            "errors": numbers(errors),
        })  # fmt: skip
    return {
        "name": function.name,
        "parameters": function.parameters,
        "inputs": numbers(points),
        "exact": numbers([float(t) for t in e] if isinstance(e, list) else e for e in exact),
        "peers": peers,
    }


def main() -> None:
    """Write the file, one line for each function, and print the largest error of each peer."""
    references = [reference(function) for function in FUNCTIONS]
    lines = ",\n".join(json.dumps(r, allow_nan=False, separators=(",", ":")) for r in references)
    PATH.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    for r in references:
        for peer in r["peers"]:
            errors = np.array([[float(e) for e in _flat(row)] for row in peer["errors"]])
            inexact = np.mean(errors >= 5e-15)
            name = " ".join([r["name"], *(f"{key}={value}" for key, value in r["parameters"].items())])
            print(f"{name:45} {peer['source']:38} max {errors.max():8.1e}  from 5e-15 on: {inexact:4.0%}")
    print(f"{PATH.name}: {PATH.stat().st_size / 1e3:.0f} kB, {len(references)} functions")


if __name__ == "__main__":
    main()
