"""The sheets of activations: each activation is on one with its exact range, jumps are not joined, files are whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import InputError, OptionError, UnknownNameError
from nngames.report import activation_sheets
from nngames.report.activation_curves import Curve, nodes, sensible_limits, trace, window
from nngames.report.activation_sheets import ROWS, draw_sheet, family_of, plot_activations, sheets_of
from nngames.report.figures import BLUE, SKY, VERMILLION

FEW = ["tanh", "sigmoid", "softmax", "nonnegative"]
SHEETS = ["sets.png", "sigmoids.png", "softmax.png"]


def row(name: str, **parameters: object):
    """The four panels of one activation."""
    figure = draw_sheet("one", [nng.activation(name, **parameters)])
    assert len(figure.axes) == 4
    return figure.axes


def lines(axes, colour: str = BLUE):
    return [line for line in axes.get_lines() if line.get_color() == colour and len(line.get_xdata()) > 1]


def curve(axes) -> tuple[np.ndarray, np.ndarray]:
    (line,) = lines(axes)
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def words(axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def gaps(x: np.ndarray) -> np.ndarray:
    """The middles of the places where a line is broken."""
    broken = np.flatnonzero(np.isnan(x))
    return 0.5 * (x[broken - 1] + x[broken + 1])


# Files


def test_one_file_a_family_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    files = plot_activations(folder, names=FEW)
    assert files == [folder / name for name in SHEETS]
    assert sorted(os.listdir(folder)) == SHEETS
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_the_same_bytes_again_over_the_old_files(tmp_path: Path) -> None:
    (tmp_path / "sigmoids.png").write_bytes(b"old")
    (tmp_path / "mine.txt").write_text("kept")
    for kind in ("png", "svg", "pdf"):
        first = [file.read_bytes() for file in plot_activations(tmp_path, kind, names=["tanh"])]
        assert first == [file.read_bytes() for file in plot_activations(str(tmp_path), kind, names="tanh")]
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert len(os.listdir(tmp_path)) == 4


def test_a_failure_leaves_old_files_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sigmoids.png").write_bytes(b"old")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="No space"):
        plot_activations(tmp_path, names=["tanh"])
    assert os.listdir(tmp_path) == ["sigmoids.png"]
    assert (tmp_path / "sigmoids.png").read_bytes() == b"old"


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever draws has not checked first."""

    def never(*_: object) -> None:
        raise AssertionError("drawn before the folder was checked")

    monkeypatch.setattr(activation_sheets, "draw_sheet", never)


@pytest.mark.usefixtures("no_work")
def test_a_folder_that_cannot_be_is_refused_before_any_work(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "tanh" / "sigmoids.png").mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    cases = [
        (file, "there is a file of that name"),
        (file / "below", "Not a directory"),
        ("", "must be a path"),
        (None, "must be a path"),
        (3, "must be a path"),
        ("a\0b", "null"),
        (tmp_path / "loop", "cannot be made or written to"),
        (tmp_path / ("x" * 300), "name too long"),
        (tmp_path / "tanh", "there is a folder of that name"),
    ]
    for folder, message in cases:
        with pytest.raises(InputError, match=message):
            plot_activations(folder, names=["tanh"])
    assert sorted(os.listdir(tmp_path)) == ["file", "loop", "tanh"]


@pytest.mark.usefixtures("no_work")
def test_an_unwritable_folder_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by its permissions, which do not bind the superuser.
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(activation_sheets.tempfile, "TemporaryFile", denied)
    with pytest.raises(InputError, match="cannot be made or written to: Permission denied"):
        plot_activations(tmp_path)


@pytest.mark.usefixtures("no_work")
def test_formats_and_names_are_checked_before_the_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    for kind in ("jpg", "PNG", ".png", None):
        with pytest.raises(OptionError, match="valid: pdf, png, svg"):
            plot_activations(folder, kind)
    with pytest.raises(UnknownNameError, match="did you mean 'tanh'"):
        plot_activations(folder, names=["tahn"])
    with pytest.raises(InputError, match="no activation to draw"):
        plot_activations(folder, names=[])
    assert not folder.exists()


