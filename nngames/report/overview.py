"""The picture of a whole report: runs on top, below them graph, improvement cycle, phase portrait and basins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nngames.core.errors import InputError
from nngames.report.figures import literal, new_figure

if TYPE_CHECKING:
    from nngames.scenario.scenario_report import ScenarioReport

#: Inches of a run's panel and of a square part.
PANEL_HEIGHT, SQUARE = 4.4, 6.2


def draw_overview(report: ScenarioReport) -> Any:
    """Return a figure with everything that the report can show."""
    squares = _squares(report)
    runs = {label: result for label, result in report.results.items() if result.trace.residual.size}
    columns = 2 if len(squares) > 1 else 1
    rows = -(-len(squares) // columns)
    if not (runs or squares):
        raise InputError("there is no run to draw")
    heights = ([PANEL_HEIGHT + 0.1 * len(report.results)] if runs else []) + [SQUARE] * rows
    width = 13.0 if columns > 1 or _traced(report) else 7.5
    figure = new_figure(width, sum(heights) + 0.4)
    figure.suptitle(literal(report.scenario.name), x=0.01, ha="left", fontweight="bold")
    bands = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if runs:
        from nngames.report.convergence import draw_convergence

        draw_convergence(bands[0], report.results)
    for row in range(rows):
        parts = squares[row * columns : (row + 1) * columns]
        band = bands[row + bool(runs)].subfigures(1, columns, squeeze=False)[0]
        for part, draw in zip(band, parts, strict=False):
            draw(part)
    return figure


def _traced(report: ScenarioReport) -> bool:
    return any(result.trace.nash_gap is not None for result in report.results.values())


def _squares(report: ScenarioReport) -> list[Callable[[Any], None]]:
    """Return what draws each of the square parts."""
    from nngames.games import FiniteGame
    from nngames.report.basins import draw_basins
    from nngames.report.cycle_drawing import draw_cycle
    from nngames.report.game_graph import graph_of
    from nngames.report.graph_drawing import draw_game
    from nngames.report.phase_portrait import draw_phase_portrait

    game, seed = report.scenario.game, report.scenario.section.seed
    if report.scenario.section.training is not None:
        # Nobody listens to anybody.
        return []
    if isinstance(game, FiniteGame):
        # It has a table, not a graph, and its actions are no numbers.
        return []
    graph = graph_of(game)
    squares: list[Callable[[Any], None]] = [lambda part: draw_game(part, graph)]
    cycle = getattr(report.checks.get("potential"), "cycle", None)
    if cycle is not None:
        squares.append(lambda part: draw_cycle(part, cycle, game))
    if game.size == 2:
        found = getattr(report.checks.get("outcomes"), "equilibria", None)
        points = None if found is None else [equilibrium.profile for equilibrium in found if equilibrium.isolated]
        squares.append(lambda part: draw_phase_portrait(part, game, points, seed=seed))
        if found is not None:
            squares.append(lambda part: draw_basins(part, game))
    return squares
