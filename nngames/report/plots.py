"""The pictures: runs, performance profiles, games' graphs, improvement cycles, phase portraits, basins, whole reports.

Every function returns a matplotlib Figure that no pyplot window knows of and, if a path is given, saves it there in the
format of its suffix.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nngames.core.errors import InputError
from nngames.core.seeds import Seed
from nngames.games import Game, required_game
from nngames.report.figures import check_path, new_figure, save, style
from nngames.results.bound_curve import BoundCurve
from nngames.results.comparison import Comparison, Row
from nngames.results.cycle import Cycle
from nngames.results.performance_profile import PerformanceProfile
from nngames.results.result import Result

if TYPE_CHECKING:
    from nngames.scenario.scenario_report import ScenarioReport
    from nngames.training.learning_curve import LearningCurve

Path = str | os.PathLike[str] | None


def plot_results(
    results: Mapping[str, Result], path: Path = None, bounds: Mapping[str, BoundCurve] | None = None
) -> Any:
    """Draw the residual and, where it was traced, the Nash gap of runs against their passes over the network.

    Parameters
    ----------
    results : mapping label -> Result
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.
    bounds : mapping label -> BoundCurve, optional
        Proved bounds, drawn dashed.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If these are no results, or there is none.
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.convergence import draw_convergence

    check_path(path)
    if not isinstance(results, Mapping) or not all(isinstance(result, Result) for result in results.values()):
        raise InputError("plot_results takes a mapping label -> Result; for a single result call result.plot()")
    if not results:
        raise InputError("there is no run to draw")
    with style():
        panels = 1 + any(result.trace.nash_gap is not None for result in results.values())
        figure = new_figure(1.5 + 5 * panels, 4.2 + 0.1 * len(results) + 0.2 * len(bounds or {}))
        draw_convergence(figure, results, bounds)
    return save(figure, path)


def plot_comparison(comparison: Comparison, path: Path = None) -> Any:
    """Draw the runs of a comparison with their proved bounds; of several games the residuals, a panel each.

    Parameters
    ----------
    comparison : Comparison
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no run.
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.convergence import draw_cases

    check_path(path)
    cases = {
        name: {label: row.result for label, row in rows.items()}
        for name, rows in comparison.cases().items()
        if any(row.result.trace.residual.size for row in rows.values())
    }
    bounds = {name: proved_bounds(comparison.cases()[name]) for name in cases}
    if len(cases) < 2:
        name = next(iter(cases), None)
        return plot_results(comparison.results(), path, None if name is None else bounds[name])
    with style():
        across = min(len(cases), 2 if len(cases) <= 4 else 4)
        down = -(-len(cases) // across)
        figure = new_figure(4.5 * across + 0.5, 3.2 * down + 0.8)
        draw_cases(figure, cases, bounds, across)
    return save(figure, path)


def proved_bounds(rows: Mapping[str, Row]) -> dict[str, BoundCurve]:
    """Return the proved bounds of the runs on one game, from their distances to the best equilibrium found."""
    found = [row.result for row in rows.values() if row.result.converged and row.result.profile.size]
    if not found:
        return {}
    best = min(found, key=lambda result: result.residual).profile
    curves = {label: row.bound(best) for label, row in rows.items()}
    return {label: curve for label, curve in curves.items() if curve is not None}


def plot_profile(profile: PerformanceProfile, path: Path = None) -> Any:
    """Draw a performance profile: the share of the problems on which each method is within a factor of the best.

    Parameters
    ----------
    profile : PerformanceProfile
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no method solved a problem.
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.profile_drawing import draw_profile

    check_path(path)
    if not any(profile.curve(method)[0].size for method in profile.methods):
        raise InputError("no method solved a problem: there is no profile to draw")
    with style():
        figure = new_figure(7.0, 4.4 + 0.1 * len(profile.methods))
        draw_profile(figure, profile)
    return save(figure, path)


def plot_game(game: Game, path: Path = None) -> Any:
    """Draw who listens to whom: players with activation and size, couplings with their norms, unlike pairs marked.

    Parameters
    ----------
    game : Game
        Of a network or quadratic. Beyond 40 neurons the layers are drawn, beyond 200 couplings the strongest ones.
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If this is no game.
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.game_graph import graph_of
    from nngames.report.graph_drawing import draw_game

    check_path(path)
    graph = graph_of(required_game(game, "plot_game"))
    low, high = graph.extent
    with style():
        aspect = float((high - low)[1] / (high - low)[0])
        figure = new_figure(7.5, min(max(6.0 * aspect, 2.2), 6.0) + 1.0)
        draw_game(figure, graph)
    return save(figure, path)


def plot_cycle(cycle: Cycle, game: Game, path: Path = None) -> Any:
    """Draw an improvement cycle as a closed path: profiles around a circle, arrows with mover and gain.

    Parameters
    ----------
    cycle : Cycle
        For example ``nng.check_potential(game).cycle``.
    game : Game
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If this is no game.
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.cycle_drawing import draw_cycle

    check_path(path)
    required_game(game, "plot_cycle")
    with style():
        figure = new_figure(7.5, 6.5)
        draw_cycle(figure, cycle, game)
    return save(figure, path)