# Sheets


def test_every_activation_is_on_one_sheet_of_its_family() -> None:
    sheets = sheets_of()
    drawn = [a for _, entries in sheets.values() for a in entries]
    assert sorted(a.name for a in drawn) == list(nng.activations())
    assert all(len(entries) <= ROWS for _, entries in sheets.values())
    for stem, (_, entries) in sheets.items():
        (family,) = {family_of(type(a)) for a in entries}
        assert stem == family or stem.rpartition("_")[0] == family
    assert list(sheets) == sorted(sheets)


def test_sets_share_a_sheet_and_familiar_projections_do_not() -> None:
    families = {name: family_of(type(nng.activation(name))) for name in ("simplex", "box", "hard_tanh", "relu")}
    assert families == {"simplex": "sets", "box": "sets", "hard_tanh": "boxes", "relu": "rectifiers"}


def test_a_large_family_takes_several_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_sheets, "ROWS", 2)
    sheets = sheets_of(["relu", "leaky_relu", "prelu", "tanh"])
    assert list(sheets) == ["rectifiers_1", "rectifiers_2", "sigmoids"]
    assert [[a.name for a in entries] for _, entries in sheets.values()] == [
        ["relu"],
        ["leaky_relu", "prelu"],
        ["tanh"],
    ]
    assert [title for title, _ in sheets.values()] == [
        "rectifiers, sheet 1 of 2",
        "rectifiers, sheet 2 of 2",
        "sigmoids",
    ]


# Panels


def test_a_row_holds_r_its_slopes_f_and_g() -> None:
    a = nng.activation("tanh", scale=0.5)
    functions: list[Callable] = [a, a.derivative, a.penalty, a.primitive]
    panels = row("tanh", scale=0.5)
    for axes, function in zip(panels, functions, strict=True):
        x, y = curve(axes)
        inside = np.isfinite(y)
        assert inside.sum() > 400
        np.testing.assert_array_equal(y[inside], function(x[inside]))
    assert [axes.get_title(loc="left") for axes in panels] == ["r(v)", "r'(v)", "f(z)", "g(v)"]
    assert "tanh(scale = 0.5)" in [text.get_text() for text in panels[0].figure.texts]


@pytest.mark.parametrize(
    ("name", "labels"), [("sigmoid", ("inf 0", "sup 1/4")), ("silu", ("inf -0.0998393", "1.09984"))]
)
def test_the_band_and_the_dashed_lines_are_the_slope_range(name: str, labels: tuple[str, str]) -> None:
    axes = row(name)[1]
    low, high = nng.activation(name).slope_range
    (band,) = [patch for patch in axes.patches if patch.get_facecolor()[:3] == pytest.approx(_rgb(SKY))]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((low, high), rel=1e-15)
    assert [line.get_ydata()[0] for line in lines(axes, VERMILLION)] == [low, high]
    assert all(label in words(axes) for label in labels)
    assert axes.get_ylim()[0] < low < high < axes.get_ylim()[1]
    _, y = curve(axes)
    assert np.nanmin(y) >= low
    assert np.nanmax(y) <= high
    # The extremes are in the window.
    assert np.nanmax(y) == pytest.approx(high, abs=2e-3)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def test_one_slope_is_a_band_of_height_zero() -> None:
    axes = row("linear", slope=0.5)[1]
    assert [line.get_ydata()[0] for line in lines(axes, VERMILLION)] == [0.5, 0.5]
    assert axes.get_ylim()[0] < 0.5 < axes.get_ylim()[1]


def test_jumps_of_the_slope_are_not_joined() -> None:
    x, y = curve(row("leaky_relu")[1])
    assert np.isnan(y[np.isnan(x)]).all()
    assert np.abs(gaps(x)).max() < 1e-12
    assert set(y[np.isfinite(y) & (x != 0)]) == {0.01, 1.0}


