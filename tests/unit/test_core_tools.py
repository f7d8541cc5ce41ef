"""The core's tools: profiles, operators, registries, verdicts, plain data, seeds and atomic files."""

from __future__ import annotations

import copy
import errno
import json
import os
import pickle
import sys
import types
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import nngames as nng
from nngames.core import files, pieces, references
from nngames.core.eigenvectors import eigenvector
from nngames.core.errors import InputError, OptionError, ShapeError, UnknownNameError
from nngames.core.files import write_atomic
from nngames.core.operators import DenseMap, OperatorMap, SparseMap, as_linear_map
from nngames.core.plain import plain
from nngames.core.profiles import ProfileSpace, float_array
from nngames.core.registry import Registry, RegistryError
from nngames.core.seeds import LateGenerator, generator
from nngames.core.verdicts import Decision, Verdict

SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=6)


# Profiles


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sizes=SIZES, rows=st.integers(0, 3), seed=st.integers(0, 1000))
def test_profiles_and_actions_round_trip(sizes: list[int], rows: int, seed: int) -> None:
    space = ProfileSpace(tuple(f"p{i}" for i in range(len(sizes))), tuple(sizes))
    shape = (rows, space.size) if rows else (space.size,)
    profile = np.random.default_rng(seed).standard_normal(shape)
    actions = space.actions(profile)
    assert [action.shape[-1] for action in actions.values()] == sizes
    reordered = dict(reversed(actions.items()))
    np.testing.assert_array_equal(space.array(reordered, batch=True), profile)
    np.testing.assert_array_equal(space.array(profile.tolist(), batch=True), profile)
    for player, n in space.dims.items():
        where = space.slice(player)
        assert where.stop - where.start == n
        np.testing.assert_array_equal(profile[..., where], actions[player])


def test_a_profile_of_numbers_and_exact_numbers() -> None:
    space = ProfileSpace(("a", "b"), (1, 1))
    np.testing.assert_array_equal(space.array({"b": Fraction(1, 2), "a": 1}), [1.0, 0.5])
    np.testing.assert_array_equal(space.array([Fraction(1, 3), 0]), [1 / 3, 0.0])
    assert ProfileSpace(("a",), (1,)).array(3).shape == (1,)
    assert space.array(np.zeros(2, np.float32)).dtype == np.float32
    assert space.array(np.zeros(2, np.int8)).dtype == np.float64


MASKED = "has masked entries; fill them, as with array.filled(0.0)"


