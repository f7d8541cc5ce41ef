"""The players' costs in rationals, for games with linear couplings and piecewise linear responses.

A player with the action z = x_I pays g*(z) + z'(Q - I)z/2 - <z, u> + k, where u = b_I + sum W_IJ x_J is what the others
contribute, g* = f + |.|^2/2 is piecewise quadratic, and k is |u|^2/2 in the proximal cost as printed and 0 in a
quadratic game or where a layer feeds itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nngames.activations.foundations.projections import SetProjection
from nngames.checks.enumerating.cells import exact_data
from nngames.core.exact import rational
from nngames.core.profiles import Player
from nngames.solvers.piecewise_equation import PiecewiseEquation

Vector = list[Any]


@dataclass(frozen=True)
class Quadratic:
    """x'Hx/2 + <g, x> + c in rationals of flint: H symmetric (n, n), g a list (n,)."""

    hessian: Any
    gradient: Vector
    constant: Any

    def __call__(self, x: Vector) -> Any:
        """Return the value at x."""
        return dot(times(self.hessian, x), x) / 2 + dot(self.gradient, x) + self.constant

    def along(self, origin: Vector, basis: Any) -> Quadratic:
        """Return t -> q(origin + basis t) for a matrix ``basis`` (n, k)."""
        transposed = basis.transpose()
        slope = [a + b for a, b in zip(times(self.hessian, origin), self.gradient, strict=True)]
        return Quadratic(transposed * self.hessian * basis, times(transposed, slope), self(origin))


@dataclass(frozen=True)
class OwnPiece:
    """g* of one coordinate where it is a z^2/2 + b z + c: for low <= z <= high, None for no end."""

    low: Any
    high: Any
    a: Any
    b: Any
    c: Any


class RationalCosts:
    """The costs of one game.

    Parameters
    ----------
    equation : PiecewiseEquation
        Of a network game with the proximal cost, or of a quadratic game.
    """

    def __init__(self, equation: PiecewiseEquation) -> None:
        self.game: Any = equation.game
        self.pieces, self.size = equation.pieces, equation.size
        self.weight, self.bias = exact_data(equation)

    def places(self, player: Player) -> range:
        """Return where the player's action stands in a profile."""
        where = self.game.space.slice(player)
        return range(where.start, where.stop)

    def value(self, player: Player, x: Vector) -> Any | None:
        """Return the cost at x; None off the domain of the player's penalty."""
        own = self.places(player)
        total = rational(0.0)
        for i in own:
            inner = dot([self.weight[i][j] for j in own], [x[j] for j in own])
            heard = dot(self.weight[i], x) + self.bias[i] - inner
            total = total - x[i] * (inner / 2 + heard)
            if self._squared(player):
                total = total + heard * heard / 2
            piece = next((p for p in self.own_pieces(i) if _between(x[i], p)), None)
            if piece is None:
                return None
            total = total + piece.a * x[i] * x[i] / 2 + piece.b * x[i] + piece.c
        return total

    def is_equilibrium(self, x: Vector) -> bool:
        """Whether x = r(W x + b)."""
        for i, found in enumerate(self.pieces):
            heard = dot(self.weight[i], x) + self.bias[i]
            k = sum(heard > end for end in found.breaks)
            if x[i] != found.slopes[k] * heard + found.offsets[k]:
                return False
        return True

    def coupled_part(self, player: Player) -> Quadratic:
        """Return z'(Q - I)z/2 - <z, u> + k as a function of the whole profile."""
        from flint import fmpq_mat

        own, n = self.places(player), self.size
        squared = self._squared(player)
        hessian = fmpq_mat(n, n)
        gradient = [rational(0.0)] * n
        constant = rational(0.0)
        for i in own:
            outer = [(j, w) for j, w in enumerate(self.weight[i]) if w != 0 and j not in own]
            for j, w in outer:
                hessian[i, j] = hessian[i, j] - w
                hessian[j, i] = hessian[j, i] - w
            for j in own:
                # v = W x + b with the player's own curvature in W: Q - I is minus its own block of W, symmetric.
                hessian[i, j] = hessian[i, j] - (self.weight[i][j] + self.weight[j][i]) / 2
            gradient[i] = gradient[i] - self.bias[i]
            if squared:
                for j, w in outer:
                    gradient[j] = gradient[j] + w * self.bias[i]
                    for k, v in outer:
                        hessian[j, k] = hessian[j, k] + w * v
                constant = constant + self.bias[i] * self.bias[i] / 2
        return Quadratic(hessian, gradient, constant)

    def _squared(self, player: Player) -> bool:
        """Whether the cost has the term |u|^2/2."""
        block, _ = self.game.block_of(player)
        return self.game.cost_name == "proximal" and block not in self.game.self_weights

    def own_pieces(self, i: int) -> list[OwnPiece]:
        """Return the pieces of g* of one coordinate, from left to right; one point where r is constant."""
        found = self.pieces[i]
        last = len(found.slopes) - 1
        if last == 0 and found.slopes[0] == 0:
            point, zero = found.offsets[0], rational(0.0)
            return [OwnPiece(point, point, zero, zero, self._conjugate(i, point))]
        result = []
        for k, (s, t) in enumerate(zip(found.slopes, found.offsets, strict=True)):
            if s == 0:
                continue
            low = None if k == 0 else s * found.breaks[k - 1] + t
            high = None if k == last else s * found.breaks[k] + t
            a, b = 1 / s, -t / s
            inside = low if low is not None else high if high is not None else t
            c = self._conjugate(i, inside) - a * inside * inside / 2 - b * inside
            result.append(OwnPiece(low, high, a, b, c))
        return result

    def _conjugate(self, i: int, z: Any) -> Any:
        space = self.game.network.space
        block = next(p for p, where in space.slices.items() if where.start <= i < where.stop)
        activation = self.game.network.activations[block]
        return z * z / 2 if isinstance(activation, SetProjection) else activation.flint_conjugate_at(z)

    def with_own(self, player: Player, pieces: Sequence[OwnPiece]) -> Quadratic:
        """Return the whole cost where each coordinate of the player's action is on the given piece."""
        part = self.coupled_part(player)
        gradient, constant = list(part.gradient), part.constant
        for i, piece in zip(self.places(player), pieces, strict=True):
            part.hessian[i, i] = part.hessian[i, i] + piece.a
            gradient[i] = gradient[i] + piece.b
            constant = constant + piece.c
        return Quadratic(part.hessian, gradient, constant)


def _between(z: Any, piece: OwnPiece) -> bool:
    return (piece.low is None or z >= piece.low) and (piece.high is None or z <= piece.high)


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Return the inner product of two rational vectors."""
    return sum((x * y for x, y in zip(a, b, strict=True) if x != 0 and y != 0), rational(0.0))


def times(matrix: Any, x: Sequence[Any]) -> Vector:
    """Return a rational matrix times a rational vector."""
    from flint import fmpq_mat

    return list((matrix * fmpq_mat(len(x), 1, list(x))).entries())
