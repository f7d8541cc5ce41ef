"""Figures in the phrases of verdicts."""

from __future__ import annotations

import re

_NUMBER = r"([0-9.]+(?:e[+-]?\d+)?)"


def figure(text: str, words: str) -> float:
    """Return the figure after some words of a phrase."""
    found = re.search(f"{re.escape(words)} {_NUMBER}", text)
    assert found, (words, text)
    return float(found[1])
