"""Train the macro forecaster under a certificate: its ring is a contraction, so it settles, whatever the start.

Each weight keeps |W_l|_2 <= bound while it is trained by projected gradients, so with tanh, tanh, identity the ring
contracts by at most the product of the bounds. Bound and ridge are chosen on the validation period, as in ``train.py``;
the network is written to ``certified.npz``, and the ring of the stored network is checked: ``certify`` proves the
contraction anew, and the averaged feed goes from 1000 random starts to one point within the certificate's rate. The
windows of the training and test periods are written to ``windows.npz``.

Two other certificates beside it: weights held where each layer is averaged (hidden layers as wide as the input, so that
this can be), and where I - W is strongly monotone, which norms above 1 can be. Each ring is solved from 1000 random
starts by a scheme that its certificate proves to converge, and every end is held against the proved rate.

    python certified.py            needs nngames
"""

from __future__ import annotations

import io

import numpy as np
from evaluate import stored_network
from train import DECIMALS, FOLDER, HIDDEN, SEED, forecast, load, mean_squared_error

import nngames as nng
from nngames.core.files import write_atomic

BOUNDS = (0.8, 0.9, 0.95, 0.99, None)
RIDGES = (0.0, 0.03, 0.1, 0.3, 1.0)
RESTARTS = 4
STARTS = 1000
# Certificate, widths, ridges and the scheme that it licenses.
OTHERS = (
    ("averaged", (16, 16), RIDGES, "picard"),
    ("monotone", HIDDEN, (0.1, 0.3), "peaceman_rachford"),
)


def fitted(inputs, targets, bound: float | None, ridge: float):
    """Return the network with the lowest training loss over the restarts."""
    method = "lbfgs" if bound is None else "projected_gradient"
    runs = [
        nng.train_by_backpropagation(
            inputs,
            targets,
            ["tanh", "tanh", "identity"],
            HIDDEN,
            method=method,
            bounds=bound,
            ridge=ridge,
            seed=SEED + restart,
            max_iterations=3000,
            tolerance=1e-6,
        )
        for restart in range(RESTARTS)
    ]
    return min(runs, key=lambda run: run.loss)


def main() -> None:
    data = load()
    pairs = {period: data.pairs(period) for period in ("train", "validation", "test")}
    print("bound   ridge  status           training  validation     test  product of spectral norms")
    found = []
    for bound in BOUNDS:
        for ridge in RIDGES:
            run = fitted(*pairs["train"], bound, ridge)
            errors = [mean_squared_error(run.network.predict(x), y) for x, y in pairs.values()]
            product = float(np.prod([np.linalg.norm(w, 2) for w in run.network.weights]))
            found.append((bound, ridge, run, errors, product))
            shown = " none" if bound is None else f"{bound:5.2f}"
            print(
                f"{shown}  {ridge:6.2f}  {run.status!s:15s}  {errors[0]:8.4f}  {errors[1]:10.4f} {errors[2]:8.4f}"
                f"  {product:.4f}"
            )
    free = min((entry for entry in found if entry[0] is None), key=lambda entry: entry[3][1])
    chosen = min((entry for entry in found if entry[0] is not None), key=lambda entry: entry[3][1])
    stored = [mean_squared_error(forecast(stored_network(), x), y) for x, y in pairs.values()]
    print("\nchosen on the validation period           training  validation     test")
    for name, errors in (("without bounds", free[3]), ("with bounds", chosen[3]), ("forecaster.npz", stored)):
        print(f"{name:40s}  {errors[0]:8.4f}  {errors[1]:10.4f} {errors[2]:8.4f}")
    arrays = {}
    for number, (weight, bias) in enumerate(zip(chosen[2].network.weights, chosen[2].network.biases, strict=True), 1):
        arrays[f"W{number}"], arrays[f"b{number}"] = np.round(weight, DECIMALS) + 0.0, np.round(bias, DECIMALS) + 0.0
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(FOLDER / "certified.npz", buffer.getvalue())
    # What the scenario ``settling_forecaster`` trains on and tests on.
    windows = [np.round(np.concatenate(parts), DECIMALS) for parts in zip(pairs["train"], pairs["test"], strict=True)]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, inputs=windows[0], targets=windows[1])
    write_atomic(FOLDER / "windows.npz", buffer.getvalue())
    settle(arrays)
    for certificate, widths, ridges, method in OTHERS:
        held(pairs, certificate, widths, ridges, method)