@pytest.mark.parametrize(("name", "places"), [("hardshrink", [-1.0, 1.0]), ("logit", [0.25, 0.75])])
def test_jumps_of_the_response_are_not_joined(name: str, places: list[float]) -> None:
    panels = row(name)
    x, y = curve(panels[0])
    np.testing.assert_allclose(np.unique(np.round(gaps(x), 9)), places)
    pieces = np.split(y, np.flatnonzero(np.isnan(x)))
    assert max(np.abs(np.diff(piece[1:])).max(initial=0) for piece in pieces) < 0.02 * np.ptp(y[np.isfinite(y)])
    assert panels[0].get_lines()[0].get_marker() == "None"
    assert "bound: r jumps" in words(panels[1])


def test_what_is_restricted_is_drawn_inside_only() -> None:
    panels = row("softsign_probit")
    for axes in (panels[0], panels[1], panels[3]):
        x, _ = curve(axes)
        assert 0 < np.nanmin(x) < 1e-8
        assert np.nanmax(x) < 1
        assert "not defined" in words(axes)
    # Unbounded slopes leave the panel, marked at both ends.
    assert "no upper bound" in words(panels[1])
    marks = [line for line in panels[1].get_lines() if line.get_marker() == "^"]
    assert len(marks) == 2
    x, y = curve(panels[1])
    assert np.nanmax(y) < 0.01 * nng.activation("softsign_probit").derivative(np.nanmin(x))


def test_the_penalty_ends_with_its_domain() -> None:
    for name, ends in (("sigmoid", [0, 1]), ("hard_tanh", [-1, 1])):
        axes = row(name)[2]
        x, y = curve(axes)
        assert [np.nanmin(x), np.nanmax(x)] == ends
        assert np.isfinite(y).all()
        assert words(axes) == "f = ∞\nf = ∞"
    axes = row("softsign")[2]
    x, _ = curve(axes)
    assert -1 < np.nanmin(x) < -1 + 1e-8
    assert 1 - 1e-8 < np.nanmax(x) < 1
    assert len([line for line in axes.get_lines() if line.get_marker() == "^"]) == 2


def test_a_domain_that_is_a_point_is_a_dot() -> None:
    axes = row("singleton", point=3.0)[2]
    (dot,) = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([3.0], [0.0])


def test_no_penalty_is_said_in_an_empty_panel() -> None:
    axes = row("silu")[2]
    assert words(axes) == "prox of nothing: r is not monotone"
    assert not axes.lines
    assert not axes.axison


def test_vectors_are_drawn_along_a_line() -> None:
    a = nng.activation("softmax")
    panels = row("softmax")
    assert "drawn in R^3, along v = t e1" in "\n".join(text.get_text() for text in panels[0].figure.texts)
    t, first = curve(panels[0])
    v = np.column_stack([t, np.zeros((t.size, 2))])
    np.testing.assert_allclose(first, a(v)[:, 0])
    drawn = lines(panels[1])
    assert len(drawn) == 3
    t = np.asarray(drawn[0].get_xdata())
    for i in np.flatnonzero(np.isfinite(t))[::40]:
        p = a(np.array([t[i], 0, 0]))
        expected = np.linalg.eigvalsh(np.diag(p) - np.outer(p, p))
        np.testing.assert_allclose([line.get_ydata()[i] for line in drawn], expected, atol=1e-12)
    t, f = curve(panels[2])
    v = np.column_stack([t, np.zeros((t.size, 2))])
    np.testing.assert_allclose(f, a.penalty(a(v)))
    t, g = curve(panels[3])
    np.testing.assert_allclose(g, np.log(np.exp(t) + 2))


@pytest.mark.parametrize(("name", "line"), [("maxout", (1, 0, 0)), ("swiglu", (1, 1, 1, 1))])
def test_maps_to_another_space_are_drawn_along_a_line_that_shows_them(name: str, line: tuple[int, ...]) -> None:
    a = nng.activation(name)
    panels = row(name)
    t, first = curve(panels[0])
    inside = np.isfinite(t)
    np.testing.assert_array_equal(first[inside], a(np.multiply.outer(t[inside], line))[:, 0])
    t, slope = curve(panels[1])
    inside = np.isfinite(t) & (t != 0)
    v = np.multiply.outer(t[inside], line)
    step = 1e-6
    quotients = (a(v + step * np.array(line)) - a(v - step * np.array(line)))[:, 0] / (2 * step)
    np.testing.assert_allclose(slope[inside][np.abs(t[inside]) > step], quotients[np.abs(t[inside]) > step], atol=1e-8)
    assert words(panels[2]).startswith("no penalty: r maps R^")
    assert words(panels[3]).startswith("no primitive: r maps R^")
    assert not lines(panels[1], VERMILLION)


