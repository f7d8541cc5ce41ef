"""What a diagnosis is: one line for each question, each with its evidence, and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nngames.core.plain import plain
from nngames.core.verdicts import Verdict
from nngames.results.result import Result


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis.

    Attributes
    ----------
    question : str
        ``settles?``, ``unique?``, ``how fast?`` or ``potential?``.
    evidence : {"PROVED", "REFUTED", "measured", "open"}
        A proof either way, what a few runs showed, or neither.
    answer : str
        In plain words.
    source : str
        The certificate, check or runs behind the answer.
    """

    question: str
    evidence: str
    answer: str
    source: str

    def to_dict(self) -> dict[str, str]:
        """Return the line as plain data."""
        return {
            "question": self.question,
            "evidence": self.evidence,
            "answer": self.answer,
            "source": self.source,
        }


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is known about a game after a second.

    Attributes
    ----------
    subject : str
        What was diagnosed.
    findings : tuple of Finding
    next_step : str
        A call, and its reason.
    certificates : mapping name -> Verdict
        Every certificate's verdict; empty where there is no game.
    runs : mapping label -> Result
        The runs behind what is measured.
    """

    subject: str
    findings: tuple[Finding, ...]
    next_step: str
    certificates: Mapping[str, Verdict]
    runs: Mapping[str, Result]

    def __getitem__(self, question: str) -> Finding:
        """Return the finding on a question, such as ``"unique?"``."""
        for finding in self.findings:
            if finding.question == question:
                return finding
        raise KeyError(question)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain JSON-ready data."""
        return {
            "subject": self.subject,
            "findings": [finding.to_dict() for finding in self.findings],
            "next": self.next_step,
            "certificates": plain(dict(self.certificates)),
            "runs": {label: result.to_dict(trace=False) for label, result in self.runs.items()},
        }


def print_diagnosis(console: Any, diagnosis: Diagnosis) -> None:
    """Print a diagnosis: one line for each question, with its evidence, and the next step."""
    from nngames.report.layout import coloured, columns, line

    line(console, f"Diagnosis of {diagnosis.subject}", "bold")
    columns(
        console,
        [
            [finding.question, coloured(finding.evidence), f"{finding.answer} [{finding.source}]"]
            for finding in diagnosis.findings
        ],
    )
    line(console, f"next: {diagnosis.next_step}", indent=2)
