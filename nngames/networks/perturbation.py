"""Parameters that change with time: schedules of networks and seeded, decaying perturbations.

The layers of the source are indexed by time. If the maps O_t converge to a nonexpansive O with summable errors
sum_t |O_t(x_t) - O(x_t)| < infinity, the averaged feed x_{t+1} = x_t + lambda_t (O_t(x_t) - x_t) still converges to a
fixed point of O, if there is one, under the condition on lambda_t of the unperturbed scheme
[bauschke2017, quasi-Fejer sequences]; so the limit is an equilibrium of the limit network. The iterated feed keeps
that property where O is a contraction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nngames.core.errors import OptionError
from nngames.core.seeds import Seed, generator

if TYPE_CHECKING:
    from nngames.networks.network import Network

Schedule = Callable[[int], "Network"]


@dataclass(frozen=True)
class Perturbation:
    """Independent Gaussian errors on every weight and bias, of size scale / (t + 1)^power at step t.

    Attributes
    ----------
    scale : float
        Each block's error has Frobenius norm scale / (t + 1)^power.
    power : float
        Above 1 the errors are summable.
    seed : int, Generator or None
        The errors' seed.
    """

    scale: float
    power: float = 2.0
    seed: Seed = None

    def __post_init__(self) -> None:
        if not self.scale >= 0 or not self.power >= 0:
            raise OptionError(f"a perturbation needs scale >= 0 and power >= 0; got {self.scale}, {self.power}")

    @property
    def summable(self) -> bool:
        """Whether the errors' norms have a finite sum."""
        return self.scale == 0 or self.power > 1

    def schedule(self, network: Network) -> Schedule:
        """Return the schedule t -> network with perturbed parameters; the steps must be asked for in order."""
        rng = generator(self.seed)

        def at(step: int) -> Network:
            size = self.scale / (step + 1) ** self.power

            def error(shape: tuple[int, ...]):  # type: ignore[no-untyped-def]
                draw = rng.standard_normal(shape)
                return size * draw / max(float((draw**2).sum()) ** 0.5, 1e-300)

            weights = {edge: weight.dense + error(weight.shape) for edge, weight in network.weights.items()}
            biases = {player: bias + error(bias.shape) for player, bias in network.biases.items()}
            return network.with_parameters(weights, biases)

        return at
