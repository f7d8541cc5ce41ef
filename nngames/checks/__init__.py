"""Checks: questions about a game that are answered by a report: certificates, potentials and cycles, outcomes.

To add one, define a frozen dataclass with ``@check_named`` in a module of this folder; its fields are the options.
"""

from __future__ import annotations

import sys

from nngames.checks.check import Check, check_named, registry

registry.discover(
    sys.modules[__name__],
    infrastructure=(
        "acyclicity",
        "best_response_cycles",
        "check",
        "far_candidates",
        "feasible_profiles",
        "feed_batches",
        "finite",
        "local_candidates",
        "cycle_certificates",
        "effective_coupling",
        "enclosed_best_responses",
        "enumerating",
        "equilibria",
        "existing",
        "improvement_cycles",
        "indifference",
        "one_way_players",
        "outcome_clusters",
        "outcome_verdicts",
        "potential_findings",
        "relaxed_reflections",
        "restricted_games",
        "second_route",
    ),
)

from nngames.checks.enumeration import enumerate_equilibria  # noqa: E402  (after the registry is filled)
from nngames.checks.existence import certify_equilibrium  # noqa: E402
from nngames.checks.outcomes import OutcomeReport, check_outcomes  # noqa: E402
from nngames.checks.potential import PotentialReport, check_potential  # noqa: E402

__all__ = [
    "Check",
    "OutcomeReport",
    "PotentialReport",
    "certify_equilibrium",
    "check_named",
    "check_outcomes",
    "check_potential",
    "enumerate_equilibria",
    "registry",
]
