"""Checks: questions about a game that are answered by a report: certificates, potential and cycles, outcomes.

To add one, define a frozen dataclass with ``@check_named`` in a module of this folder; its fields are the options.
"""

from __future__ import annotations

import sys

from nngames.checks.check import Check, check_named, registry

registry.discover(
    sys.modules[__name__],
    infrastructure=("best_response_cycles", "check", "cycle_certificates"),
)

__all__ = ["Check", "check_named", "registry"]
