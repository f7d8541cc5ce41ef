"""Data sets that scikit-learn ships, as inputs and targets; scikit-learn is loaded when one is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from nngames.core.errors import MissingExtraError, UnknownNameError
from nngames.core.profiles import Array

#: Their names, and what they are.
DATASETS = {
    "diabetes": "ten measurements of 442 patients, and how far the disease had gone a year later (Efron et al. 2004)",
    "digits": "1797 images of 8 x 8 grey values from 0 to 1, and a 1 in the column of the digit shown",
}


def load_dataset(name: str) -> tuple[Array, Array]:
    """Return the inputs (T, n_0) and targets (T, n_L) of a data set.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    MissingExtraError
        If scikit-learn is not installed.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, tuple(DATASETS))
    try:
        from sklearn import datasets
    except ImportError:
        raise MissingExtraError(f"the data set {name!r}", "data") from None
    loaded: Any = getattr(datasets, f"load_{name}")()
    inputs, targets = np.asarray(loaded.data, dtype=np.float64), np.asarray(loaded.target)
    if name == "digits":
        return inputs / 16, np.eye(10)[targets]
    return inputs, targets.astype(np.float64)[:, None]
