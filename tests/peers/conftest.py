"""The tests of peers run where the extra ``peers`` is installed; the test command does not install it."""

from __future__ import annotations

import importlib.util

PACKAGES = ("jax", "jaxopt", "optimistix", "torch", "torchdeq", "nashopt", "qpsolvers")

if any(importlib.util.find_spec(package) is None for package in PACKAGES):
    collect_ignore_glob = ["test_*.py"]
