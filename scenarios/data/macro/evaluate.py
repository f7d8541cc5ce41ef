"""Compare the stored macro forecaster with simple forecasts on the validation and the test period.

The simple forecasts: the training mean, the last window repeated, a ridge regression from window to window and a vector
autoregression fed with its own forecasts. Strength and lags are chosen on the validation period, as for the network.

    python evaluate.py
"""

from __future__ import annotations

import numpy as np
from train import FOLDER, SERIES, WINDOW, Array, Data, forecast, load, mean_squared_error

RIDGES = tuple(10.0 ** (k / 4) for k in range(17))
LAGS = (1, 2, 3, 4)


def ridge(data: Data, strength: float) -> Array:
    """Coefficients (the last row is the unpenalised intercept) of the linear window-to-window forecast."""
    inputs, targets = data.pairs("train")
    shift_x, shift_y = inputs.mean(axis=0), targets.mean(axis=0)
    centred = inputs - shift_x
    slopes = np.linalg.solve(centred.T @ centred + strength * np.eye(centred.shape[1]), centred.T @ (targets - shift_y))
    return np.vstack([slopes, shift_y - shift_x @ slopes])


def ridge_forecast(coefficients: Array, inputs: Array) -> Array:
    return inputs @ coefficients[:-1] + coefficients[-1]


def autoregression(data: Data, lags: int) -> Array:
    """Least-squares coefficients of a vector autoregression on the training quarters (last row: intercept)."""
    rates = data.rates[: data.validation]
    rows = np.array([np.append(rates[t - lags : t].ravel(), 1.0) for t in range(lags, len(rates))])
    return np.linalg.lstsq(rows, rates[lags:], rcond=None)[0]


def autoregression_forecast(coefficients: Array, inputs: Array) -> Array:
    """The next window quarter by quarter, each forecast fed back."""
    width = len(coefficients) - 1
    history = inputs
    for _ in range(WINDOW):
        history = np.hstack([history, history[:, -width:] @ coefficients[:-1] + coefficients[-1]])
    return history[:, inputs.shape[1] :]


def baselines(data: Data) -> dict[str, tuple[float, float]]:
    """Validation and test errors of the simple forecasts; their own parameter is chosen on the validation period."""
    (inputs, targets), (test_inputs, test_targets) = data.pairs("validation"), data.pairs("test")

    def best(forecasts: dict[float, tuple[Array, Array]]) -> tuple[float, float, float]:
        errors = {key: mean_squared_error(pair[0], targets) for key, pair in forecasts.items()}
        key = min(errors, key=errors.__getitem__)
        return key, errors[key], mean_squared_error(forecasts[key][1], test_targets)

    linear = {strength: ridge(data, strength) for strength in RIDGES}
    vector = {lags: autoregression(data, lags) for lags in LAGS}
    ridge_key, *ridge_errors = best(
        {k: (ridge_forecast(c, inputs), ridge_forecast(c, test_inputs)) for k, c in linear.items()}
    )
    lag_key, *lag_errors = best(
        {k: (autoregression_forecast(c, inputs), autoregression_forecast(c, test_inputs)) for k, c in vector.items()}
    )
    zero, test_zero = np.zeros_like(targets), np.zeros_like(test_targets)
    return {
        "zero (training mean)": (mean_squared_error(zero, targets), mean_squared_error(test_zero, test_targets)),
        "last window repeated": (mean_squared_error(inputs, targets), mean_squared_error(test_inputs, test_targets)),
        f"ridge regression, strength {ridge_key:.3g}": (ridge_errors[0], ridge_errors[1]),
        f"vector autoregression, {lag_key:.0f} lag(s)": (lag_errors[0], lag_errors[1]),
    }


def stored_network() -> Array:
    """Parameters of ``forecaster.npz`` in the order of ``train.unpack``."""
    with np.load(FOLDER / "forecaster.npz", allow_pickle=False) as archive:
        return np.concatenate([archive[f"{kind}{layer}"].ravel() for layer in (1, 2, 3) for kind in ("W", "b")])


def main() -> None:
    data, theta = load(), stored_network()
    print("mean squared error (standardised)      validation     test")
    for name, (validation_error, test_error) in baselines(data).items():
        print(f"{name:38s} {validation_error:10.4f} {test_error:8.4f}")
    inputs, targets = data.pairs("validation")
    own = mean_squared_error(forecast(theta, inputs), targets)
    inputs, targets = data.pairs("test")
    error, zero = (forecast(theta, inputs) - targets) ** 2, targets**2
    print(f"{'this network':38s} {own:10.4f} {np.mean(error):8.4f}\n")
    better = np.mean(error.mean(axis=1) < zero.mean(axis=1))
    print(f"The network is closer than the training mean in {100 * better:.0f} % of the {len(error)} test forecasts.\n")
    print("test error by series   network  training mean")
    for number, name in enumerate(SERIES):
        column = slice(number, None, len(SERIES))
        print(f"{name:20s} {error[:, column].mean():9.4f} {zero[:, column].mean():14.4f}")


if __name__ == "__main__":
    main()
