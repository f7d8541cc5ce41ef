"""What a scenario does with its game: the ``solve``, ``checks`` and ``stopping`` sections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, WrapValidator

from nngames.core.errors import OptionError
from nngames.scenario import registries
from nngames.scenario.arrays import Vector
from nngames.scenario.choices import Choice, Chosen, NestedChoice
from nngames.scenario.problems import shown
from nngames.scenario.sections import Count, PlayerName, Positive, Section, findings_of, wrong, wrong_inside
from nngames.solvers.solver import MAX_ITERATIONS, TOLERANCE

MethodChoice = Annotated[Chosen, Choice(registries.solvers, key="method", also=("auto",), labelled=True)]
CheckChoice = Annotated[Chosen, NestedChoice(registries.checks)]


def _distinct_labels(methods: list[Chosen]) -> list[Chosen]:
    seen: dict[str, int] = {}
    findings = []
    for i, method in enumerate(methods):
        if method.label in seen:
            taken = f"the label {method.label!r} is taken by methods[{seen[method.label]}]"
            message = f"{taken}; give it a label, or leave it out"
            findings.append(((i,), message))
        seen.setdefault(method.label, i)
    if findings:
        raise wrong_inside(findings)
    return methods


def _distinct_checks(checks: list[Chosen]) -> list[Chosen]:
    names = [check.name for check in checks]
    twice = [i for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise wrong_inside([((i,), f"the check {names[i]!r} is given twice") for i in twice])
    return checks


MethodList = Annotated[list[MethodChoice], Field(min_length=1), AfterValidator(_distinct_labels)]
CheckList = Annotated[list[CheckChoice], AfterValidator(_distinct_checks)]


def _start(value: Any, handler: Any) -> Any:
    if value in ("zero", "random"):
        return value
    if isinstance(value, str):
        raise wrong(f"must be zero, random, a vector, or a mapping player -> vector; got {shown(value)}")
    if isinstance(value, dict) and not {"file", "random", "constant"} & set(value):
        return TypeAdapter(dict[PlayerName, Vector]).validate_python(value)
    return TypeAdapter(Vector).validate_python(value)


class Solve(Section):
    """Which methods solve the game, and from where."""

    methods: MethodList
    start: Annotated[Literal["zero", "random"] | Vector | dict[PlayerName, Vector], WrapValidator(_start)] = Field(
        default="zero", description="The profile to start from."
    )


class Stopping(Section):
    """When a solver stops."""

    tolerance: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=TOLERANCE, description="On the residual, in units of max(1, |T(0)|)."
    )
    max_iterations: Count = MAX_ITERATIONS
    max_seconds: Positive | None = None


def choose_methods(given: Sequence[Any]) -> list[Chosen]:
    """Return methods given outside a file, each a name or a mapping as in ``solve.methods``.

    Raises
    ------
    OptionError
        If there is none, one is unknown or has an unknown option, or a label is taken.
    """
    return _chosen(MethodList, given, "method")


def choose_checks(given: Sequence[Any]) -> list[Chosen]:
    """Return checks given outside a file, each a name or a mapping as in ``checks``.

    Raises
    ------
    OptionError
        If one is unknown, has an unknown option, or is given twice.
    """
    return _chosen(CheckList, given, "check")


def _chosen(kind: Any, given: Sequence[Any], what: str) -> list[Chosen]:
    try:
        return TypeAdapter(kind).validate_python(list(given))
    except ValidationError as error:
        raise OptionError("\n".join(_line(what, path, message) for path, message in findings_of(error))) from None


def _line(what: str, path: Any, message: Any) -> str:
    text = message.message() if hasattr(message, "message") else message
    return text if len(path) <= 1 else f"{what} {path[0] + 1}, {'.'.join(map(str, path[1:]))}: {text}"
