"""How many random contractions get a certified equilibrium, and whether profiles beyond the radius are refused.

Run as ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/certified_profiles.py [--games 300] [--neurons 200]``. Rings of
one to three layers of up to so many neurons, weights with norms from 0.1 to 0.95, are solved to 1e-12 and certified to
hold an equilibrium within the radius; then the profile is moved by a thousand radii. Printed: how many were PROVED and
REFUTED, and the longest time of a certificate.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import nngames as nng

ACTIVATIONS = ("tanh", "relu", "sigmoid", "hard_tanh", "softplus", "elu", "arctan", "leaky_relu")
RADIUS = 1e-6


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=300)
    parser.add_argument("--neurons", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    sizes = [n for n in (1, 2, 5, 20, 50, 100, 200) if n <= arguments.neurons]
    proved = refuted = 0
    longest = 0.0
    for _ in range(arguments.games):
        n, layers = int(rng.choice(sizes)), int(rng.integers(1, 4))
        weights = [rng.normal(size=(n, n)) for _ in range(layers)]
        weights = [w * rng.uniform(0.1, 0.95) / np.linalg.norm(w, 2) for w in weights]
        biases = [rng.normal(size=n) for _ in range(layers)]
        names = [str(rng.choice(ACTIVATIONS)) for _ in range(layers)]
        game = nng.Network.ring(weights, biases, names).game()
        profile = nng.solve(game, tolerance=1e-12).profile
        began = time.perf_counter()
        proved += nng.certify_equilibrium(game, profile, radius=RADIUS).proved
        longest = max(longest, time.perf_counter() - began)
        direction = rng.normal(size=game.size)
        beyond = profile + 1000 * RADIUS * direction / np.linalg.norm(direction)
        refuted += nng.certify_equilibrium(game, beyond, radius=RADIUS).refuted
    print(f"{arguments.games} contractions: {proved} PROVED within {RADIUS:g}, in at most {longest:.2f} s each")
    print(f"{arguments.games} profiles {1000 * RADIUS:g} away: {refuted} REFUTED")


if __name__ == "__main__":
    main()