@pytest.mark.parametrize(
    ("profile", "error", "message"),
    [
        ([1.0], ShapeError, "profile has shape (1,); expected (3,), the actions of a (1), b (2)"),
        (np.zeros((1, 1, 3)), ShapeError, "profile has shape (1, 1, 3); expected (3,), the actions of a (1), b (2)"),
        (np.zeros((2, 3)), ShapeError, "profile has shape (2, 3); expected (3,), the actions of a (1), b (2)"),
        ([1.0, np.nan, 2.0], InputError, "profile[1] is nan; every entry must be finite"),
        ({"a": 1.0}, InputError, "profile has no action for b"),
        ({"a": 1, "b": [1, 2], "c": 0}, UnknownNameError, "unknown player in the profile 'c'; valid: a, b"),
        ({"a": 1, "b": [1]}, ShapeError, "profile: the action of b has shape (1,); expected (2,)"),
        ([1j, 0, 0], InputError, "profile is not an array of real numbers: it holds complex numbers"),
        (np.array([1j, 0, 0]), InputError, "profile is not an array of real numbers: it holds complex numbers"),
        (["1", "2", "3"], InputError, "profile is not an array of real numbers: it holds texts"),
        (np.ma.array([1, 2, 3], mask=[0, 1, 0]), InputError, f"profile {MASKED}"),
        ({"a": 1, "b": np.ma.array([1, 2], mask=[0, 1])}, InputError, f"profile, action of b {MASKED}"),
    ],
)
def test_wrong_profiles_are_refused_exactly(profile: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        ProfileSpace(("a", "b"), (1, 2)).array(profile)
    assert str(caught.value) == message


def test_actions_with_different_numbers_of_rows_are_refused() -> None:
    space = ProfileSpace(("a", "b"), (1, 2))
    with pytest.raises(ShapeError) as caught:
        space.array({"a": np.zeros((4, 1)), "b": np.zeros(2)}, batch=True)
    assert str(caught.value) == (
        "profile: the action of b has shape (2,), that of a (4, 1); a batch needs the same number of rows for every "
        "player"
    )


@pytest.mark.parametrize("value", [object(), [1.0, [2.0]], None, {"a": 1}, [None], [None, "1"]])
def test_what_is_no_array_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^x is not an array of real numbers: "):
        float_array(value, "x")


# Operators


def _operators(matrix: Any) -> list[Any]:
    return [as_linear_map(m, "W") for m in (matrix, sparse.csr_array(matrix), aslinearoperator(matrix))]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(m=st.integers(1, 5), n=st.integers(1, 5), rows=st.integers(0, 3), seed=st.integers(0, 1000))
def test_linear_maps_agree_with_their_matrix(m: int, n: int, rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    matrix = draw.standard_normal((m, n))
    x, u = (draw.standard_normal((rows, k) if rows else k) for k in (n, m))
    for kind, operator in zip((DenseMap, SparseMap, OperatorMap), _operators(matrix), strict=True):
        assert isinstance(operator, kind)
        assert operator.shape == (m, n)
        np.testing.assert_allclose(operator.apply(x), x @ matrix.T, atol=1e-14)
        np.testing.assert_allclose(operator.adjoint(u), u @ matrix, atol=1e-14)
        np.testing.assert_allclose(operator.dense, matrix, atol=1e-15)
        if not rows:
            out = np.empty(m)
            np.testing.assert_allclose(operator.apply(x, out), matrix @ x, atol=1e-14)
            np.testing.assert_allclose(out, matrix @ x, atol=1e-14)
        assert operator.astype(np.float32).apply(x.astype(np.float32)).shape == (x @ matrix.T).shape


def test_a_weight_is_a_copy() -> None:
    matrix = np.eye(2)
    operator = as_linear_map(matrix, "W")
    matrix[0, 0] = 5.0
    np.testing.assert_array_equal(operator.dense, np.eye(2))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((2, 2, 2)), ShapeError, "W has shape (2, 2, 2); expected a matrix (rows, columns)"),
        ([1.0, 2.0], ShapeError, "W has shape (2,); expected a matrix (rows, columns)"),
        (np.zeros((0, 2)), ShapeError, "W has shape (0, 2); expected a matrix (rows, columns)"),
        (np.eye(3), ShapeError, "W has shape (3, 3); expected (2, any)"),
        ([[1.0, np.inf], [0, 0]], InputError, "W has an entry that is not finite: [0, 1] is inf"),
        (sparse.csr_array([[np.nan], [0.0]]), InputError, "W has an entry that is not finite"),
        ([["a"], ["b"]], InputError, "W is not an array of real numbers: it holds texts"),
        (np.eye(2) * 1j, InputError, "W is not an array of real numbers: it holds complex numbers"),
        (sparse.csr_array(np.eye(2) * 1j), InputError, "W is not an array of real numbers: it holds complex128"),
        (aslinearoperator(np.eye(2) * 1j), InputError, "W is not an array of real numbers: it holds complex128"),
    ],
)
def test_wrong_matrices_are_refused_exactly(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        as_linear_map(value, "W", (2, None))
    assert str(caught.value) == message


def test_a_large_map_is_not_written_out() -> None:
    operator = as_linear_map(LinearOperator((3000, 3000), matvec=lambda x: x, rmatvec=lambda u: u, dtype=float), "W")
    assert not operator.has_dense
    with pytest.raises(InputError, match=r"^a 3000 by 3000 map is not written out as a dense matrix \(limit 4000000 "):
        _ = operator.dense


# Registries


@dataclass(frozen=True)
class Thing:
    size: int = 1
    colour: str = "red"


def _registry() -> Registry[type]:
    registry: Registry[type] = Registry("thing")
    registry.register("brick")(Thing)
    return registry


def test_a_registry_creates_by_name() -> None:
    registry = _registry()
    assert registry.create("brick", size=3) == Thing(3)
    assert registry.names() == ("brick",)
    assert list(registry) == ["brick"]
    assert len(registry) == 1
    assert "brick" in registry


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("brik", {}, UnknownNameError, "unknown thing 'brik'; did you mean 'brick'? valid: brick"),
        ("zzz", {}, UnknownNameError, "unknown thing 'zzz'; valid: brick"),
        (["brick"], {}, UnknownNameError, "unknown thing ['brick']; did you mean 'brick'? valid: brick"),
        (
            "brick",
            {"colur": "blue"},
            OptionError,
            "thing 'brick' has no option 'colur'; did you mean 'colour'? valid: colour, size",
        ),
        ("brick", {"name": "x"}, OptionError, "thing 'brick' has no option 'name'; valid: colour, size"),
    ],
)
def test_unknown_names_and_options_name_the_valid_ones(
    name: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        _registry().create(name, **options)
    assert str(caught.value) == message


def test_an_owner_without_options_says_so() -> None:
    @dataclass(frozen=True)
    class Plain:
        pass

    registry: Registry[type] = Registry("thing")
    registry.register("plain")(Plain)
    with pytest.raises(OptionError) as caught:
        registry.create("plain", size=1)
    assert str(caught.value) == "thing 'plain' takes no options; got 'size'"


def test_a_name_registered_twice_is_an_import_error() -> None:
    with pytest.raises(RegistryError, match=r"^thing 'brick' is registered twice: in .* and again$") as caught:
        _registry().register("brick")(Thing)
    assert isinstance(caught.value, ImportError)


def _package(path: Path, name: str, modules: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = path / name
    folder.mkdir()
    for module, source in {"__init__": "", **modules}.items():
        (folder / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(path))
    package = types.ModuleType(name)
    package.__path__ = [str(folder)]
    monkeypatch.setitem(sys.modules, name, package)
    return package


PLUG_IN = "from nngames.core.registry import Registry\nimport {0}\n@{0}.registry.register('{1}')\nclass A: pass\n"


def test_discovery_registers_every_module_and_refuses_one_that_registers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"one": PLUG_IN.format("folder_a", "one"), "two": PLUG_IN.format("folder_a", "two"), "shared": "x = 1"}
    package = _package(tmp_path, "folder_a", modules, monkeypatch)
    package.registry = Registry("thing")
    package.registry.discover(package, infrastructure=("shared",))
    assert package.registry.names() == ("one", "two")
    package.registry = Registry("thing")
    with pytest.raises(RegistryError, match=r"^folder_a\.one registers no thing$"):
        package.registry.discover(package, infrastructure=("shared",))
    fresh = _package(tmp_path, "folder_b", {"idle": "x = 1"}, monkeypatch)
    with pytest.raises(RegistryError) as caught:
        Registry("thing").discover(fresh)
    assert str(caught.value) == "folder_b.idle registers no thing"


# Verdicts, plain data, seeds


def test_a_verdict_cites_and_writes_itself_out() -> None:
    verdict = Verdict(
        Decision.PROVED, "it holds", "by hand", 0.5, {"weights": np.ones(2)}, ("bauschke2017", "moreau1965")
    )
    assert verdict.proved
    assert not verdict.refuted
    assert str(verdict) == "PROVED: it holds"
    assert verdict.cite().count("@") == 2
    assert "@book{bauschke2017," in verdict.cite()
    assert Verdict(Decision.REFUTED, "", "").cite() == ""
    data = json.loads(json.dumps(verdict.to_dict()))
    assert data["status"] == "PROVED"
    assert data["witness"] == {"weights": [1.0, 1.0]}


def test_every_reference_is_a_bibtex_entry_of_its_own_key() -> None:
    assert references.keys()
    for key in tuple(references.keys()):
        entry = references.bibtex(key)
        assert entry.startswith("@")
        assert entry.split("{")[1].startswith(f"{key},")
        assert entry.count("{") == entry.count("}")
        assert "year" in entry


class _Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([[1.0, np.inf], [np.nan, -np.inf]]), [[1.0, "inf"], ["nan", "-inf"]]),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (Fraction(4, 9), "4/9"),
        ({1: (1, 2), ("a", 0): None}, {"1": [1, 2], "('a', 0)": None}),
        (_Colour.RED, "red"),
        (Decision.PROVED, "PROVED"),
        (float("-inf"), "-inf"),
        (True, True),
        ([Verdict(Decision.PROVED, "s", "m")], [Verdict(Decision.PROVED, "s", "m").to_dict()]),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_plain_data_can_be_written_as_json(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)
    json.dumps(plain(value), allow_nan=False)


