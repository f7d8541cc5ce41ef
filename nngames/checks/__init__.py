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
        "cycle_rounding",
        "effective_coupling",
        "enclosed_best_responses",
        "enumerating",
        "equilibria",
        "exact_game",
        "existing",
        "improvement_cycles",
        "indifference",
        "leading",
        "mover_cycles",
        "one_way_players",
        "outcome_clusters",
        "outcome_survey",
        "outcome_verdicts",
        "pairwise_difference",
        "potential_changes",
        "potential_distances",
        "potential_findings",
        "projecting",
        "relaxed_reflections",
        "restricted_games",
        "second_route",
        "torn_candidates",
        "weighted_distance",
    ),
)

from nngames.checks.enumeration import enumerate_equilibria  # noqa: E402  (after the registry is filled)
from nngames.checks.existence import certify_equilibrium  # noqa: E402
from nngames.checks.outcomes import OutcomeReport, check_outcomes  # noqa: E402
from nngames.checks.pairwise_difference import PairwiseDifference, maximum_pairwise_difference  # noqa: E402
from nngames.checks.periodic_projections import PeriodicProjectionsReport, check_periodic_projections  # noqa: E402
from nngames.checks.potential import PotentialReport, check_potential  # noqa: E402
from nngames.checks.potential_distances import PotentialDistance, potential_distance  # noqa: E402
from nngames.checks.projecting.de_pierro import de_pierro_conjecture  # noqa: E402
from nngames.checks.projecting.functionals import no_universal_functional  # noqa: E402
from nngames.checks.stackelberg import StackelbergReport, check_stackelberg  # noqa: E402

__all__ = [
    "Check",
    "OutcomeReport",
    "PairwiseDifference",
    "PeriodicProjectionsReport",
    "PotentialDistance",
    "PotentialReport",
    "StackelbergReport",
    "certify_equilibrium",
    "check_named",
    "check_outcomes",
    "check_periodic_projections",
    "check_potential",
    "check_stackelberg",
    "de_pierro_conjecture",
    "enumerate_equilibria",
    "maximum_pairwise_difference",
    "no_universal_functional",
    "potential_distance",
    "registry",
]
