"""The runner: (label, game) x methods, each run kept, skipped and failed ones with their reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from nngames.core.errors import NNGamesError, NotApplicableError, OptionError
from nngames.core.profiles import Profile
from nngames.core.seeds import Seed
from nngames.core.verdicts import Decision
from nngames.games import Game
from nngames.results.comparison import Comparison, Row
from nngames.results.result import Result, Status, empty_trace
from nngames.solvers import Guarantee, Interrupted, Solver, solve, solver
from nngames.solvers.loop import check_stopping
from nngames.solvers.solver import check_game

Method = str | Solver | Mapping[str, Any]


def compare(
    game: Game | Mapping[str, Game] | Any,
    methods: Sequence[Method] = ("best_response", "km", "extragradient"),
    repeat: int = 1,
    start: Profile | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 10_000,
    max_seconds: float | None = None,
    seed: Seed = None,
    trace_nash_gap: bool = False,
    progress: Callable[[str], Any] | None = None,
) -> Comparison:
    """Solve each game by each method from the same start to the same target.

    Parameters
    ----------
    game : Game, mapping label -> Game, or scenario
        A scenario is anything with a ``name`` and a ``game``.
    methods : sequence of name, solver object, or {"method": name, options, "label": text}
    repeat : int
        Runs of each pair.
    start, tolerance, max_iterations, max_seconds, seed, trace_nash_gap
        As for ``solve``.
    progress : callable, optional
        Called with a line before each run.

    Returns
    -------
    Comparison
        One row for each run. A method that cannot take a game is ``skipped``, one that fails is ``failed``, each with
        its reason.

    Raises
    ------
    UnknownNameError, OptionError, InputError
        If a method, an option or a game is not usable: before the first run.
    Interrupted
        On Ctrl-C; its ``comparison`` holds the runs made, the interrupted one included.
    """
    check_stopping(tolerance, max_iterations, max_seconds)
    games = _games(game)
    for label, entry in games.items():
        check_game(entry)
        if not isinstance(label, str):
            raise OptionError(f"games are labelled by strings; got {label!r}")
    if isinstance(methods, str | Mapping) or not isinstance(methods, Sequence) or not methods:
        raise OptionError(f"methods must be a list with at least one method; got {methods!r}")
    if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
        raise OptionError(f"repeat must be a positive integer; got {repeat!r}")
    chosen = labelled(methods)
    arguments = {
        "start": start,
        "tolerance": tolerance,
        "max_iterations": max_iterations,
        "max_seconds": max_seconds,
        "seed": seed,
        "trace_nash_gap": trace_nash_gap,
    }
    rows: list[Row] = []
    for game_label, method_label, number in product(games, chosen, range(repeat)):
        if progress is not None:
            progress(f"{game_label}: {method_label}")
        try:
            result = _run(games[game_label], chosen[method_label], **arguments)
        except Interrupted as interruption:
            rows.append(Row(game_label, method_label, number, interruption.result))
            interruption.comparison = Comparison(tuple(rows))
            raise
        rows.append(Row(game_label, method_label, number, result))
    return Comparison(tuple(rows))


def _games(game: Any) -> dict[str, Game]:
    if isinstance(game, Mapping):
        return dict(game)
    if isinstance(getattr(game, "game", None), Game):
        return {str(game.name): game.game}
    return {"game": check_game(game)}


def labelled(methods: Sequence[Method]) -> dict[str, str | Solver]:
    """Return the methods as solver objects (or ``"auto"``) under distinct labels.

    Raises
    ------
    UnknownNameError, OptionError
        If one is not usable.
    """
    result: dict[str, str | Solver] = {}
    for method in methods:
        label, scheme = _labelled(method)
        number, unique = 1, label
        while unique in result:
            number += 1
            unique = f"{label} ({number})"
        result[unique] = scheme
    return result


def _labelled(method: Method) -> tuple[str, str | Solver]:
    if isinstance(method, Mapping):
        if "method" not in method:
            raise OptionError(f"a method given as a mapping needs the key 'method'; got {dict(method)!r}")
        options = {str(k): v for k, v in method.items() if k not in ("method", "label")}
        name = str(method["method"])
        scheme: str | Solver = "auto" if name == "auto" and not options else solver(name, **options)
        shown = ", ".join(f"{key}={value}" for key, value in options.items())
        return str(method.get("label", f"{name}({shown})" if shown else name)), scheme
    if isinstance(method, Solver):
        return method.name, method
    return method, "auto" if isinstance(method, str) and method == "auto" else solver(method)


def _run(game: Game, scheme: str | Solver, **arguments: Any) -> Result:
    try:
        return solve(game, scheme, **arguments)
    except NotApplicableError as error:
        return _unrun(game, scheme, Status.SKIPPED, str(error), arguments)
    except NNGamesError as error:
        return _unrun(game, scheme, Status.FAILED, str(error), arguments)


def _unrun(game: Game, scheme: str | Solver, status: Status, reason: str, arguments: Mapping[str, Any]) -> Result:
    nothing = np.full(game.size, np.nan)
    return Result(
        profile=nothing,
        status=status,
        message=reason,
        iterations=0,
        evaluations=0,
        seconds=0.0,
        residual=float("nan"),
        scale=float("nan"),
        tolerance=arguments["tolerance"],
        method=scheme if isinstance(scheme, str) else scheme.name,
        options={} if isinstance(scheme, str) else scheme.options,
        seed=arguments["seed"],
        trace=empty_trace(),
        _actions=game.space.actions,
        _nash_gap=lambda profile: float("nan"),
        _guarantee=lambda: Guarantee(Decision.UNDECIDED, reason, "the method did not run"),
    )
