"""TorchDEQ's solvers of fixed-point equations, on the network's map in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nngames.core.profiles import Array
from nngames.games import Game
from nngames.solvers.external.network_maps import untranslatable
from nngames.solvers.external.torch_library import map_of, one_thread
from nngames.solvers.external.whole_run import (
    Answer,
    Enough,
    ExternalProblem,
    ExternalSolver,
    Watched,
    read_anderson_options,
)
from nngames.solvers.options import share
from nngames.solvers.solver import solver_named


class TorchDeq(ExternalSolver):
    """A forward solver of TorchDEQ, called as its models call it.

    The run ends at the first point it tries at which the residual is small enough: its own loop would go on to fill
    tables of statistics up to ``max_iterations``. Every call of the map is counted, as iterations too.
    """

    packages: ClassVar[tuple[str, ...]] = ("torch", "torchdeq")
    #: TorchDEQ's name of the solver.
    kind: ClassVar[str]

    def refusal(self, game: Game) -> str | None:
        """Return why the game's map cannot be written in PyTorch, or None."""
        return untranslatable(game)

    def run(self, problem: ExternalProblem, x0: Array) -> Answer:
        """Return what TorchDEQ finds."""
        import torch
        from torchdeq.solver import get_solver

        limit = max(1, problem.budget.max_iterations)
        with one_thread():
            function = map_of(problem.network)
            calls = Watched(lambda x: function(x) - x, lambda g: float(torch.linalg.vector_norm(g)), problem)

            def batched(x: Any) -> Any:
                single = x[0]
                return (single + calls(single))[None]

            try:
                found, _, info = get_solver(self.kind)(
                    batched,
                    torch.from_numpy(x0)[None],
                    max_iter=limit,
                    tol=problem.asked,
                    stop_mode="abs",
                    **self.torchdeq_options(),
                )
            except Enough:
                return Answer(calls.best.numpy(), calls.calls, calls.calls, True, "the residual it met")
            x = found[0].numpy()
        said = f"smallest residual {float(info['abs_lowest'][0]):.2e} in {calls.calls} calls of the map"
        return Answer(np.array(x), calls.calls, calls.calls, False, said, calls.calls >= limit)

    def torchdeq_options(self) -> dict[str, Any]:
        """Return the solver's options in TorchDEQ's names."""
        return {}


@solver_named("torchdeq:fixed_point")
@dataclass(frozen=True)
class FixedPointIteration(TorchDeq):
    """TorchDEQ's plain iteration.

    Parameters
    ----------
    relaxation : float
        tau in (0, 1].

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Geng and Kolter (2023); ``torchdeq.solver.fixed_point_iter``.
    """

    relaxation: float = 1.0
    kind: ClassVar[str] = "fixed_point_iter"

    def __post_init__(self) -> None:
        object.__setattr__(self, "relaxation", share(self.name, "relaxation", self.relaxation))

    def torchdeq_options(self) -> dict[str, Any]:
        """Return the options in TorchDEQ's names."""
        return {"tau": self.relaxation}


@solver_named("torchdeq:anderson")
@dataclass(frozen=True)
class Anderson(TorchDeq):
    """TorchDEQ's Anderson acceleration; the defaults are its own.

    Parameters
    ----------
    memory : int
        How many iterates are kept, at least 2.
    mixing : float
        tau in (0, 1].
    regularization : float
        Tikhonov's, absolute.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Geng and Kolter (2023); ``torchdeq.solver.anderson_solver``.
    """

    memory: int = 6
    mixing: float = 1.0
    regularization: float = 1e-4
    kind: ClassVar[str] = "anderson"

    def __post_init__(self) -> None:
        read_anderson_options(self)

    def torchdeq_options(self) -> dict[str, Any]:
        """Return the options in TorchDEQ's names."""
        return {"m": self.memory, "tau": self.mixing, "lam": self.regularization}


@solver_named("torchdeq:broyden")
@dataclass(frozen=True)
class Broyden(TorchDeq):
    """TorchDEQ's Broyden method; it keeps every update, as it does by default.

    Guarantee
    ---------
    None: nngames proves nothing about an external solver.

    References
    ----------
    Broyden (1965); Geng and Kolter (2023); ``torchdeq.solver.broyden_solver``.
    """

    kind: ClassVar[str] = "broyden"
