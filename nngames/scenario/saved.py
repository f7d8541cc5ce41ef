"""Saved reports: JSON files that carry the scenario with its array files, so that they are checked from them alone."""

from __future__ import annotations

import base64
import binascii
import json
import math
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from nngames.checks.existence import certify_equilibrium
from nngames.core.errors import NNGamesError, OptionError
from nngames.core.plain import plain
from nngames.core.verdicts import BallVerdict
from nngames.games import FiniteGame
from nngames.results.result import Status
from nngames.scenario.array_files import ARRAY_BYTES, Folder
from nngames.scenario.loader import checked
from nngames.scenario.portable import file_names
from nngames.scenario.problems import Problem, ScenarioError, shown
from nngames.scenario.yaml_reader import parse_document
from nngames.solvers import methods

if TYPE_CHECKING:
    from nngames.games import Game
    from nngames.scenario.scenario import Scenario

#: The key of a report under which the scenario stands.
DOCUMENT = "document"
#: A stated residual or scale may differ by this share from the recomputed one, and by this much of the scale.
_SHARE, _ROUNDING = 1e-6, 1e-13
#: The largest float.
LARGEST = float(np.finfo(np.float64).max)


def document_of(scenario: Scenario) -> dict[str, Any]:
    """Return what rebuilds a scenario anywhere: its text, seed and array files, and figures of its game."""
    names = sorted(set(file_names(scenario.document.data)))
    arrays = {} if scenario.folder is None else {name: scenario.folder.content(name) for name in names}
    return {
        "text": scenario.document.text,
        "file": scenario.file,
        "seed": scenario.seed,
        "tolerance": scenario.stopping.tolerance,
        "arrays": {name: base64.b64encode(content).decode("ascii") for name, content in arrays.items()},
        "probe": probe(scenario.game),
    }


def probe(game: Any) -> list[float]:
    """Return figures of a game's residuals at two fixed profiles, or of its table, by which another game shows."""
    if isinstance(game, FiniteGame):
        table = game.float_costs.ravel()
        return [float(np.linalg.norm(table)), float(np.cos(np.arange(table.size)) @ table)]
    weights = np.cos(np.arange(game.size))
    with np.errstate(all="ignore"):
        moves = [np.asarray(game.residuals(x), dtype=np.float64) for x in (np.zeros(game.size), np.asarray(weights))]
    return [float(value) for move in moves for value in (np.linalg.norm(move), weights @ move)]


def is_saved_report(file: str) -> bool:
    """Return whether a file is named .json and is no scenario; one that is not JSON counts as a report."""
    path = Path(file)
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError):
        return True
    # A report has what was found under ``game`` and ``training``, beside ``scenario``.
    given = isinstance(data, dict) and {"network", "game", "training"} & data.keys()
    return not given or ("network" not in data and "scenario" in data)


@dataclass(frozen=True, eq=False)
class CheckedResult:
    """One result of a saved report, computed again.

    Attributes
    ----------
    status : str
        As the file has it.
    residual, scale, tolerance : float
        The first two recomputed; ``converged`` means residual <= tolerance * scale.
    converged : bool
    existence : BallVerdict or None
        Whether an equilibrium is proved near the profile; None where the run did not converge.
    """

    status: str
    residual: float
    scale: float
    tolerance: float
    converged: bool
    existence: BallVerdict | None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the verdict as plain data."""
        existence = None if self.existence is None else self.existence.to_dict()
        return {**plain({k: v for k, v in vars(self).items() if k != "existence"}), "existence": existence}


@dataclass(frozen=True, eq=False)
class SavedCheck:
    """The check of a saved report: what the file says of its results' profiles, residuals and statuses holds.

    What else it holds, such as guarantees and expectations, is derived anew by ``nngames run``.

    Attributes
    ----------
    file, scenario : str
    results : mapping label -> CheckedResult
    expected : mapping label -> str
        The statuses that the scenario expects; of other results it is ``converged``.
    """

    file: str
    scenario: str
    results: Mapping[str, CheckedResult]
    expected: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every result has the status that the scenario expects, and converged unless it expects another."""
        return all(result.status == self.expected.get(label, "converged") for label, result in self.results.items())

    def to_dict(self) -> dict[str, Any]:
        """Return what was recomputed and proved as plain data."""
        results = {label: result.to_dict() for label, result in self.results.items()}
        return {"file": self.file, "scenario": self.scenario, "verified": True, "results": results, "ok": self.ok}


