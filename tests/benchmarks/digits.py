"""Handwritten digits: a two-layer network trained as a game, by back-propagation, and by scikit-learn.

Run as ``python tests/benchmarks/digits.py [--seeds 5] [--width 64]``; it needs scikit-learn, ``pip install
'nngames[data]'``. For each seed the digits are split 70 to 30, and printed are the shares of test digits that are told
right: by scikit-learn's MLPClassifier with its defaults and 400 epochs, by the same network trained by back-propagation
(L-BFGS, a ridge), by the lifted game (moves in turn, no back-propagation), and, to see what training the hidden layer
is worth, where that stays as it was drawn for the game and the last layer alone is trained.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import nngames as nng

RIDGE = 1e-4
SHARES = (1.0, 0.1)


def main() -> None:
    """Print a row for each seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    inputs, labels = load_digits(return_X_y=True)
    inputs = inputs / 16
    print(
        "test digits told right (seconds)\nseed   scikit-learn      back-propagation  game              hidden as drawn"
    )
    shares = []
    for seed in range(arguments.seeds):
        x, x_test, y, y_test = train_test_split(inputs, labels, test_size=0.3, random_state=seed, stratify=labels)
        targets = np.eye(10)[y]
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            theirs = MLPClassifier((arguments.width,), max_iter=400, random_state=seed).fit(x, y)
        right = [theirs.score(x_test, y_test)]
        seconds = [time.perf_counter() - began]
        network = nng.train_by_backpropagation(
            x, targets, ["relu", "softmax"], [arguments.width], ridge=RIDGE, seed=seed, max_iterations=300
        )
        right.append(float(np.mean(network.network.predict(x_test).argmax(axis=1) == y_test)))
        seconds.append(network.seconds)
        game = nng.LiftedTraining(x, targets, ["relu", "softmax"], [arguments.width], ridge=RIDGE, shares=SHARES)
        start = game.start(seed)
        result = nng.solve(game.game(), method="alternating", start=start, max_iterations=arguments.rounds)
        right.append(float(np.mean(game.trained(result.profile).predict(x_test).argmax(axis=1) == y_test)))
        seconds.append(result.seconds)
        drawn = game.trained(start)
        features, test_features = (
            nng.activation("relu")(z @ drawn.weights[0].T + drawn.biases[0]) for z in (x, x_test)
        )
        last = nng.TrainingProblem(features, targets, ["softmax"], ridge=RIDGE)
        solved = nng.solve(last.game(), method="newton_descent", tolerance=1e-5)
        right.append(float(np.mean(last.predict(solved.profile, test_features).argmax(axis=1) == y_test)))
        seconds.append(solved.seconds)
        shares.append(right)
        cells = [f"{100 * r:5.2f} % ({s:5.1f} s)" for r, s in zip(right, seconds, strict=True)]
        print(f"{seed:4d}   {'  '.join(cells)}", flush=True)
    means = [f"{100 * r:5.2f} %          " for r in np.mean(shares, axis=0)]
    print(f"mean   {'  '.join(means)}")


if __name__ == "__main__":
    main()
