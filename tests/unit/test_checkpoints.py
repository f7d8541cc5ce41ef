"""Checkpoints: a run that goes on from any of them ends exactly as the run that was never stopped."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import nngames as nng
from nngames.core.errors import InputError, NotApplicableError, OptionError
from nngames.core.packed import pack, read_packed
from nngames.solvers import Interrupted, solver
from nngames.solvers.checkpoints import FORMAT, Checkpoints, solve_with_checkpoints

METHODS = [
    ("gradient_descent", {}),
    ("accelerated_gradient", {}),
    ("accelerated_gradient", {"restart": False}),
    ("newton_descent", {"inner_iterations": 1}),
    ("block_iterative", {"schedule": "random"}),
    ("stochastic_gradient", {"batch": 7}),
]
IDENTITY = {"problem": "this"}


@pytest.fixture(scope="module")
def game():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 4)) * [1, 3, 0.2, 1]
    targets = np.tanh(rng.normal(size=(40, 2)))
    return nng.TrainingProblem(x, targets, ["tanh"]).game()


def same(one, other):
    assert one.profile.tobytes() == other.profile.tobytes()
    for name in ("status", "iterations", "evaluations", "residual", "scale", "message", "seed", "options"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.trace.residual.tobytes() == other.trace.residual.tobytes()
    assert one.trace.evaluations.tobytes() == other.trace.evaluations.tobytes()


@pytest.mark.parametrize(("method", "options"), METHODS)
@pytest.mark.parametrize("stop", [1, 6])
def test_a_run_from_a_checkpoint_ends_as_the_whole_run(game, method, options, stop, tmp_path):
    run = {"tolerance": 1e-10, "max_iterations": 300, "seed": 5}
    whole = nng.solve(game, method=method, **run, **options)
    assert whole.iterations > stop + 1
    path, copy = tmp_path / "c.npz", tmp_path / "copy.npz"

    def steal(iterate):
        # At that moment the file holds the iterate before.
        if iterate.iteration == stop + 1:
            shutil.copy(path, copy)

    scheme = solver(method, **options)
    kept = solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY, every=1e-9), callback=steal, **run)
    same(kept, whole)
    assert read_packed(copy, FORMAT, "checkpoint")["iteration"] == stop
    resumed = solve_with_checkpoints(game, scheme, Checkpoints(copy, IDENTITY, resume=True), **run)
    same(resumed, whole)


def test_what_the_stopping_rules_remember_is_kept(game, tmp_path):
    # Whether a run stalls is decided by iterates 1000 steps apart.
    run, scheme = {"tolerance": 1e-30, "max_iterations": 9000}, solver("accelerated_gradient")
    whole = nng.solve(game, method=scheme, **run)
    assert (whole.status, whole.iterations) == ("stalled", 2000)
    path = tmp_path / "c.npz"
    solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY), tolerance=1e-30, max_iterations=1500)
    same(solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY, resume=True), **run), whole)


def test_an_ended_run_goes_on_with_a_larger_budget(game, tmp_path):
    path, scheme = tmp_path / "c.npz", solver("accelerated_gradient")
    short = solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY), max_iterations=9)
    assert (short.status, short.iterations) == ("max_iterations", 9)
    resumed = solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY, resume=True))
    same(resumed, nng.solve(game, method=scheme))
    again = solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY, resume=True))
    same(again, resumed)


def test_an_interruption_is_written(game, tmp_path):
    def stop(iterate):
        if iterate.iteration == 12:
            raise KeyboardInterrupt

    path, scheme = tmp_path / "c.npz", solver("stochastic_gradient", batch=7)
    with pytest.raises(Interrupted) as caught:
        solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY), seed=2, max_iterations=200, callback=stop)
    assert (caught.value.result.status, caught.value.result.seed) == ("interrupted", 2)
    resumed = solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY, resume=True), seed=2, max_iterations=200)
    same(resumed, nng.solve(game, method=scheme, seed=2, max_iterations=200))


def test_a_checkpoint_is_only_of_its_own_run(game, tmp_path):
    path, scheme = tmp_path / "c.npz", solver("gradient_descent")
    solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY), max_iterations=3, seed=1)
    before = path.read_bytes()

    def message(scheme=scheme, identity=IDENTITY, seed=1):
        with pytest.raises(InputError) as caught:
            solve_with_checkpoints(game, scheme, Checkpoints(path, identity, resume=True), seed=seed)
        return str(caught.value)

    theirs = 'gradient_descent {"rule": "curvature", "step_size": 1.0}'
    another = f"{path}: is the checkpoint of another run, with another"
    assert message(identity={"problem": "that"}) == f"{another} problem"
    assert message(seed=2) == f"{another} seed: 1, and here 2"
    assert message(solver("gradient_descent", step_size=0.5)) == (
        f'{another} method: {theirs}, and here gradient_descent {{"rule": "curvature", "step_size": 0.5}}'
    )
    with pytest.raises(InputError, match=r"the file exists; resume from it \(--resume, resume=True\)"):
        Checkpoints(path, IDENTITY)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_broken_file_is_no_checkpoint(game, content, tmp_path):
    path = tmp_path / "c.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c.npz: is no checkpoint of nngames"):
        solve_with_checkpoints(game, solver("gradient_descent"), Checkpoints(path, IDENTITY, resume=True))
    assert path.read_bytes() == content


def test_content_that_was_changed_is_refused(game, tmp_path):
    path, scheme = tmp_path / "c.npz", solver("gradient_descent")
    solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY), max_iterations=3, seed=1)
    with np.load(path) as stored:
        arrays = dict(stored)
    text = str(arrays["description"])
    number = next(name for name, array in arrays.items() if name.startswith("array_") and array.dtype == np.float64)
    for changed in (
        {"description": np.array(text.replace('"iteration": 3', '"iteration": 2'))},
        {number: np.nextafter(arrays[number], 1)},
        {"digest": np.array("")},
    ):
        assert all(not np.array_equal(arrays[name], value) for name, value in changed.items())
        np.savez(path, **{**arrays, **changed})
        with pytest.raises(InputError, match=r"c.npz: is no checkpoint of nngames: its content has been changed"):
            solve_with_checkpoints(game, scheme, Checkpoints(path, IDENTITY, resume=True), seed=1)


@pytest.mark.parametrize("at", [8, 6])
def test_a_damaged_archive_is_told(game, at, tmp_path):
    path = tmp_path / "c.npz"
    path.write_bytes(pack({"identity": {}}, "nngames checkpoint 1"))
    content = bytearray(path.read_bytes())
    # The compression (8) or the flags (6) of the first entry, in the directory at the end: an unknown method, a cipher.
    content[content.index(b"PK\x01\x02") + at + 2] ^= 0x21
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c.npz: is no checkpoint of nngames"):
        solve_with_checkpoints(game, solver("gradient_descent"), Checkpoints(path, IDENTITY, resume=True))


def test_pickles_are_not_loaded(game, tmp_path):
    path = tmp_path / "c.npz"
    np.savez(path, description=np.array({"format": "nngames checkpoint 1"}, dtype=object))
    with pytest.raises(InputError, match=r"is no checkpoint of nngames: .*allow_pickle"):
        solve_with_checkpoints(game, solver("gradient_descent"), Checkpoints(path, IDENTITY, resume=True))


def test_methods_with_buffers_of_their_own_are_refused(game, tmp_path):
    expected = (
        "no checkpoints are kept of picard, so it cannot resume; they are of accelerated_gradient, block_iterative, "
        "gradient_descent, newton_descent, stochastic_gradient"
    )
    with pytest.raises(NotApplicableError) as caught:
        solve_with_checkpoints(game, solver("picard"), Checkpoints(tmp_path / "c.npz", IDENTITY))
    assert str(caught.value) == expected
    assert not (tmp_path / "c.npz").exists()


def test_values_come_back_as_they_were(tmp_path):
    value = {
        "identity": {"a": "b"},
        "floats": [0.1, -0.0, float("inf"), float("nan"), 5e-324],
        "tuple": (1, None, (True, 2**127)),
        "arrays": [np.arange(6.0).reshape(2, 3), np.array([], dtype=np.intp), np.array([np.nan, -0.0])],
    }
    path = tmp_path / "v.npz"
    path.write_bytes(pack(value, "a format"))
    back = read_packed(path, "a format", "value")
    assert back["identity"] == value["identity"]
    with pytest.raises(InputError, match="is no other thing of nngames: its format is 'a format'"):
        read_packed(path, "another", "other thing")
    assert [x.hex() for x in back["floats"]] == [x.hex() for x in value["floats"]]
    assert back["tuple"] == value["tuple"]
    assert isinstance(back["tuple"][2], tuple)
    for one, other in zip(back["arrays"], value["arrays"], strict=True):
        assert (one.tobytes(), one.shape, one.dtype) == (other.tobytes(), other.shape, other.dtype)
    with pytest.raises(OptionError, match="only arrays, numbers and texts are packed; got object"):
        pack({"x": object()}, "a format")