def plot_phase_portrait(
    game: Game, path: Path = None, equilibria: Any = None, starts: Any = None, seed: Seed = None
) -> Any:
    """Draw a game with two-dimensional profiles: the field R(x) - x, a few iterated feeds, and the equilibria.

    Parameters
    ----------
    game : Game
        With profiles of size 2.
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.
    equilibria : array_like (m, 2), optional
        What to mark; by default, what the default method finds from a few starts.
    starts : array_like (k, 2), optional
        Where the feeds begin; by default, drawn.
    seed : int or Generator, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If this is no game.
    NotApplicableError
        If the profile is not two-dimensional.
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.phase_portrait import draw_phase_portrait, require_two_dimensions

    check_path(path)
    require_two_dimensions(required_game(game, "plot_phase_portrait"))
    with style():
        figure = new_figure(7.5, 6.5)
        draw_phase_portrait(figure, game, equilibria, starts, seed)
    return save(figure, path)


def plot_basins(game: Game, path: Path = None, rule: str = "iterated", box: Any = None) -> Any:
    """Draw where the feed of a game with two-dimensional profiles ends, by its start.

    Parameters
    ----------
    game : Game
        With profiles of size 2. What is fed are the answers of all players at once, the joint map of a network.
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.
    rule : str
        ``iterated``, or ``averaged`` with relaxation 1/2.
    box : ((low, high), (low, high)), optional
        The starts' range for each action; by default around the origin, with the ends of a few feeds inside.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If this is no game.
    NotApplicableError
        If the profile is not two-dimensional.
    OptionError
        If the rule, the box or the suffix is not usable.
    """
    from nngames.report.basins import draw_basins
    from nngames.report.phase_portrait import require_two_dimensions

    check_path(path)
    require_two_dimensions(required_game(game, "plot_basins"))
    with style():
        figure = new_figure(7.5, 6.5)
        draw_basins(figure, game, rule, box)
    return save(figure, path)


def plot_field_split(game: Game, path: Path = None, box: Any = None) -> Any:
    """Draw the players' descent directions in a game of two numbers, and their gradient and rotational parts.

    Parameters
    ----------
    game : Game
        Of a network with the proximal cost, or quadratic: two players with one number each.
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.
    box : ((low, high), (low, high)), optional
        What to show of each player's actions; by default around an equilibrium, inside the domains.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If this is no game.
    NotApplicableError
        If the players are not two with one number each, or costs are not bilinear in what they hear.
    OptionError
        If the box or the suffix is not usable.
    """
    from nngames.report.field_split import draw_field_split, require_two_numbers

    check_path(path)
    pair = require_two_numbers(required_game(game, "plot_field_split"))
    with style():
        figure = new_figure(12.0, 4.9)
        draw_field_split(figure, pair, box)
    return save(figure, path)


def plot_learning_curves(curves: Mapping[str, LearningCurve], results: Mapping[str, Result], path: Path = None) -> Any:
    """Draw the losses of training runs and the residuals of their variational inequality against their passes.

    Parameters
    ----------
    curves : mapping label -> LearningCurve
    results : mapping label -> Result
        The runs that they are about.
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no curve has a point.
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.learning_drawing import draw_learning_curves

    check_path(path)
    shown = {label: curve for label, curve in curves.items() if curve.loss.size}
    if not shown:
        raise InputError("there is no iterate to draw")
    with style():
        figure = new_figure(11.0, 4.4)
        draw_learning_curves(figure, shown, results)
    return save(figure, path)


def plot_report(report: ScenarioReport, path: Path = None) -> Any:
    """Draw what a scenario's report holds in one figure: runs, graph, improvement cycle, and phase portrait.

    Parameters
    ----------
    report : ScenarioReport
    path : path, optional
        Where to save the picture: .png, .svg or .pdf.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        If the suffix is not supported.
    """
    from nngames.report.overview import draw_overview

    check_path(path)
    with style():
        figure = draw_overview(report)
    return save(figure, path)
