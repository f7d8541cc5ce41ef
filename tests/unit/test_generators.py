"""The generators of networks: each one's stated property, its equilibrium, its seed, and its place in a scenario."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from scipy.optimize import linprog

import nngames as nng
from nngames.core.operators import SparseMap
from nngames.networks.generators import generate, registry
from nngames.networks.generators.scale_free import preferential_attachment
from nngames.scenario import ScenarioError, load_scenario
from nngames.scenario.schema import json_schema

#: Small instances of every family, and of what differs within one.
SMALL = {
    "chain": ("chain", {"size": 5, "layers": 4}),
    "clearing": ("clearing", {"size": 60}),
    "dag": ("dag", {"size": 40}),
    "shift": ("dag", {"size": 12, "degree": 1, "reach": 1, "activation": "linear"}),
    "gaussian": ("gaussian", {"size": 20, "layers": 3}),
    "gaussian, one layer": ("gaussian", {"size": 20, "layers": 1, "activation": "relu"}),
    "iso": ("iso", {"size": 20, "layers": 3}),
    "iso, odd": ("iso", {"size": 7, "layers": 1}),
    "monotone": ("monotone", {"size": 20, "norm": 10.0}),
    "orthogonal": ("orthogonal", {"size": 20, "layers": 2, "activation": "relu"}),
    "near-singular": ("orthogonal", {"size": 20, "layers": 2, "scale": 0.999, "activation": "linear"}),
    "projections": ("projections", {"size": 6, "layers": 3, "faces": 4}),
    "public_goods": ("public_goods", {"size": 60}),
}
instances = pytest.mark.parametrize(("name", "options"), SMALL.values(), ids=SMALL)


def weights(network):
    return [network.weights[edge].dense for edge in sorted(network.weights)]


def stored(network):
    total = sum(bias.size for bias in network.biases.values()) + (0 if network.input is None else network.input.size)
    for weight in network.weights.values():
        total += 2 * weight.matrix.nnz if isinstance(weight, SparseMap) else weight.matrix.size
    return total


def test_every_generator_is_tested():
    assert {name for name, _ in SMALL.values()} == set(registry.names())


@instances
def test_the_seed_decides_the_network(name, options):
    first, again, other = (generate(name, seed, **options) for seed in (3, 3, 4))
    for a, b in zip(weights(first.network), weights(again.network), strict=True):
        np.testing.assert_array_equal(a, b)
    for player, bias in first.network.biases.items():
        np.testing.assert_array_equal(bias, again.network.biases[player])
    x = np.linspace(-1, 1, first.network.size)
    assert not np.array_equal(first.network.joint(x), other.network.joint(x))
    np.testing.assert_array_equal(nng.Network.generate(name, seed=3, **options).joint(x), first.network.joint(x))


@instances
def test_a_known_equilibrium_is_one(name, options):
    made = generate(name, 1, **options)
    if made.equilibrium is None:
        assert name in ("clearing", "public_goods", "projections")
        return
    residual = np.linalg.norm(made.network.joint(made.equilibrium) - made.equilibrium)
    assert residual <= 1e-15 * made.network.size * max(1.0, np.linalg.norm(made.equilibrium))


@instances
def test_entries_bound_what_is_stored(name, options):
    family = registry.create(name, **options)
    faces = (family.layers - 1) * family.size * family.faces if name == "projections" else 0
    # A chain's first weight is beside the couplings.
    first = family.size**2 if name == "chain" else 0
    actual = stored(family.build(np.random.default_rng(0)).network) + faces + first
    assert 0.4 * family.entries <= actual <= family.entries + family.size


@instances
def test_options_are_checked(name, options):
    for field in dataclasses.fields(registry[name]):
        for bad in (-1, float("nan"), float("inf"), "no such", None, True):
            with pytest.raises((nng.OptionError, nng.UnknownNameError, nng.InputError)):
                registry.create(name, **{field.name: bad})
    with pytest.raises(nng.OptionError, match="did you mean 'size'"):
        registry.create(name, sise=3)


def test_gaussian_layers_have_their_norm():
    for layers in (1, 3):
        for weight in weights(nng.Network.generate("gaussian", size=30, layers=layers, norm=0.95)):
            assert np.linalg.svd(weight)[1][0] == pytest.approx(0.95, rel=1e-14)


@pytest.mark.parametrize("scale", [1.0, 0.999])
def test_orthogonal_layers_are_orthogonal(scale):
    for weight in weights(nng.Network.generate("orthogonal", size=30, layers=3, scale=scale)):
        np.testing.assert_allclose(weight.T @ weight, scale**2 * np.eye(30), atol=1e-14)


@pytest.mark.parametrize(("size", "layers"), [(2, 1), (7, 2), (20, 1), (20, 5)])
def test_iso_rotates_around_a_strictly_active_equilibrium(size, layers):
    made = generate("iso", 2, size=size, layers=layers)
    network, actions = made.network, made.equilibrium.reshape(layers, size)
    product = np.eye(size)
    for layer in network.players:
        weight = network.weights[layer, layer - 1 if layer > 1 else layers].matrix
        np.testing.assert_allclose(weight.T @ weight, (1 - 1e-9) ** 2 * np.eye(size), atol=1e-14)
        product = weight @ product
        before = actions[layer - 2]
        preactivation = weight @ before + network.biases[layer]
        assert (preactivation >= 1 - 1e-13).all()
        assert (preactivation <= 2 + 1e-13).all()
    angles = np.degrees(np.abs(np.angle(np.linalg.eigvals(product))))
    assert angles.min() >= 60 - 1e-6
    assert angles.max() <= 180 + 1e-6
    assert angles.max() - angles.min() > 10 or size == 2


def test_plain_iteration_of_iso_keeps_its_distance():
    made = generate("iso", 2, size=20, layers=3)
    x_star = made.equilibrium[-20:]
    step = np.random.default_rng(0).standard_normal(20)
    x = x_star + 0.5 * step / np.linalg.norm(step)
    for _ in range(60):
        moved = made.network.composite(x)[-20:]
        # The least angle is 60 degrees, and 2 sin(30 degrees) = 1.
        assert np.linalg.norm(moved - x) >= np.linalg.norm(x - x_star) - 1e-8
        assert np.linalg.norm(moved - x_star) == pytest.approx((1 - 1e-9) ** 3 * np.linalg.norm(x - x_star), rel=1e-12)
        x = moved
    assert np.linalg.norm(x - x_star) > 0.499
    found = nng.solve(made.network.game(), "km", tolerance=1e-12)
    np.testing.assert_allclose(found.profile, made.equilibrium, atol=1e-10)


@pytest.mark.parametrize("norm", [2.0, 10.0, 50.0])
@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_monotone_has_its_margin_and_norm(norm, margin):
    for size in (2, 21):
        made = generate("monotone", 1, size=size, norm=norm, margin=margin)
        (weight,) = weights(made.network)
        assert np.linalg.svd(weight)[1][0] == pytest.approx(norm, rel=1e-12)
        least = np.linalg.eigvalsh(np.eye(size) - (weight + weight.T) / 2)[0]
        assert least == pytest.approx(margin, rel=1e-11)


def test_a_norm_that_the_margin_leaves_no_room_for_is_refused():
    with pytest.raises(nng.OptionError, match=r"norm of monotone must be above 1 - margin = 0\.9; got 0\.5"):
        generate("monotone", norm=0.5)


def test_a_chain_is_its_forward_pass_and_nilpotent():
    made = generate("chain", 1, size=6, layers=5, norm=2.0)
    np.testing.assert_allclose(np.concatenate(made.network.forward()), made.equilibrium, atol=1e-13)
    assert all(np.linalg.svd(w)[1][0] == pytest.approx(2.0, rel=1e-14) for w in weights(made.network))
    x = np.random.default_rng(0).standard_normal(made.network.size)
    for _ in range(5):
        x = made.network.joint(x)
    np.testing.assert_allclose(x, made.equilibrium, atol=1e-13)


@pytest.mark.parametrize(("degree", "reach"), [(1, 1), (3, 20), (5, 2)])
def test_a_dag_listens_to_earlier_neurons_only(degree, reach):
    made = generate("dag", 1, size=50, degree=degree, reach=reach, coupling=1.5, activation="tanh")
    (weight,) = weights(made.network)
    rows, columns = np.nonzero(weight)
    assert (columns < rows).all()
    assert (rows - columns <= reach).all()
    counts = np.count_nonzero(weight, axis=1)
    assert (counts[1:] >= 1).all()
    assert (counts <= min(degree, reach)).all()
    np.testing.assert_allclose(np.abs(weight[rows, columns]), 1.5 / np.sqrt(degree), rtol=1e-15)
    x = np.random.default_rng(0).standard_normal(50)
    for _ in range(50):
        x = made.network.joint(x)
    np.testing.assert_allclose(x, made.equilibrium, atol=1e-13)


def test_degree_and_reach_one_make_the_sub_diagonal():
    (weight,) = weights(nng.Network.generate("dag", size=8, degree=1, reach=1))
    np.testing.assert_array_equal(np.abs(weight), np.eye(8, k=-1))


@pytest.mark.parametrize(("size", "links"), [(2, 1), (30, 2), (200, 5)])
def test_preferential_attachment_copies_ends_of_earlier_edges(size, links):
    older, younger = preferential_attachment(size, links, np.random.default_rng(5))
    # One edge after the other, from the same draws.
    draws = np.random.default_rng(5).random(size * links - 1)
    ends = [0, 0]
    for edge in range(1, size * links):
        ends += [edge // links, ends[int(draws[edge - 1] * (2 * edge))]]
    pairs = {(min(pair), max(pair)) for pair in zip(ends[::2], ends[1::2], strict=True)}
    assert list(zip(older.tolist(), younger.tolist(), strict=True)) == sorted((a, b) for a, b in pairs if a != b)


def test_preferential_attachment_is_scale_free():
    older, younger = preferential_attachment(50_000, 5, np.random.default_rng(0))
    degrees = np.bincount(np.concatenate([older, younger]))
    assert 9.5 < degrees.mean() <= 10
    # P(degree >= d) falls like d^-2; a graph with independent edges has no degree above about 35.
    for least in (20, 40, 80, 160):
        share = np.mean(degrees >= least)
        assert share * least**2 == pytest.approx(30, rel=0.35)
    assert degrees.max() > 300


@pytest.mark.parametrize("substitution", [0.9, 1.5])
def test_public_goods_are_symmetric_with_their_norm(substitution):
    (weight,) = weights(nng.Network.generate("public_goods", size=80, substitution=substitution))
    np.testing.assert_array_equal(weight, weight.T)
    assert not weight.diagonal().any()
    assert (weight <= 0).all()
    assert np.linalg.svd(weight)[1][0] == pytest.approx(substitution, rel=1e-13)


def test_clearing_payments_solve_the_linear_program_of_eisenberg_and_noe():
    network = nng.Network.generate("clearing", seed=1, size=60)
    (weight,) = weights(network)
    bias = network.biases[1]
    assert (weight >= 0).all()
    assert (bias >= 0.01).all()
    # The relative liabilities are similar to W.
    assert np.abs(np.linalg.eigvals(weight)).max() == pytest.approx(0.95, abs=1e-12)
    # The greatest payments that no bank exceeds its means with maximise their sum.
    program = linprog(-np.ones(60), A_ub=np.eye(60) - weight, b_ub=bias, bounds=(0, 1))
    found = nng.solve(network.game(), "picard", tolerance=1e-12).profile
    np.testing.assert_allclose(found, program.x, atol=1e-8)
    assert 0.2 < np.mean(found < 1 - 1e-9) < 1


@pytest.mark.parametrize("name", ["clearing", "public_goods"])
def test_a_large_network_holds_little_more_than_its_sparse_matrix(name):
    tracemalloc.start()
    network = nng.Network.generate(name, size=20_000)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (weight,) = network.weights.values()
    matrix = weight.matrix
    assert matrix.has_sorted_indices
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    assert 9.5 * 20_000 < matrix.nnz <= 10 * 20_000
    data = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    assert held <= 1.15 * data


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_projections_in_few_dimensions_have_sets_with_points(size: int) -> None:
    for seed in range(12):
        game = nng.Network.generate("projections", seed, size=size).game()
        assert nng.solve(game).converged


@pytest.mark.parametrize("layers", [2, 4])
def test_projections_are_on_polyhedra_away_from_the_box(layers):
    network = nng.Network.generate("projections", seed=1, size=6, layers=layers, faces=4, distance=2.0)
    *polyhedra, box = network.activations.values()
    half = np.full(6, 6**-0.5)
    np.testing.assert_allclose(box(1e3 * half), half)
    assert np.linalg.norm(half) <= 1 + 1e-15
    for polyhedron in polyhedra:
        assert np.linalg.norm(polyhedron(np.zeros(6))) >= 2.0 - 1e-12
        np.testing.assert_allclose(np.linalg.norm(polyhedron.matrix, axis=1), 1.0)
    found = nng.solve(network.game(), "picard")
    assert found.converged
    actions = found.profile.reshape(layers, 6)
    assert all(np.linalg.norm(action) >= 2.0 - 1e-9 for action in actions[:-1])
    assert np.linalg.norm(actions[-1]) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("case", "method"),
    [("gaussian", "picard"), ("orthogonal", "km"), ("monotone", "extragradient"), ("shift", "picard")],
)
def test_solvers_find_the_equilibrium_that_was_planted(case, method):
    name, options = SMALL[case]
    made = generate(name, 1, **options)
    found = nng.solve(made.network.game(), method, tolerance=1e-12)
    np.testing.assert_allclose(found.profile, made.equilibrium, atol=1e-9)


YAML = "name: n\nseed: {seed}\nnetwork:\n  kind: generated\n  generator: {generator}\n"


def scenario(generator, seed=0):
    return load_scenario(YAML.format(generator=generator, seed=seed))


def test_a_scenario_draws_the_network_that_python_draws():
    network = scenario("{name: iso, size: 6, layers: 2}", seed=7).network
    x = np.linspace(0, 2, 12)
    np.testing.assert_array_equal(network.joint(x), nng.Network.generate("iso", seed=7, size=6, layers=2).joint(x))
    assert scenario("monotone").game.size == 200
    assert scenario("iso").summary == "generated network, 3 players, profiles of 600 numbers"


@pytest.mark.parametrize(
    ("generator", "place", "message"),
    [
        ("ios", "5:14: network.generator", "unknown generator 'ios'; did you mean 'iso'? "),
        ("{size: 3}", "5:14: network.generator", "has no 'name'; give one of chain, "),
        ("{name: iso, sise: 3}", "5:26: network.generator.sise", "no such option; did you mean 'size'? "),
        ("{name: iso, size: 1}", "5:32: network.generator.size", "size of iso must be a whole number from 2 on; got 1"),
        ("{name: iso, size: many}", "5:32: network.generator.size", "must be a whole number; got 'many'"),
        ("{name: dag, activation: rulu}", "5:38: network.generator.activation", "unknown activation 'rulu'; did you"),
    ],
)
def test_a_wrong_generator_is_a_located_error(generator, place, message):
    with pytest.raises(ScenarioError) as caught:
        scenario(generator)
    assert f":{place}" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ("{name: iso, size: 1e6}", "would have 3000003000000 entries; at most 32000000 are allowed"),
        ("{name: gaussian, activation: simplex_of_what, size: 2}", "unknown activation"),
    ],
)
def test_a_network_that_cannot_be_built_is_a_located_error(generator, message):
    with pytest.raises(ScenarioError, match=message) as caught:
        _ = scenario(generator).network
    assert ":5:" in str(caught.value)


def test_the_schema_lists_the_generators():
    text = str(json_schema())
    assert all(f"'const': '{name}'" in text for name in registry.names())
