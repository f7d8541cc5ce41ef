"""Saved reports: JSON files that carry the scenario with its array files, so that they are checked from them alone."""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from nngames.core.errors import OptionError
from nngames.core.plain import plain
from nngames.games import FiniteGame
from nngames.scenario.array_files import ARRAY_BYTES, Folder
from nngames.scenario.expectations import Statement, same
from nngames.scenario.loader import checked
from nngames.scenario.portable import file_names
from nngames.scenario.problems import Path as Steps
from nngames.scenario.problems import Problem, ScenarioError, shown
from nngames.scenario.saved_expectations import NO_CHECKS, compared_again
from nngames.scenario.saved_results import CheckedResult, ResultCheck, agree
from nngames.scenario.yaml_reader import Document, parse_document
from nngames.solvers import methods

if TYPE_CHECKING:
    from nngames.scenario.choices import Chosen
    from nngames.scenario.scenario import Scenario

#: The key of a report under which the scenario stands.
DOCUMENT = "document"


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
class SavedCheck:
    """The check of a saved report: what the file says of its results and expectations holds.

    Of its results these are recomputed: residuals, Nash gaps, statuses, guarantees, the ends of the traces, and the
    kinds of trained networks. The expectations are compared again with what the file holds. Reports of its checks, such
    as potentials, are taken as they stand, and so are messages, times and what a trace has before its end: ``nngames
    run`` and ``nngames check`` on the scenario derive them anew.

    Attributes
    ----------
    file, scenario : str
    results : mapping label -> CheckedResult
    expectations : sequence of Statement
        Those of the scenario, compared again.
    ok : bool
        Whether every expectation is met, and every result converged unless an expectation states its status.
    taken : tuple of str
        The checks whose reports are taken as the file has them.
    """

    file: str
    scenario: str
    results: Mapping[str, CheckedResult]
    expectations: Sequence[Statement] = ()
    ok: bool = True
    taken: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what was recomputed and proved as plain data."""
        return {
            "file": self.file,
            "scenario": self.scenario,
            "verified": True,
            "results": {label: result.to_dict() for label, result in self.results.items()},
            "expect": [plain(statement.to_dict()) for statement in self.expectations],
            "ok": self.ok,
            "taken": list(self.taken),
        }


def check_saved(file: str) -> SavedCheck:
    """Verify a saved report from its file alone: rebuild the game, recompute residuals and statuses, certify.

    Parameters
    ----------
    file : str
        What ``nngames run --save``, ``nngames run --json`` or ``ScenarioReport.save`` wrote.

    Raises
    ------
    ScenarioError
        If the file is no such report, or states a figure, a status or an expectation that does not hold; every such
        place is named.
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
            self.refuse(
                (),
                f"is no saved report of a solve: it has no key {DOCUMENT!r}, which 'nngames run FILE --save' writes of "
                "scenarios that solve",
            )
        if not isinstance(self.data.get("solve"), dict) or not self.data["solve"]:
            self.refuse(("solve",), "holds no result")
        with self.rebuilt() as scenario:
            labels = {method.label for method in scenario.methods}
            # A run may have been asked for another tolerance than the scenario's.
            self.asked = self.data[DOCUMENT].get("tolerance", scenario.stopping.tolerance)
            for label, given in self.data["solve"].items():
                self.check_label(labels, label, given)
            chosen = {method.label: method for method in scenario.methods}
            found = {
                label: self.result(scenario, chosen.get(label), label, given)
                for label, given in self.data["solve"].items()
            }
            self.check_words(scenario)
            if not self.problems:
                self.check_training(scenario)
            if not self.problems:
                expectations, ok = compared_again(scenario, self.data, self.note)
            if self.problems:
                raise ScenarioError(self.problems)
            results = {label: result for label, result in found.items() if result is not None}
            taken = tuple(key for key in self.data if key not in NO_CHECKS)
            return SavedCheck(self.file, scenario.name, results, expectations, ok, taken)

    def result(self, scenario: Scenario, chosen: Chosen | None, label: str, given: Any) -> CheckedResult | None:
        """Recompute one result and note what does not hold."""
        if not isinstance(given, dict):
            self.note(("solve", label), "must be a mapping")
            return None
        name = str(given.get("method")) if chosen is None else chosen.name
        return ResultCheck(scenario.game_of(name), chosen, label, given, self.asked, self.note).checked()

    def check_words(self, scenario: Scenario) -> None:
        """Note what the file says of the scenario and its game that is not so."""
        from nngames.scenario.scenario_report import ScenarioReport

        right = ScenarioReport(scenario, {}, {}).findings()
        for part, keys in (("scenario", ("name", "description", "source", "seed")), ("game", tuple(right["game"]))):
            stated = self.data.get(part)
            for key in keys:
                said = stated.get(key) if isinstance(stated, dict) else None
                if not same(said, right[part][key]):
                    self.note((part, key), f"is {shown(said)}; of this scenario it is {shown(right[part][key])}")
        stated, file = self.data.get("scenario"), self.data[DOCUMENT]["file"]
        if isinstance(stated, dict) and stated.get("file") != file:
            self.note(("scenario", "file"), f"is {shown(stated.get('file'))}; the document's is {shown(file)}")

    def check_training(self, scenario: Scenario) -> None:
        """Note what the file says of trained networks that is not so: figures, kinds and the statuses of verdicts."""
        stated = self.data.get("training", {})
        if not isinstance(stated, dict) or (stated and scenario.training is None):
            self.note(("training",), "is of a scenario that trains nothing")
            return
        for label, given in stated.items():
            if label not in self.data["solve"] or not isinstance(given, dict):
                self.note(("training",), f"holds {shown(label)}, which is no result")
                continue
            assert scenario.training is not None  # noqa: S101 - see above
            profile = np.asarray(self.data["solve"][label]["profile"], dtype=np.float64)
            outcome = plain(scenario.training.outcome(profile).to_dict())
            for path, found in _decisions(outcome):
                if not agree(said := _at(given, path), found):
                    self.note(("training", label, *path), f"is {shown(said)}; of this network it is {shown(found)}")

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

    def check_label(self, labels: Collection[str], label: str, given: Any) -> None:
        """Note a result that is neither one of the scenario's methods nor of a method that is known."""
        method = given.get("method") if isinstance(given, dict) else None
        # What ``auto`` ended with follows its name.
        known = isinstance(method, str) and (method in methods() or method.startswith("auto:"))
        if not _is_text(label) or not (label in labels or known):
            self.note(("solve",), f"holds {shown(label)}, which is no method of the scenario and names none")

    def note(self, path: Steps, message: str) -> None:
        # JSON is YAML, whose reader knows the places.
        if self.places is None:
            self.problems.append(Problem(self.file, 1, 1, ".".join(map(str, path)), message))
        else:
            self.problems.append(self.places.problem(path, message))

    @cached_property
    def places(self) -> Document | None:
        try:
            return parse_document(self.text, self.file)
        except ScenarioError:
            return None

    def refuse(self, path: Steps, message: str) -> NoReturn:
        self.note(path, message)
        raise ScenarioError(self.problems)


def _decisions(outcome: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the places and values of the figures of plain data, and of all kinds and statuses in it."""
    if isinstance(outcome, dict):
        for key, value in outcome.items():
            if key in ("kind", "status") or (not path and not isinstance(value, dict | list)):
                yield (*path, key), value
            else:
                yield from _decisions(value, (*path, key))


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _is_text(name: str) -> bool:
    """Whether a text of JSON can be written: halves of surrogate pairs cannot."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
