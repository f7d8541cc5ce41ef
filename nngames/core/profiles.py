"""Profile spaces: who the players are, how large each action is, and where it stands in a profile."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nngames.core.errors import InputError, ShapeError, UnknownNameError

Player = Hashable
Array = NDArray[np.floating[Any]]
Profile = ArrayLike | Mapping[Any, ArrayLike]

DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True)
class ProfileSpace:
    """The product of the players' action spaces R^{n_l}, in the order of ``players``.

    Attributes
    ----------
    players : tuple
        The players, each hashable and distinct.
    sizes : tuple of int
        n_l for each player, at least 1.
    """

    players: tuple[Player, ...]
    sizes: tuple[int, ...]

    @cached_property
    def size(self) -> int:
        """N, the length of a profile."""
        return sum(self.sizes)

    @property
    def count(self) -> int:
        """The number of players."""
        return len(self.sizes)

    @cached_property
    def dims(self) -> dict[Player, int]:
        """The size of each player's action."""
        return dict(zip(self.players, self.sizes, strict=True))

    @cached_property
    def slices(self) -> dict[Player, slice]:
        """Where each player's action stands in a profile."""
        stops = accumulate(self.sizes)
        return {p: slice(stop - n, stop) for p, n, stop in zip(self.players, self.sizes, stops, strict=True)}

    def slice(self, player: Player) -> slice:
        """Return where ``player`` stands in a profile.

        Raises
        ------
        UnknownNameError
            If there is no such player.
        """
        try:
            return self.slices[player]
        except (KeyError, TypeError):
            raise UnknownNameError("player", player, [str(p) for p in self.players]) from None

    def array(self, profile: Profile, *, batch: bool = False, what: str = "profile", finite: bool = True) -> Array:
        """Return ``profile`` as a fresh-or-shared float array of shape (N,), or (batch, N) where a batch is allowed.

        Parameters
        ----------
        profile : array_like or mapping
            A concatenation in the order of ``players``, or a mapping player -> action with every player.
        batch : bool
            Whether a leading batch axis is allowed.
        what : str
            What to call it in a message.
        finite : bool
            Whether every entry must be finite.

        Raises
        ------
        ShapeError
            If the length differs from N, or an action's from n_l.
        InputError
            If a player is missing or unknown, or an entry is not a finite number.
        """
        if type(profile) is np.ndarray and profile.dtype is DOUBLE:
            array = profile
        elif isinstance(profile, Mapping):
            array = self._from_mapping(profile, what)
        else:
            array = float_array(profile, what)
        if array.ndim == 0 and self.size == 1:
            array = array.reshape(1)
        allowed = (1, 2) if batch else (1,)
        if array.ndim not in allowed or array.shape[-1] != self.size:
            expected = f"({self.size},)" + (f" or (batch, {self.size})" if batch else "")
            raise ShapeError(f"{what} has shape {array.shape}; expected {expected}, the actions of {self._names()}")
        if finite and not np.isfinite(array).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise InputError(f"{what}[{', '.join(map(str, index))}] is {array[index]}; every entry must be finite")
        return array

    def actions(self, profile: Array) -> dict[Player, Array]:
        """Return each player's action as a view of ``profile`` (..., N)."""
        return {player: profile[..., where] for player, where in self.slices.items()}

    def _from_mapping(self, profile: Mapping[Any, ArrayLike], what: str) -> Array:
        for player in profile:
            if player not in self.slices:
                raise UnknownNameError(f"player in the {what}", player, [str(p) for p in self.players])
        missing = [str(p) for p in self.players if p not in profile]
        if missing:
            raise InputError(f"{what} has no action for {', '.join(missing)}")
        parts: list[Array] = []
        for player, n in self.dims.items():
            part = np.atleast_1d(float_array(profile[player], f"{what}, action of {player}"))
            if part.shape[-1] != n:
                raise ShapeError(f"{what}: the action of {player} has shape {part.shape}; expected ({n},)")
            if parts and part.shape[:-1] != parts[0].shape[:-1]:
                raise ShapeError(
                    f"{what}: the action of {player} has shape {part.shape}, that of {self.players[0]} "
                    f"{parts[0].shape}; a batch needs the same number of rows for every player"
                )
            parts.append(part)
        return np.concatenate(parts, axis=-1)

    def _names(self) -> str:
        shown = [f"{p} ({n})" for p, n in zip(self.players[:6], self.sizes[:6], strict=True)]
        return ", ".join(shown) + (", ..." if len(self.players) > 6 else "")


class CoordinateSpace(ProfileSpace):
    """The space in which each coordinate of a profile of ``blocks`` is a player, named ``block[i]``.

    A million names take longer to make, and more memory, than their game: they are made when they are asked for.
    """

    _blocks: ProfileSpace

    def __init__(self, blocks: ProfileSpace) -> None:
        object.__setattr__(self, "_blocks", blocks)

    @cached_property
    def players(self) -> tuple[Player, ...]:
        """The names of the coordinates."""
        return tuple(f"{block}[{i}]" for block, n in self._blocks.dims.items() for i in range(n))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """1 for each player."""
        return (1,) * self.size

    @cached_property
    def size(self) -> int:
        """N, the length of a profile."""
        return self._blocks.size

    @property
    def count(self) -> int:
        """The number of players."""
        return self.size


def is_masked(value: Any) -> bool:
    """Whether an array, or one in a list of them, has masked entries."""
    if type(value) is np.ndarray:
        return False
    arrays = value if isinstance(value, list | tuple) and value and isinstance(value[0], np.ndarray) else [value]
    return any(isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array) for array in arrays)


def refuse_masked(value: Any, what: str) -> None:
    """Raise InputError if there are masked entries: nobody gave what stands there."""
    if is_masked(value):
        raise InputError(f"{what} has masked entries; fill them, as with array.filled(0.0)")


def float_array(value: ArrayLike, what: str) -> Array:
    """Return ``value`` as a float array: float32 stays, everything else becomes float64.

    Raises
    ------
    InputError
        If it is not an array of real numbers.
    """
    refuse_masked(value, what)
    try:
        array = np.asarray(value)
        if array.dtype == object and not any(isinstance(item, str | bytes) for item in array.flat):
            # Fractions and other exact numbers.
            array = np.array([float(item) for item in array.flat]).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{what} is not an array of real numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        # Complex numbers would lose their imaginary part, and texts are no numbers even where they spell one.
        held = {"c": "complex numbers", "U": "texts", "S": "texts", "O": "texts"}.get(
            array.dtype.kind, array.dtype.name
        )
        raise InputError(f"{what} is not an array of real numbers: it holds {held}")
    if array.dtype == np.float32:
        return array
    return np.asarray(array, dtype=np.float64)
