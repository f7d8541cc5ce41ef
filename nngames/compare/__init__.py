"""Comparisons: several methods on one or several games, every failure kept with its reason."""

from __future__ import annotations

from nngames.compare.runner import compare

__all__ = ["compare"]