def test_a_map_that_is_no_gradient_has_neither_penalty_nor_primitive() -> None:
    panels = row("attention_gaussian")
    assert panels[1].get_title(loc="left").startswith("eigenvalues of (J + J')/2")
    assert "inf >= -0.29" in words(panels[1])
    assert "sup <= 0.29" in words(panels[1])
    assert "Jacobians are not symmetric" in words(panels[2]).replace("\n", " ")
    assert "Jacobians are not symmetric" in words(panels[3]).replace("\n", " ")


# Curves


def test_steep_functions_are_no_jumps_and_steps_are() -> None:
    grid = nodes(-1.0, 1.0)
    assert not np.isnan(trace(lambda x: np.tanh(1e4 * x), grid).x).any()
    steps = trace(lambda x: np.floor(2 * x), grid)
    np.testing.assert_allclose(np.unique(np.round(gaps(steps.x), 9)), [-0.5, 0.0, 0.5, 1.0], atol=1e-9)


def test_poles_are_cut_and_marked() -> None:
    cut = trace(lambda x: 1 / x, nodes(0.0, 1.0, open_lower=True))
    assert isinstance(cut, Curve)
    assert 10 < cut.upper < 100
    ((place, upwards),) = cut.cuts
    assert upwards
    assert place == pytest.approx(1 / cut.upper, rel=0.05)
    assert np.nanmax(cut.y) <= cut.upper


def test_a_steep_end_is_joined_up_to_its_value() -> None:
    end = trace(lambda x: -np.sqrt(1 - x), np.append(nodes(0.0, 1.0, open_upper=True), 1.0))
    assert not np.isnan(end.x).any()
    assert (end.lower, end.upper, end.cuts) == (-1, 0, ())


def test_limits_hold_everything_tame_and_leave_room_around_a_constant() -> None:
    x = np.linspace(-4, 4, 601)
    assert sensible_limits(x, np.exp(x)[:, None]) == (np.exp(-4), np.exp(4))
    assert sensible_limits(x, np.zeros((601, 1))) == (-0.5, 0.5)
    assert sensible_limits(x, np.full((601, 1), np.inf)) == (-1, 1)


def test_windows_show_where_the_slope_changes() -> None:
    assert window(nng.activation("tanh")) == (-4, 4)
    assert window(nng.activation("relu")) == (-4, 4)
    assert window(nng.activation("hard_tanh")) == pytest.approx((-2.5, 2.5), abs=0.02)
    assert window(nng.activation("softsign_probit")) == (0, 1)
    low, high = window(nng.activation("logit"))
    assert -0.5 < low < 0.25 < 0.75 < high < 1.5


# All of them


def texts_on(figure) -> list:
    """Every text that is to be seen: tick labels beyond the limits are not."""
    seen = list(figure.texts)
    for axes in figure.axes:
        seen += [axes.title, axes._left_title, *axes.texts]
        if axes.axison:
            seen += [axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = axis.get_view_interval()
                seen += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [text for text in seen if text.get_text().strip()]


@pytest.mark.parametrize("stem", sorted(sheets_of()))
def test_no_text_of_a_sheet_overlaps_another_or_is_cut(stem: str) -> None:
    figure = draw_sheet(*sheets_of()[stem])
    figure.draw_without_rendering()
    texts = texts_on(figure)
    boxes = np.array([text.get_window_extent().extents for text in texts])
    low, high = boxes[:, :2], boxes[:, 2:]
    assert (low >= 0).all()
    assert (high <= figure.bbox.extents[2:]).all()
    # Neighbours may touch: their boxes have room for letters that are not there.
    common = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    clashes = np.argwhere(np.triu((common > 1).all(axis=2), 1))
    assert [(texts[i].get_text(), texts[j].get_text()) for i, j in clashes] == []