def test_seeds_are_reproducible_and_checked() -> None:
    assert generator(None).random() == generator(0).random() == generator(np.int64(0)).random()
    assert generator(1).random() != generator(0).random()
    given_generator = np.random.default_rng(5)
    assert generator(given_generator) is given_generator
    for wrong in (-1, 1.5, True, "a"):
        with pytest.raises(InputError) as caught:
            generator(wrong)  # type: ignore[arg-type]
        assert str(caught.value) == f"seed must be a nonnegative integer or a numpy Generator; got {wrong!r}"


def test_a_generator_that_is_made_late_draws_the_same_and_can_be_copied() -> None:
    late = LateGenerator(3)
    copies = copy.copy(late), copy.deepcopy(late), pickle.loads(pickle.dumps(late))
    assert {generated.random() for generated in (*copies, late)} == {generator(3).random()}


@pytest.mark.parametrize("method", ["auto", "picard", "anderson", "best_response"])
def test_a_wrong_seed_is_refused_by_runs_that_never_draw(method: str) -> None:
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[0.0], [1.0]], ["tanh", "tanh"]).game()
    with pytest.raises(InputError, match="seed must be a nonnegative integer"):
        nng.solve(game, method, seed=-1)


# Files


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "result.json"
    assert write_atomic(target, "one") == target
    assert target.read_text() == "one"
    assert write_atomic(str(target), b"two").read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o644 & ~_umask()

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full") as caught:
        write_atomic(target, "three")
    assert caught.value.filename == str(target)
    assert target.read_text() == "two"
    assert sorted(os.listdir(tmp_path)) == ["result.json"]

    def interrupted(*names: Any) -> None:
        os.rename(*names)
        raise KeyboardInterrupt

    # Ctrl-C when the rename is done, but nothing else.
    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(target, "four")
    assert target.read_text() == "four"
    assert sorted(os.listdir(tmp_path)) == ["result.json"]


