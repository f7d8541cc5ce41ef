"""An enumeration of equilibria on a terminal: the verdict, the isolated points, and the faces of each continuum."""

from __future__ import annotations

from typing import Any

from nngames.report.layout import columns, line
from nngames.report.structure_tables import print_verdicts
from nngames.report.words import action_words
from nngames.results.equilibria import EquilibriumSet, ExactPoint, Face

#: So many points, and faces of a component, are printed.
SHOWN = 20


def print_equilibria(console: Any, found: EquilibriumSet) -> None:
    """Print whether these are all equilibria, then each of them."""
    print_verdicts(console, {"complete": found.complete})
    for number, point in enumerate(found.points[:SHOWN], 1):
        line(console, f"{number}. {action_words(point, digits=6, whole=True)}", indent=4)
    _more(console, len(found.points), "points")
    for number, component in enumerate(found.components, 1):
        line(console, f"continuum {number}, of dimension {component.dimension}:", indent=4)
        columns(console, [[_face(face)] for face in component.faces[:SHOWN]], indent=6)
        _more(console, len(component.faces), "faces")
    if found.unresolved:
        line(console, f"not decided: {len(found.unresolved)} regions, listed in --json and to_dict()", indent=4)


def _face(face: Face) -> str:
    parts = [f"hull of {_points(face.vertices)}" if len(face.vertices) > 1 else f"from {_points(face.vertices)}"]
    if face.rays:
        parts.append(f"along {_points(face.rays)}")
    if face.lines:
        parts.append(f"both ways along {_points(face.lines)}")
    return ", ".join(parts)


def _points(points: tuple[ExactPoint, ...]) -> str:
    return ", ".join(f"({', '.join(map(str, point))})" for point in points)


def _more(console: Any, number: int, what: str) -> None:
    if number > SHOWN:
        line(console, f"and {number - SHOWN} more {what}; all are in --json and to_dict()", indent=4)
