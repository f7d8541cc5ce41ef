"""Activations of a whole layer: radial maps, normalisations, entmax, attention, and maps out of R^n."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from activation_cases import VECTOR_GAPS
from mpmath import mpf

from nngames.activations import activation, activations
from nngames.activations.numerics.directions import deficit, polar
from nngames.core.errors import NotApplicableError, OptionError, ShapeError

OUTSIDE = ("geglu", "glu", "log_sum_exp_one", "maxout", "reglu", "swiglu")


def jacobian(a: Any, v: np.ndarray) -> np.ndarray:
    return np.array([a.jvp(v, e) for e in np.eye(len(v))]).T


# Radial maps


def test_radial_maps_have_the_stated_eigenvalues() -> None:
    v = np.array([1.0, -2.0, 2.0, 0.0])
    np.testing.assert_allclose(
        np.linalg.eigvalsh(jacobian(activation("softsign_norm"), v)), [1 / 16, 1 / 4, 1 / 4, 1 / 4], rtol=1e-14
    )
    soft = activation("group_soft_threshold", threshold=2.0)
    np.testing.assert_allclose(np.linalg.eigvalsh(jacobian(soft, v)), [1 / 3, 1 / 3, 1 / 3, 1], rtol=1e-14)
    np.testing.assert_array_equal(jacobian(soft, v / 2), 0)
    np.testing.assert_array_equal(jacobian(activation("softsign_norm"), np.zeros(3)), np.eye(3))


def test_radial_maps_of_one_entry_are_the_scalar_ones() -> None:
    v, x = np.linspace(-5, 5, 41)[:, None], np.linspace(-0.9, 0.9, 41)[:, None]
    for name, scalar, options in (
        ("softsign_norm", "softsign", {}),
        ("group_soft_threshold", "soft_threshold", {"threshold": 0.7}),
    ):
        a, s = activation(name, **options), activation(scalar, **options)
        np.testing.assert_allclose(a(v), s(v), rtol=1e-15)
        np.testing.assert_allclose(a.conjugate(x), s.conjugate(x)[:, 0], rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(a.gap(x, v)[0], s.gap(x, v)[0][:, 0], rtol=1e-13, atol=1e-15)
        for step in (0.3, 1.7):
            np.testing.assert_allclose(a.prox(v, step), s.prox(v, step), rtol=1e-13, atol=1e-15)


def test_softsign_norm_prox_solves_its_equation_from_tiny_to_huge() -> None:
    a = activation("softsign_norm")
    for step in (1e-3, 0.5, 4.0):
        for size in (1e-300, 1e-8, 0.3, 1.0, 2.0, 1e8, 1e300):
            p = a.prox(np.array([0.6, -0.8]) * size, step)
            q = mpf(float(np.hypot(*p)))
            with mpmath.workdps(400):
                u = mpf(size)
                w = (u - 1 + mpmath.sqrt((u - 1) ** 2 + 4 * mpf(step) * u)) / (2 * mpf(step))
                assert abs(q - w / (1 + w)) <= 8e-16 * q
            np.testing.assert_allclose(p[0] / p[1], -0.75, rtol=4e-16)


def test_gap_of_softsign_norm_near_the_sphere_is_good_to_its_bound() -> None:
    """1 - |x| is known to its own rounding, though |x| is 1 to rounding."""
    a = activation("softsign_norm")
    for length in (1e3, 1e9, 1e13):
        v = length * np.array([0.48, -0.6, 0.64])
        x = a(v)
        value, error = a.gap(x, v)
        with mpmath.workdps(60):
            exact = VECTOR_GAPS["softsign_norm"](a, [mpf(float(t)) for t in x], [mpf(float(t)) for t in v])
        assert abs(mpf(float(value)) - exact) <= mpf(float(error))
        # x is rounded to 1e-16 across the sphere: that is a gap of |v| 1e-32, and of log 2 at most along it.
        assert error <= 1e-2


def test_deficit_is_exact_to_the_square_of_a_unit() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 3, 40):
        x = rng.normal(size=(20, n))
        x *= (1 - 1e-15) / np.linalg.norm(x, axis=-1, keepdims=True)
        value, error = deficit(x, 1.0)
        with mpmath.workdps(60):
            for row, found, bound in zip(x, value, error, strict=True):
                exact = 1 - mpmath.fsum(mpf(float(t)) ** 2 for t in row)
                assert abs(mpf(float(found)) - exact) <= mpf(float(bound))
        assert (error <= 1e-27).all()


def test_polar_keeps_its_accuracy_at_every_size() -> None:
    direction = np.array([0.6, 0.8])
    for size in (1e-310, 1e-160, 1.0, 1e160, 1e308):
        length, found = polar(size * direction)
        np.testing.assert_allclose(length, size, rtol=1e-14 if size > 1e-308 else 1e-13)
        np.testing.assert_allclose(found, direction, rtol=1e-14 if size > 1e-308 else 1e-13)
    length, found = polar(np.array([1.7e308, 1.7e308]))
    assert length == np.inf
    np.testing.assert_allclose(found, np.sqrt(0.5))
    np.testing.assert_array_equal(polar(np.zeros(3))[1], 0)


# Normalisations


@pytest.mark.parametrize("epsilon", [1e-5, 0.25, 1.0, 3.0])
def test_normalisations_have_the_stated_constant_and_eigenvalues(epsilon: float) -> None:
    v = np.array([0.3, -1.2, 2.0, 0.7])
    for name, w in (("layer_norm", v - v.mean()), ("rms_norm", v)):
        a, h = activation(name, epsilon=epsilon), np.sqrt(np.mean(w**2) + epsilon)
        np.testing.assert_allclose(a(v), w / h, rtol=1e-15)
        np.testing.assert_allclose(a.primitive(v), 4 * h, rtol=1e-15)
        null = [0.0] if name == "layer_norm" else [1 / h]
        expected = np.sort([*null, epsilon / h**3, 1 / h, 1 / h])
        np.testing.assert_allclose(np.linalg.eigvalsh(jacobian(a, v)), expected, rtol=1e-12, atol=1e-15)
        assert a.slope_range[1] == pytest.approx(epsilon**-0.5, rel=1e-15)
        assert a.convex_penalty == (epsilon >= 1)
        np.testing.assert_allclose(a.conjugate(np.zeros(4)), -4 * np.sqrt(epsilon), rtol=1e-15)
        edge = np.array([1.0, -1.0, 1.0, -1.0])
        assert a.conjugate(edge) == 0
        assert a.conjugate(1.001 * edge) == np.inf


def test_slope_ends_of_normalisations_are_exact() -> None:
    assert activation("rms_norm").slope_range == (0.0, 2.0)
    assert str(activation("layer_norm", epsilon=0.0625).slope_range_exact[1]) == "4"
    end = activation("layer_norm", epsilon=2.0).slope_range_exact[1]
    assert str(end) == "1/sqrt(2.0)"
    assert end.digits == "0.707106781186547524400844362105"


def test_layer_norm_of_a_large_common_part_keeps_its_digits() -> None:
    a = activation("layer_norm")
    small = np.array([0.25, -0.5, 1.0])
    np.testing.assert_allclose(a(small + 2.0**40), a(small), rtol=1e-15)
    np.testing.assert_allclose(a(np.array([1e308, -1e308, 1e308])), np.array([1, -2, 1]) / np.sqrt(2), rtol=1e-15)
    np.testing.assert_array_equal(a(np.full(3, 1e308)), 0)
    np.testing.assert_array_equal(activation("layer_norm")(np.array([7.0])), 0)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_prox_of_a_normalisation_solves_its_equation(name: str) -> None:
    for epsilon, step in ((0.25, 0.01), (0.25, 1.9), (4.0, 50.0), (1e-5, 1.0)):
        a = activation(name, epsilon=epsilon)
        for size in (1e-9, 1.0, 1e9, 1e300):
            u = size * np.array([0.3, -1.1, 0.8])
            p = a.prox(u, step)
            if size > 1e8:
                np.testing.assert_allclose(np.sum(p**2), 3, rtol=1e-7 if size < 1e300 else 1e-15)
                continue
            # grad g* is the pre-activation w of p, centred: step (w - p) + p = u.
            height = np.sqrt(1 - np.sum(p**2) / 3)
            np.testing.assert_allclose(step * (p * np.sqrt(epsilon) / height - p) + p, u, rtol=1e-9)


def test_a_gain_after_a_normalisation_is_no_gradient() -> None:
    """diag(a) J is symmetric where the gains are equal only, as the documentation says."""
    j = jacobian(activation("layer_norm"), np.array([0.3, -1.2, 2.0]))
    for gain, symmetric in (([1.0, 1.0, 1.0], True), ([1.0, 2.0, 1.0], False)):
        assert np.allclose(np.diag(gain) @ j, (np.diag(gain) @ j).T) == symmetric


# Sparsemax and entmax


def test_sparsemax_is_the_projection_on_the_unit_simplex() -> None:
    a, s = activation("sparsemax"), activation("simplex")
    v = np.random.default_rng(1).normal(size=(50, 6)) * 2
    np.testing.assert_array_equal(a(v), s(v))
    np.testing.assert_array_equal(a.gap(a(v[::-1]), v), s.gap(s(v[::-1]), v))
    assert a.parameters == {}
    with pytest.raises(OptionError, match="activation 'sparsemax' takes no options; got 'total'"):
        activation("sparsemax", total=2.0)


def test_entmax_maximises_what_it_should() -> None:
    a, rng = activation("entmax15"), np.random.default_rng(2)

    def value(p: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.sum(p * v + (4 / 3) * (p - p**1.5), axis=-1)

    for n in (1, 2, 7, 300):
        v = rng.normal(size=n) * 2
        p = a(v)
        assert abs(p.sum() - 1) <= 4e-16
        assert value(p, v) == pytest.approx(float(a.primitive(v)), rel=1e-14)
        others = rng.dirichlet(np.full(n, 0.3), size=200)
        assert (value(others, v) <= value(p, v) + 1e-14).all()
    np.testing.assert_allclose(a([1.0, -3.0]), [1.0, 0.0])
    np.testing.assert_allclose(a([2.0, 2.0]), [0.5, 0.5], rtol=4e-16)


def entmax_jacobian(p: np.ndarray) -> np.ndarray:
    s = np.sqrt(p)
    return np.diag(s) - np.outer(s, s) / s.sum()


def test_entmax_slopes_reach_one_over_root_two_with_two_entries() -> None:
    a = activation("entmax15")
    np.testing.assert_allclose(jacobian(a, np.zeros(2)), entmax_jacobian(np.array([0.5, 0.5])), rtol=1e-15)
    t = np.linspace(0, 1, 2001)
    top = np.array([np.linalg.eigvalsh(entmax_jacobian(np.array([p, 1 - p])))[-1] for p in t])
    assert top.max() == pytest.approx(0.5**0.5, rel=1e-14)
    assert t[np.argmax(top)] == 0.5


def test_entmax_slopes_come_near_1_in_large_layers_only() -> None:
    """One entry cos(a)^2 at the best angle: n/(sqrt(n - 1) (1 + (n - 1)^(1/3))^1.5), which tends to 1 from below."""
    found = []
    for n in (2, 3, 8, 100, 10**6):
        angle = np.arctan((n - 1) ** (-1 / 6))
        s1, s2 = np.cos(angle), np.sin(angle) / np.sqrt(n - 1)
        stated = n / (np.sqrt(n - 1) * (1 + (n - 1) ** (1 / 3)) ** 1.5)
        if n <= 100:
            p = np.append(s1**2, np.full(n - 1, s2**2))
            assert np.linalg.eigvalsh(entmax_jacobian(p))[-1] == pytest.approx(stated, rel=1e-12)
        # Along the direction that the eigenvector has: (1 - n, 1, ..., 1), by Rayleigh's quotient with sums by hand.
        across = (n - 1) ** 2 * s1 + (n - 1) * s2 - ((n - 1) * (s2 - s1)) ** 2 / (s1 + (n - 1) * s2)
        assert across / (n * (n - 1)) == pytest.approx(stated, rel=1e-9)
        angles = np.linspace(0.01, np.pi / 2 - 0.01, 999)
        family = n / (np.sqrt(n - 1) / np.sin(angles) + (n - 1) / np.cos(angles))
        assert family.max() <= stated * (1 + 1e-12)
        found.append(stated)
    assert found[-1] > 0.98
    assert max(found) < 1
    # No slope reaches 1: J <= diag(s), and s = (1, 0, ..., 0) gives 0.
    rng = np.random.default_rng(3)
    for n in (2, 5, 60):
        for p in rng.dirichlet(np.full(n, 0.2), size=100):
            assert np.linalg.eigvalsh(entmax_jacobian(p))[-1] < np.sqrt(p.max())
    np.testing.assert_array_equal(entmax_jacobian(np.array([1.0, 0.0, 0.0])), 0)
    assert activation("entmax15").slope_range == (0.0, 1.0)
    assert not activation("entmax15").slope_range_exact[1].attained


@pytest.mark.parametrize("step", [0.05, 0.5, 3.0])
def test_prox_of_entmax_satisfies_its_optimality_condition(step: float) -> None:
    a, rng = activation("entmax15"), np.random.default_rng(4)
    for n in (1, 2, 9):
        u = rng.normal(size=(20, n)) * 3
        p = a.prox(u, step)
        np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-14)
        level = u - 2 * step * np.sqrt(p) - (1 - step) * p
        top = np.take_along_axis(level, np.argmax(p, axis=-1)[:, None], axis=-1)
        assert (np.abs(level - top)[p > 0] <= 1e-13).all()
        assert (level <= top + 1e-13).all()


# Attention


def test_attention_with_a_number_is_softmax_after_a_shift() -> None:
    v, x = np.random.default_rng(5).normal(size=(2, 20, 3))
    b = np.array([0.3, -1.0, 2.0])
    a, s = activation("attention", score=2.0, bias=b.tolist()), activation("softmax", gain=2.0)
    x = s(x)
    np.testing.assert_allclose(a(v), s(v + b / 2), rtol=1e-14)
    np.testing.assert_allclose(a.gap(x, v)[0], s.gap(x, v + b / 2)[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(a.primitive(v), s.primitive(v + b / 2), rtol=1e-14)
    np.testing.assert_allclose(a.prox(v, 1.4), s.prox(v + 1.4 * b / 2, 1.4), rtol=1e-12)
    plain = activation("attention", score=2.0, bias=7.0)
    np.testing.assert_array_equal(plain(v), s(v))
    np.testing.assert_allclose(plain.primitive(v), s.primitive(v) + 3.5, rtol=1e-15)
    assert a.monotone
    assert a.slope_range == (0.0, 1.0)
    negative = activation("attention", score=-1.0)
    assert negative.gradient
    assert not negative.monotone
    assert negative.slope_range == (-0.5, 0.0)


def test_attention_with_a_matrix_is_no_gradient_and_keeps_its_bounds() -> None:
    rng = np.random.default_rng(6)
    for name, factor in (("attention", 0.5), ("attention_gaussian", 0.29180909446113262)):
        for n in (1, 2, 5):
            score = rng.normal(size=(n, n)) * 3
            a = activation(name, score=score.tolist(), bias=rng.normal(size=n).tolist())
            centred = score - score.mean(axis=0)
            assert a.lipschitz == pytest.approx(factor * np.linalg.norm(centred, 2), rel=1e-12, abs=1e-300)
            assert not a.gradient
            assert not a.monotone
            for v in rng.normal(size=(50, n)):
                j = jacobian(a, v)
                assert np.linalg.norm(j, 2) <= a.lipschitz
                slopes = np.linalg.eigvalsh(j + j.T) / 2
                assert a.slope_range[0] <= slopes[0] <= slopes[-1] <= a.slope_range[1]
                if name == "attention":
                    p = a(v)
                    np.testing.assert_allclose(j, (np.diag(p) - np.outer(p, p)) @ score, atol=1e-13)
            assert [end.attained for end in a.slope_range_exact] == [n == 1] * 2
            assert str(a.slope_range_exact[1]).startswith("<= " if n > 1 else "0")


def test_the_bound_of_attention_is_reached_where_it_can_be() -> None:
    """For S = diag(s, s) p = (1/2, 1/2) gives |s|/2, which is |C S|/2."""
    a = activation("attention", score=[[3.0, 0.0], [0.0, 3.0]])
    assert np.linalg.norm(jacobian(a, np.zeros(2)), 2) == pytest.approx(1.5)
    assert a.lipschitz == pytest.approx(1.5, rel=1e-14)


def test_the_constant_of_attention_gaussian_is_the_root_that_is_stated() -> None:
    with mpmath.workdps(40):
        u = mpmath.sqrt((7 - mpmath.sqrt(41)) / 8)
        assert abs(8 * u**4 - 14 * u**2 + 1) < mpf(10) ** -38
        k = mpmath.sqrt(u / 2) * (1 - 2 * u**2) * mpmath.exp(-(u**2))
        bound = activation("attention_gaussian").lipschitz
        assert k <= mpf(bound) <= k * (1 + mpf(10) ** -14)
        grid = [mpf(i) / 1000 for i in range(1001)]
        assert max(t * ((1 - 2 * t * t) * mpmath.exp(-t * t)) ** 2 for t in grid) <= 2 * k * k
    assert activation("attention_gaussian", score=-4.0).lipschitz == pytest.approx(4 * float(k), rel=1e-14)


def test_attention_says_what_is_not_known() -> None:
    a = activation("attention", score=[[1.0, 0.5], [0.0, -1.0]])
    with pytest.raises(NotApplicableError) as caught:
        _ = a.averagedness
    assert str(caught.value) == (
        "the infimum of the averagedness constants of 'attention' is not known, since its Jacobians are not symmetric; "
        f"as a map with Lipschitz constant at most {a.lipschitz:.6g} it is averaged with {(1 + a.lipschitz) / 2:.6g}"
    )
    with pytest.raises(NotApplicableError, match=r"its Lipschitz bound 10 is not below 1"):
        _ = activation("attention", score=[[20.0, 0.0], [0.0, 20.0]]).averagedness
    with pytest.raises(NotApplicableError, match="with a matrix as score is treated as no gradient"):
        a.primitive(np.zeros(2))
    with pytest.raises(NotApplicableError, match=r"symmetric for S = c I \+ 1 w' only"):
        a.conjugate(np.zeros(2))


def test_attention_with_a_matrix_survives_extreme_arguments() -> None:
    a = activation("attention", score=[[1e200, -1e200], [1e-200, 3.0]])
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(a([1e308, 1e308]), [0.0, 1.0])
        np.testing.assert_allclose(a([1e-200, 0.0]), np.exp([1.0, 0.0]) / (1 + np.e), rtol=1e-14)


# Maps out of R^n


def test_no_layer_takes_a_map_out_of_its_space() -> None:
    assert tuple(name for name in activations() if not activation(name).self_map) == OUTSIDE
    for name in OUTSIDE:
        a = activation(name)
        spaces = r"R\^n to R" if name in ("maxout", "log_sum_exp_one") else r"R\^\(2m\) to R\^m"
        for n in (1, 2, 4):
            with pytest.raises(ShapeError, match=rf"'{name}' maps {spaces}; the response .* R\^{n} into itself: use "):
                a.check_size(n)
        with pytest.raises(NotApplicableError, match="has no slopes; its Lipschitz constant is"):
            _ = a.slope_range
        assert a.averagedness is None
        assert a.penalty_modulus is None
        assert not a.monotone
        assert not a.bounded


def test_maxout_and_its_smooth_form() -> None:
    v = np.random.default_rng(7).normal(size=(30, 5)) * 3
    np.testing.assert_array_equal(activation("maxout")(v), v.max(-1, keepdims=True))
    a = activation("log_sum_exp_one")
    with mpmath.workdps(40):
        for row in (*v, np.full(3, -40.0), np.array([700.0, 709.5]), np.array([-1e308, 1e-30])):
            exact = mpmath.log1p(mpmath.fsum(mpmath.exp(mpf(float(t))) for t in row))
            assert a(row)[0] == pytest.approx(float(exact), rel=4e-16)
    assert a([1e308, 1e308])[0] == 1e308
    np.testing.assert_allclose(a(v[:, :1]), activation("softplus")(v[:, :1]), rtol=1e-15)
    for b in (a, activation("maxout")):
        assert np.linalg.norm(jacobian(b, np.array([40.0, 0.0, -1.0]))) == pytest.approx(1, rel=1e-12)
        assert b.lipschitz == 1


def test_gated_units_gate_the_half_they_state() -> None:
    v = np.array([0.7, -1.2, 2.0, 0.4])
    a, b = v[:2], v[2:]
    np.testing.assert_allclose(activation("glu")(v), a / (1 + np.exp(-b)), rtol=1e-15)
    np.testing.assert_allclose(activation("swiglu")(v), a / (1 + np.exp(-a)) * b, rtol=1e-15)
    np.testing.assert_allclose(activation("geglu")(v), activation("gelu")(a) * b, rtol=1e-15)
    np.testing.assert_allclose(activation("reglu")(v), np.maximum(a, 0) * b)
    for name in ("glu", "swiglu", "geglu", "reglu"):
        entry = activation(name)
        assert entry.lipschitz == np.inf
        with pytest.raises(ShapeError, match=f"activation '{name}' acts on two halves; got 3 entries"):
            entry(np.zeros(3))


# What a user is told


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("group_soft_threshold", {"threshold": 0.0}, "threshold must be a positive number; got 0.0"),
    ("layer_norm", {"epsilon": -1.0}, "epsilon must be a positive number; got -1.0"),
    ("rms_norm", {"epsilon": np.nan}, "epsilon must be a positive number; got nan"),
    ("attention", {"score": 0.0}, "score must not be 0: the response would be constant"),
    ("attention", {"score": "one"}, "score must be a finite number; got 'one'"),
    ("attention", {"score": [[1.0, 2.0]]}, "score must be a number or a square matrix; got shape (1, 2)"),
    ("attention", {"score": [1.0, 2.0]}, "score must be a nonempty matrix of finite numbers; got shape (2,)"),
    ("attention", {"bias": [[1.0]]}, "bias must be a number or a nonempty list of numbers; got shape (1, 1)"),
    ("attention", {"score": [[1.0]], "bias": [1.0, 2.0]}, "bias must have one entry for each row of score, 1; got 2"),
    ("attention_gaussian", {"score": 0.0}, "score must not be 0: the response would be constant"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_parameters_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        activation(name, **options)
    assert str(caught.value) == f"activation {name!r}: {message}"


@pytest.mark.parametrize("name", ["softsign_norm", "layer_norm", "entmax15", "attention", "maxout", "glu"])
def test_a_number_is_not_a_layer(name: str) -> None:
    with pytest.raises(ShapeError, match=f"activation '{name}' acts on a layer; got a single number"):
        activation(name)(1.0)
    with pytest.raises(ShapeError, match=f"activation '{name}' acts on a layer; got an empty one"):
        activation(name)(np.zeros((3, 0)))


def test_attention_of_the_wrong_size_is_refused() -> None:
    for options in ({"score": [[1.0, 0.0], [0.0, 1.0]]}, {"bias": [0.0, 1.0]}):
        for name in ("attention", "attention_gaussian"):
            a = activation(name, **options)
            with pytest.raises(ShapeError, match=f"'{name}' has parameters for size 2; the layer has size 3"):
                a.check_size(3)
            with pytest.raises(ShapeError, match=r"has parameters for size 2; got an array of \(3,\)"):
                a(np.zeros(3))


@pytest.mark.parametrize("gain", [1.0, 3.0, -2.0])
def test_softmax_of_many_rows_is_that_of_each(gain: float) -> None:
    rng = np.random.default_rng(8)
    softmax = activation("softmax", gain=gain)
    for size in (0.0, 1e-3, 1.0, 300.0):
        # With size 0 all shares are equal.
        v, d = size * rng.normal(size=(200, 7)), rng.normal(size=(200, 7))
        answers, moved, primitive = softmax(v), softmax.jvp(v, d), softmax.primitive(v)
        for row in range(0, 200, 9):
            np.testing.assert_allclose(answers[row], softmax(v[row]), rtol=1e-14)
            # Shares that vanish leave a derivative that does, up to rounding of its own size.
            np.testing.assert_allclose(moved[row], softmax.jvp(v[row], d[row]), rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(primitive[row], softmax.primitive(v[row]), rtol=1e-14)