def check_saved(file: str) -> SavedCheck:
    """Verify a saved report from its file alone: rebuild the game, recompute residuals and statuses, certify.

    Parameters
    ----------
    file : str
        What ``nngames run --save``, ``nngames run --json`` or ``ScenarioReport.save`` wrote.

    Raises
    ------
    ScenarioError
        If the file is no such report, or states a residual, a scale or a status that does not hold; every such place is
        named.
    """
    return _Saved(file).check()


class _Saved:
    def __init__(self, file: str) -> None:
        self.file, self.problems = file, list[Problem]()
        self.asked: Any = None
        try:
            self.text = Path(file).read_text(encoding="utf-8")
            self.data = json.loads(self.text, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            raise ScenarioError([Problem(file, error.lineno, error.colno, "", f"is not JSON: {error.msg}")]) from None
        except (OSError, ValueError, RecursionError) as error:
            raise ScenarioError([Problem(file, 1, 1, "", f"cannot be read as JSON: {error}")]) from None

    def check(self) -> SavedCheck:
        if not isinstance(self.data, dict) or not isinstance(self.data.get(DOCUMENT), dict):
            self.refuse((), f"is no saved report: it has no key {DOCUMENT!r}; write one with 'nngames run FILE --save'")
        if not isinstance(self.data.get("solve"), dict) or not self.data["solve"]:
            self.refuse(("solve",), "holds no result")
        with self.rebuilt() as scenario:
            labels = {method.label for method in scenario.methods}
            # A run may have been asked for another tolerance than the scenario's.
            self.asked = self.data[DOCUMENT].get("tolerance", scenario.stopping.tolerance)
            for label, given in self.data["solve"].items():
                self.check_label(labels, label, given)
            found = {label: self.result(scenario.game, label, given) for label, given in self.data["solve"].items()}
            if self.problems:
                raise ScenarioError(self.problems)
            stated = {expectation.what: expectation.equal for expectation in scenario.section.expect}
            expected = {label: str(stated[what]) for label in found if (what := f"solve.{label}.status") in stated}
            results = {label: result for label, result in found.items() if result is not None}
            return SavedCheck(self.file, scenario.name, results, expected)

    @contextmanager
    def rebuilt(self) -> Iterator[Scenario]:
        """Build the scenario, its array files unpacked into a folder of their own."""
        given = self.data[DOCUMENT]
        for key, kind in (("text", str), ("file", str), ("seed", int), ("arrays", dict), ("probe", list)):
            if not isinstance(given.get(key), kind) or isinstance(given.get(key), bool):
                self.refuse((DOCUMENT, key), f"must be a {kind.__name__}")
        with tempfile.TemporaryDirectory() as name:
            # As deep as in a gallery, whose files may lie next to the scenario's folder.
            root = Path(name).resolve()
            base = root / "scenarios" / "here"
            base.mkdir(parents=True)
            for array, content in given["arrays"].items():
                self.unpack(root, base, array, content)
            document = parse_document(given["text"], f"{self.file}: {DOCUMENT}.text")
            scenario = checked(document, Folder(base, (root,)))
            try:
                scenario = scenario.with_changes(seed=given["seed"])
            except OptionError as error:
                self.refuse((DOCUMENT, "seed"), str(error).removeprefix("seed "))
            figures = probe(scenario.game)
            try:
                stated = np.array(given["probe"], dtype=np.float64)
                same = stated.shape == (len(figures),) and np.allclose(stated, figures, rtol=1e-9, atol=1e-12)
            except (TypeError, ValueError, OverflowError):
                same = False
            if not same:
                self.refuse((DOCUMENT, "probe"), f"is not that of the scenario's game, which has {figures}")
            yield scenario

    def unpack(self, root: Path, base: Path, name: str, content: Any) -> None:
        where = (DOCUMENT, "arrays", name)
        if not _is_text(name) or "\0" in name:
            self.refuse((DOCUMENT, "arrays"), "holds a name that no file can have")
        path = (base / name).resolve()
        if not path.is_relative_to(root):
            self.refuse(where, "lies outside the scenario's folder")
        try:
            data = base64.b64decode(content, validate=True)
        except (TypeError, ValueError, binascii.Error):
            self.refuse(where, "is not base64 text")
        if len(data) > ARRAY_BYTES:
            self.refuse(where, f"has more than {ARRAY_BYTES / 1e6:.0f} MB")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            self.refuse(where, f"cannot be a file beside the others: {error.strerror}")

    def result(self, game: Game, label: str, given: Any) -> CheckedResult | None:
        """Recompute one result and note what does not hold."""
        where = ("solve", label)
        if not isinstance(given, dict):
            self.note(where, "must be a mapping")
            return None
        numbers = {key: self.number(where, given, key) for key in ("residual", "scale", "tolerance")}
        try:
            x = np.asarray(given.get("profile"), dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            x = np.empty(0)
        if x.shape != (game.size,):
            self.note((*where, "profile"), f"must hold {game.size} numbers")
            return None
        if None in numbers.values():
            return None
        stated, scale, tolerance = (float(value) for value in numbers.values() if value is not None)
        try:
            residual = float(game.residual(x)) if np.isfinite(x).all() else math.inf
        except NNGamesError as error:
            self.note((*where, "profile"), f"is not a profile of the game: {error}")
            return None
        right = float(game.scale)
        if not 0 < tolerance < 1 or tolerance != self.asked:
            self.note((*where, "tolerance"), f"is {tolerance:.6g}; the scenario was run with {shown(self.asked)}")
        if not abs(scale - right) <= _SHARE * right:
            self.note((*where, "scale"), f"is {scale:.6g}; the game's is {right:.6g}")
        if math.isfinite(residual) and not abs(stated - residual) <= _SHARE * residual + _ROUNDING * right * game.size:
            self.note((*where, "residual"), f"is {stated:.6g}; at the profile it is {residual:.6g}")
        status = given.get("status")
        if status not in [str(known) for known in Status]:
            self.note((*where, "status"), f"is {shown(status)}, which is no status")
        converged = status == "converged"
        if converged and not residual <= tolerance * right * (1 + _SHARE):
            message = (
                f"is 'converged', but the residual {residual:.6g} is above tolerance * scale, {tolerance * right:.6g}"
            )
            self.note((*where, "status"), message)
        if self.problems:
            return None
        existence = certify_equilibrium(game, x) if converged else None
        return CheckedResult(str(status), residual, right, tolerance, converged, existence)

    def number(self, where: tuple[str, ...], given: Mapping[str, Any], key: str) -> float | None:
        """Return a number that is not negative, as ``plain`` writes it, or note that there is none."""
        value = given.get(key)
        if value in ("inf", "nan"):
            return float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST:
            return float(value)
        self.note((*where, key), f"must be a number that is not negative; got {shown(value)}")
        return None

    def check_label(self, labels: Collection[str], label: str, given: Any) -> None:
        """Note a result that is neither one of the scenario's methods nor of a method that is known."""
        known = isinstance(given, dict) and given.get("method") in methods()
        if not _is_text(label) or not (label in labels or known):
            self.note(("solve",), f"holds {shown(label)}, which is no method of the scenario and names none")

    def note(self, path: tuple[str, ...], message: str) -> None:
        # JSON is YAML, whose reader knows the places.
        try:
            self.problems.append(parse_document(self.text, self.file).problem(path, message))
        except ScenarioError:
            self.problems.append(Problem(self.file, 1, 1, ".".join(path), message))

    def refuse(self, path: tuple[str, ...], message: str) -> NoReturn:
        self.note(path, message)
        raise ScenarioError(self.problems)


def _is_text(name: str) -> bool:
    """Whether a text of JSON can be written: halves of surrogate pairs cannot."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
