"""The check that asks every certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nngames.certificates import certify
from nngames.checks.check import Check, check_named
from nngames.core.seeds import Seed
from nngames.core.verdicts import Verdict
from nngames.games import Game


@dataclass(frozen=True, eq=False)
class CertificateReport:
    """The verdict of every certificate.

    Attributes
    ----------
    verdicts : mapping name -> Verdict
    """

    verdicts: Mapping[str, Verdict]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdicts as plain data, by name."""
        return {name: verdict.to_dict() for name, verdict in self.verdicts.items()}


@check_named("certify")
@dataclass(frozen=True)
class CertifyCheck(Check):
    """What is proved about the game and each of its maps, by every certificate."""

    def run(self, game: Game, seed: Seed = None) -> CertificateReport:
        """Return the verdict of every certificate; nothing is drawn."""
        return CertificateReport(certify(game))
