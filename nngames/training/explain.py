"""What a layer-by-layer game is, in words and in LaTeX: its players, action spaces and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nngames.core.errors import check_choice
from nngames.core.profiles import Player
from nngames.training.layer_problem import LayerProblem


def explain_layers(layers: Mapping[Player, LayerProblem], format: str) -> str:
    """Return the description of the game, as ``"text"`` or ``"latex"``."""
    check_choice("format", format, ("text", "latex"))
    lines = []
    for player, layer in layers.items():
        outputs, features = layer.features.shape
        ridge = f" + {layer.ridge:g} |W|^2/2" if layer.ridge else ""
        space = f"(W, b) in R^({outputs} x {features - 1}) x R^{outputs}"
        if layer.allowed is not None:
            space += f", {layer.allowed.formula('text')}"
        if format == "latex":
            cost = r"\sum_t \omega_t \left[g(A_t\theta) - \langle A_t\theta, y_t\rangle\right]"
            ridge = rf" + \frac{{{layer.ridge:g}}}{{2}}\|W\|^2" if layer.ridge else ""
            held = "" if layer.allowed is None else rf",\quad {layer.allowed.formula('latex')}"
            gradient = rf"\nabla g = \text{{{layer.activation.name}}}"
            lines.append(rf"\text{{player {player}}}:\quad J(\theta) = {cost}{ridge},\quad {gradient}{held}")
            continue
        lines.append(f"player {player}: {space}")
        lines.append(
            f"  J = sum_t omega_t [g(W x_t + b) - <W x_t + b, y_t>]{ridge}, grad g = {layer.activation.name}, "
            f"{layer.features.samples} samples"
        )
    if format == "latex":
        return gathered(lines)
    lines.append("No cost depends on another player's parameters: the sum of the costs is an exact potential.")
    return "\n".join(lines)


def gathered(lines: Sequence[str]) -> str:
    """Return lines of LaTeX as one displayed block."""
    return r"\begin{gathered}" + "\n" + " \\\\\n".join(lines) + "\n" + r"\end{gathered}"
