"""What a user is told about wrong activations, parameters, steps, shapes and sets without a point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nngames.activations import activation
from nngames.core.errors import NotApplicableError, OptionError, ShapeError, StepError, UnknownNameError

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("linear", {"slope": "steep"}, "activation 'linear': slope must be a finite number; got 'steep'"),
    ("linear", {"bias": np.nan}, "activation 'linear': bias must be a finite number; got nan"),
    ("relu", {"slope": True}, "activation 'relu': slope must be a finite number; got True"),
    ("relu", {"bias": [1.0, 2.0]}, "activation 'relu': bias must be a finite number; got [1.0, 2.0]"),
    ("leaky_relu", {"slope": np.inf}, "activation 'leaky_relu': slope must be a finite number; got inf"),
    ("prelu", {"slope": None}, "activation 'prelu': slope must be a finite number; got None"),
    ("tanh", {"scale": {"a": 1}}, "activation 'tanh': scale must be a finite number; got {'a': 1}"),
    ("elu", {"alpha": -np.inf}, "activation 'elu': alpha must be a finite number; got -inf"),
    ("softplus_beta", {"beta": 0}, "activation 'softplus_beta': beta must be a positive number; got 0.0"),
    ("softplus_beta", {"beta": -2.0}, "activation 'softplus_beta': beta must be a positive number; got -2.0"),
    ("softmax", {"gain": 0.0}, "activation 'softmax': gain must not be 0: the response would be constant"),
    ("softmax", {"gain": np.nan}, "activation 'softmax': gain must be a finite number; got nan"),
    ("softmax", {"gain": 10**400}, f"activation 'softmax': gain must be a finite number; got {10**400}"),
    ("simplex", {"total": 0.0}, "activation 'simplex': total must be a positive number; got 0.0"),
    ("ball", {"radius": -1.0}, "activation 'ball': radius must be a positive number; got -1.0"),
    ("ball", {"center": [0.0, np.nan]}, "activation 'ball': center[1] must be finite; got nan"),
    (
        "ball",
        {"center": [[0.0]]},
        "activation 'ball': center must be a number or a nonempty list of numbers; got shape (1, 1)",
    ),
    ("box", {"lower": np.nan}, "activation 'box': lower must be a number; got nan"),
    ("box", {"lower": 2.0}, "activation 'box': lower must not exceed upper"),
    ("box", {"lower": [0.0, 2.0], "upper": 1.0}, "activation 'box': lower must not exceed upper; entry [1] does"),
    (
        "box",
        {"lower": [0.0, 0.0], "upper": [1.0, 1.0, 1.0]},
        "activation 'box': upper must have as many entries as lower, 2; got 3",
    ),
    ("box", {"upper": -np.inf, "lower": -np.inf}, "activation 'box': upper leaves no point: it is infinite"),
    ("box", {"upper": []}, "activation 'box': upper must be a number or a nonempty list of numbers; got shape (0,)"),
    ("box", {"upper": "one"}, "activation 'box': upper must be a number or a nonempty list of numbers; got 'one'"),
    ("singleton", {"point": np.inf}, "activation 'singleton': point must be finite; got inf"),
    ("halfspace", {"normal": [0.0, 0.0]}, "activation 'halfspace': normal must not be zero"),
    (
        "halfspace",
        {"normal": 1.0},
        "activation 'halfspace': normal must be a nonempty list of finite numbers; got shape ()",
    ),
    ("halfspace", {"offset": np.inf}, "activation 'halfspace': offset must be a finite number; got inf"),
    (
        "affine",
        {"matrix": [1.0, 2.0]},
        "activation 'affine': matrix must be a nonempty matrix of finite numbers; got shape (2,)",
    ),
    ("affine", {"matrix": [[1.0, 2.0], [1.0]]}, "activation 'affine': matrix must be a matrix of finite numbers; got "),
    ("affine", {"matrix": [[1.0, np.nan]]}, "activation 'affine': matrix[0, 1] must be finite; got nan"),
    (
        "affine",
        {"matrix": [[1.0, 1.0]], "offset": [1.0, 2.0]},
        "activation 'affine': offset must have one entry a row, 1; got 2",
    ),
    (
        "affine",
        {"matrix": [[1.0, 1.0], [2.0, 2.0]], "offset": [1.0, 3.0]},
        "activation 'affine': offset leaves no point: A x = b has no solution (row ",
    ),
    (
        "polyhedron",
        {"matrix": [[1.0], [-1.0]], "offset": [1.0, -2.0]},
        "activation 'polyhedron': offset leaves no point: A x <= b has no solution",
    ),
    (
        "polyhedron",
        {"matrix": [[0.0], [1.0]], "offset": [-1.0, 2.0]},
        "activation 'polyhedron': offset leaves no point: row 0 of A x <= b reads 0 <= -1",
    ),
    (
        "polyhedron",
        {"matrix": [[1.0]], "offset": [1.0, 2.0]},
        "activation 'polyhedron': offset must have one entry a row, 1; got 2",
    ),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_parameters_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        activation(name, **options)
    assert str(caught.value).startswith(message)
    if not message.endswith(("got ", "(row ")):
        assert str(caught.value) == message


def test_unknown_names_and_options_suggest_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown activation 'rleu'; did you mean 'relu'\? valid: (.*, )?affine, arctan"
    ):
        activation("rleu")
    with pytest.raises(
        OptionError, match=r"activation 'elu' has no option 'aplha'; did you mean 'alpha'\? valid: alpha$"
    ):
        activation("elu", aplha=2.0)
    with pytest.raises(OptionError, match="activation 'sigmoid' takes no options; got 'slope'"):
        activation("sigmoid", slope=2.0)


def test_steps_are_refused_with_their_range() -> None:
    with pytest.raises(StepError) as caught:
        activation("tanh", scale=3.0).prox(np.zeros(2), 2.0)
    assert str(caught.value) == (
        "prox of 'tanh': its penalty is weakly convex (slopes up to 3), "
        "so the step must be below S/(S - 1) = 1.5; got 2"
    )
    with pytest.raises(StepError, match="prox of 'relu': the step must be positive and finite; got 0"):
        activation("relu").prox(np.zeros(2), 0)
    with pytest.raises(
        StepError, match="prox of 'softmax': not separable, so the step must be one number for the layer"
    ):
        activation("softmax").prox(np.zeros(2), [0.5, 0.6])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("box", {"lower": [0.0, 0.0]}),
        ("singleton", {"point": [1.0, 2.0]}),
        ("ball", {"center": [0.0, 1.0]}),
        ("halfspace", {"normal": [1.0, 1.0]}),
        ("affine", {}),
        ("polyhedron", {"matrix": [[1.0, 2.0]], "offset": [1.0]}),
    ],
)
def test_layers_of_the_wrong_size_are_refused(name: str, options: dict[str, Any]) -> None:
    a = activation(name, **options)
    with pytest.raises(ShapeError, match=f"activation '{name}' has parameters for size 2; the layer has size 3"):
        a.check_size(3)
    for call in (a, a.conjugate, a.penalty, a.prox):
        with pytest.raises(ShapeError, match=rf"activation '{name}' has parameters for size 2; got an array of \(3,\)"):
            call(np.zeros(3))
    with pytest.raises(ShapeError):
        a.flint_conjugate([0, 0, 0])
    with pytest.raises(ShapeError):
        a.domain.affine_hull(3)


@pytest.mark.parametrize("name", ["softmax", "simplex", "ball"])
def test_a_number_is_not_a_layer(name: str) -> None:
    with pytest.raises(ShapeError, match=f"activation '{name}' acts on a layer; got a single number"):
        activation(name)(1.0)


def test_what_is_not_monotone_says_what_to_use() -> None:
    with pytest.raises(NotApplicableError) as caught:
        activation("silu").conjugate(np.zeros(2))
    assert str(caught.value) == (
        "activation 'silu' is not monotone (slopes down to -0.09984), so it is the prox of no function: "
        "use cost='tracking'"
    )
    with pytest.raises(NotApplicableError, match="no ball-arithmetic form of the conjugate of 'silu' is known"):
        activation("silu").flint_conjugate([0])


def test_rows_dependent_only_up_to_rounding_have_no_exact_projection() -> None:
    from nngames.core.exact import rational

    a = activation("affine", matrix=[[0.1, 0.2], [0.3, 0.6]], offset=[1.0, 3.0])
    with pytest.raises(NotApplicableError, match="the rows of the matrix are dependent only up to rounding"):
        a.flint_response([rational(0.0), rational(0.0)])
