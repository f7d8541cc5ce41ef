"""The errors a user can cause: each says what is wrong, where, and what is valid. Internal faults are not here."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

#: Names that a message lists; a network can have a hundred thousand players.
LISTED = 50


class NNGamesError(Exception):
    """Base of every error that a user's input or request can cause."""


class InputError(NNGamesError, ValueError):
    """A value is not usable; the message names it and says what is valid."""


class ShapeError(InputError):
    """An array has the wrong shape; the message gives where, what was expected and what was given."""


class DomainError(InputError):
    """A point lies outside the domain of a function; the message names the first offending index."""


class StepError(InputError):
    """A proximal step lies outside the range in which the prox is single-valued."""


class InfeasibleError(InputError):
    """Nothing meets the conditions that were asked for together; the message says which of them stand against it."""


class NotApplicableError(NNGamesError):
    """A method, view or certificate cannot take this game; the message gives the reason."""


class MissingExtraError(NNGamesError):
    """Something needs packages that are installed with an optional extra.

    Parameters
    ----------
    what : str
        What needs them.
    extra : str
        The extra.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the extra {extra!r}: pip install 'nngames[{extra}]'")


class UnknownNameError(InputError):
    """A name that no registry knows.

    Parameters
    ----------
    kind : str
        What the name should have named, such as ``"activation"``.
    name : str
        The name that was given.
    valid : iterable of str
        The names that exist.
    """

    def __init__(self, kind: str, name: object, valid: Iterable[str]) -> None:
        self.kind, self.name, self.valid = kind, name, tuple(sorted(valid))
        super().__init__(f"unknown {kind} {name!r}; {suggestion(str(name), self.valid)}")


class OptionError(InputError):
    """An option that its owner does not have, or a value that the option does not take."""


def unknown_option(owner: str, option: str, valid: Iterable[str]) -> OptionError:
    """Return the error for an option that ``owner`` does not have, with its valid options."""
    names = tuple(sorted(valid))
    if not names:
        return OptionError(f"{owner} takes no options; got {option!r}")
    return OptionError(f"{owner} has no option {option!r}; {suggestion(option, names)}")


def check_choice(what: str, value: object, valid: Sequence[str]) -> None:
    """Raise OptionError unless ``value`` is one of the texts ``valid``."""
    if not isinstance(value, str) or value not in valid:
        raise OptionError(f"{what}={value!r} is unknown; valid: {', '.join(valid)}")


def check_positive(what: str, value: object) -> None:
    """Raise OptionError unless ``value`` is a positive real number of Python or NumPy that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, Real) or not as_float(value) > 0:
        raise OptionError(f"{what} must be a positive number; got {written(value)}")


def is_real(value: object) -> bool:
    """Whether ``value`` is a real number of Python or NumPy, and no truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def as_float(number: Any) -> float:
    """Return a number as a float, NaN where it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.nan


def written(value: object) -> str:
    """Return how a value that a user gave is written in a message."""
    try:
        return repr(value)
    except ValueError:
        # Python writes no integer of more than some thousand digits.
        return "an integer of thousands of digits"


def suggestion(name: str, valid: Sequence[str]) -> str:
    """Return "did you mean 'x'? valid: ..." for a mistyped ``name``."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    start = f"did you mean {close[0]!r}? " if close else ""
    shown = valid if len(valid) <= LISTED else [*valid[:LISTED], f"... ({len(valid)} in all)"]
    return f"{start}valid: {', '.join(shown)}"