def test_a_link_is_followed_and_a_pipe_is_written_into(tmp_path: Path) -> None:
    target, link, pipe = (tmp_path / name for name in ("result.json", "link", "pipe"))
    link.symlink_to(target)
    assert write_atomic(link, "one") == link
    assert link.is_symlink()
    assert target.read_text() == "one"
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDWR), "rb", buffering=0) as reader:
        write_atomic(pipe, "two")
        assert reader.read(3) == b"two"
    assert pipe.is_fifo()
    assert len(os.listdir(tmp_path)) == 3


def test_a_missing_folder_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    target = tmp_path / "no" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(target, "x")
    # Not the temporary file, of which nobody has heard.
    assert caught.value.filename == str(target)
    assert list(tmp_path.iterdir()) == []


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("size", [1e-150, 1e-10, 1.0])
def test_an_eigenvector_is_found_also_where_the_eigenvalues_lie_together(size: float) -> None:
    factor = size * np.random.default_rng(8).standard_normal((17, 17)) - np.eye(17)
    matrix = factor.T @ factor
    for place in (0, 16):
        vector = eigenvector(matrix, place)
        assert np.linalg.norm(vector) == pytest.approx(1)
        value = np.linalg.eigvalsh(matrix)[place]
        np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-11)


@pytest.mark.parametrize("size", [5, 20, 21])
def test_inner_products_of_long_rows_are_summed_by_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONG", 20)
    monkeypatch.setattr(pieces, "PIECE", 8)
    rows = np.random.default_rng(size).standard_normal((4, size))
    found = pieces.gram_matrix(rows)
    np.testing.assert_allclose(found, rows @ rows.T, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(found, found.T)
    assert not pieces.gram_matrix(np.zeros((3, size))).any()