def settle(arrays) -> None:
    """Feed the stored ring from random starts, and compare with the proved rate."""
    network = nng.Network.ring(
        [arrays[f"W{layer}"] for layer in (1, 2, 3)],
        [arrays[f"b{layer}"] for layer in (1, 2, 3)],
        ["tanh", "tanh", "identity"],
    )
    verdict = nng.certify(network.game())["composite_contraction"]
    factor = float(verdict.witness["factor"])
    limit = nng.solve(network.game(), tolerance=1e-14).actions[3]
    rng, worst, farthest, steps = np.random.default_rng(SEED), 0.0, 0.0, 200
    for _ in range(STARTS):
        x = 3 * rng.standard_normal(16)
        first = np.linalg.norm(x - limit)
        for step in range(1, steps + 1):
            # The averaged feed with relaxation 1/2 contracts by (1 + q)/2.
            x = (x + network.composite(x)[-16:]) / 2
            bound = ((1 + factor) / 2) ** step * first
            if bound > 1e-10:
                worst = max(worst, float(np.linalg.norm(x - limit)) / bound)
        farthest = max(farthest, float(np.linalg.norm(x - limit)))
    print(f"\n{verdict}")
    print(f"{STARTS} starts, {steps} steps of the averaged feed: at most {farthest:.1e} from one point;")
    print(f"the distance is at most {worst:.3f} times the proved bound, ((1 + q)/2)^k |x_0 - x*| with q = {factor:.6f}")


def held(pairs, certificate: str, widths: tuple[int, ...], ridges, method: str) -> None:
    """Train under a certificate, and solve the ring from random starts by a scheme that it licenses."""
    runs = [
        nng.train_by_backpropagation(
            *pairs["train"],
            ["tanh", "tanh", "identity"],
            widths,
            method="projected_gradient",
            certificate=certificate,
            ridge=ridge,
            seed=SEED,
            max_iterations=1000,
            tolerance=1e-6,
        )
        for ridge in ridges
    ]
    run = min(
        runs, key=lambda each: mean_squared_error(each.network.predict(pairs["validation"][0]), pairs["validation"][1])
    )
    errors = [mean_squared_error(run.network.predict(x), y) for x, y in pairs.values()]
    game = run.network.ring().game()
    norms = ", ".join(f"{np.linalg.norm(weight, 2):.3f}" for weight in run.network.weights)
    print(
        f"\n{certificate}, widths {widths}: training {errors[0]:.4f}, validation {errors[1]:.4f}, test {errors[2]:.4f}"
    )
    print(f"spectral norms {norms}")
    for verdict in run.verdicts.values():
        print(verdict)
    limit = nng.solve(game, method=method, tolerance=1e-13, max_iterations=100_000).profile
    guarantee = nng.solver(method).guarantee(game)
    rng, worst, farthest, unsettled = np.random.default_rng(SEED), 0.0, 0.0, 0
    last = slice(game.size - 16, game.size) if guarantee.witness["map"] == "composite" else slice(None)
    for _ in range(STARTS):
        start = 3 * rng.standard_normal(game.size)
        result = nng.solve(game, method=method, start=start, tolerance=1e-9, max_iterations=10_000)
        unsettled += not (result.converged and result.guarantee.proved)
        end = result.profile[last] - limit[last]
        measured = result.residual if guarantee.rate.quantity == "residual" else guarantee.rate.norm(end)
        bound = guarantee.rate.bound(result.iterations, guarantee.rate.norm(start[last] - limit[last]))
        worst, farthest = max(worst, measured / bound), max(farthest, float(np.linalg.norm(end)))
    print(f"{method}: {guarantee}")
    print(f"{STARTS} starts, {unsettled} of them not converged: at most {farthest:.1e} from one point, and at most")
    print(f"{worst:.0e} times the proved bound {guarantee.rate.description}")


if __name__ == "__main__":
    main()
