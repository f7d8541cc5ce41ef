"""The ``training`` section of a scenario: samples, and the layers that are to fit them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, WrapValidator, model_validator

from nngames.core.errors import InputError
from nngames.scenario.arrays import Array, ArraySection, ArraySource, Matrix, Vector
from nngames.scenario.network_sections import ActivationChoice
from nngames.scenario.problems import Path, shown
from nngames.scenario.sections import Count, Number, Positive, Section, Text, Whole, wrong, wrong_inside
from nngames.training.data import csv_columns
from nngames.training.datasets import DATASETS
from nngames.training.layer_features import Convolution


class TableColumns(ArraySection):
    """Columns of a csv file whose first line names them, a sample a row."""

    file: str = Field(description="A .csv file in the scenario's folder.")
    columns: list[Text] = Field(min_length=1, description="The names of the columns.")

    def array(self, source: ArraySource, path: Path) -> Array:
        """Return the columns (samples, columns)."""
        if source.folder is None:
            raise InputError("this scenario was not read from a file, so it has no folder to read arrays from")
        if not self.file.endswith(".csv"):
            raise InputError(f"the file {self.file!r} is not a .csv file; only there do columns have names")
        try:
            text = source.folder.content(self.file).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"the file {self.file!r} is not text: {error}") from None
        return np.asarray(csv_columns(text, self.file, self.columns), dtype=np.float64)


_MATRICES: TypeAdapter[Any] = TypeAdapter(Matrix)


def _samples(value: Any, handler: Any) -> Any:
    # Of the two it is the one or the other: the handler would complain of both.
    if isinstance(value, dict) and "columns" in value:
        return TableColumns.model_validate(value)
    return _MATRICES.validate_python(value)


#: Samples, one a row: a matrix, or columns of a table by name.
Samples = Annotated[TableColumns | Matrix, WrapValidator(_samples)]
_HIDDEN: TypeAdapter[Any] = TypeAdapter(list[Samples])
#: What stands in place of hidden targets that are to be found.
FOUND = "found"


class Standardize(Section):
    """Which samples are moved and scaled to mean 0 and standard deviation 1, by the training rows."""

    inputs: bool = False
    targets: bool = False


def _standardize(value: Any, handler: Any) -> Any:
    if isinstance(value, bool):
        return Standardize(inputs=value, targets=value)
    if not isinstance(value, dict):
        raise wrong(f"must be true, false, or a mapping with the keys inputs, targets; got {shown(value)}")
    return Standardize.model_validate(value)


def _hidden(value: Any, handler: Any) -> Any:
    if value == FOUND:
        return value
    if not isinstance(value, list):
        raise wrong(f"must be {FOUND}, or a list with one array for each layer but the last; got {shown(value)}")
    return _HIDDEN.validate_python(value)


class TestRows(Section):
    """Which rows are kept back to test on."""

    last: Count | None = Field(default=None, description="So many last rows.")
    fraction: Annotated[float, Field(gt=0, lt=1)] | None = Field(default=None, description="This share, drawn.")
    seed: Annotated[Whole, Field(ge=0)] | None = Field(
        default=None, description="Of the draw; by default the scenario's."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Any:
        if (self.last is None) == (self.fraction is None):
            raise wrong("needs last or fraction, one of the two")
        if self.last is not None and self.seed is not None:
            raise wrong_inside([(("seed",), "belongs to fraction; the last rows are not drawn")])
        return self


class Data(Section):
    """The samples."""

    dataset: Literal[tuple(DATASETS)] | None = Field(  # type: ignore[valid-type]
        default=None, description="A data set that scikit-learn ships, instead of inputs and targets."
    )
    inputs: Samples | None = None
    targets: Samples | None = Field(default=None, description="What the last layer is to answer.")
    hidden: Annotated[list[Samples] | Literal["found"], WrapValidator(_hidden)] = Field(
        default=[],
        description="What the other layers are to answer, one array for each of them; or found, with the weights.",
    )
    weights: Vector | None = Field(default=None, description="How much each sample counts; by default all alike.")
    standardize: Annotated[Standardize, WrapValidator(_standardize)] = Field(
        default=Standardize(), description="true, false, or a mapping with inputs and targets."
    )
    test: TestRows | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Any:
        given = [key for key in ("inputs", "targets") if getattr(self, key) is not None]
        if self.dataset is not None:
            if given:
                raise wrong_inside([((key,), f"the data set {self.dataset} has its own") for key in given])
            return self
        missing = [key for key in ("inputs", "targets") if key not in given]
        if len(missing) == 2:
            raise wrong("needs inputs and targets, or a dataset")
        if missing:
            raise wrong_inside([((missing[0],), "is missing")])
        return self


class ConvolutionSection(Section):
    """Weights that are those of a convolution without padding."""

    height: Count = Field(description="Of the layer's input, an image.")
    width: Count
    kernel: list[Count] = Field(min_length=2, max_length=2, description="[height, width]")
    channels: Count = Field(description="Of the output.")
    input_channels: Count = 1

    def convolution(self) -> Convolution:
        """Return what the section describes.

        Raises
        ------
        InputError
            If the kernel is larger than the image.
        """
        return Convolution(
            self.height, self.width, (self.kernel[0], self.kernel[1]), self.channels, self.input_channels
        )


class TrainedLayer(Section):
    """A layer whose weights and bias are to be found."""

    activation: ActivationChoice
    ridge: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="ridge |W|^2 / 2 is added to its loss.")
    bound: Positive | None = Field(default=None, description="The largest spectral norm its weight may have.")
    width: Count | None = Field(default=None, description="Of a hidden layer whose targets are found.")
    share: Positive | None = Field(
        default=None, description="How much its loss counts where hidden targets are found; by default 1."
    )
    mask: Matrix | None = Field(default=None, description="Ones where there is a weight, zeros where it stays 0.")
    convolution: ConvolutionSection | None = None


class Training(Section):
    """A network to find: layers that are to map the inputs to the targets."""

    data: Data
    layers: list[TrainedLayer] = Field(min_length=1)
    certificate: Literal["contraction", "averaged", "monotone"] | None = Field(
        default=None, description="What is to hold of the ring that feeds the trained layers' answers back to them."
    )
    margin: Positive | None = Field(default=None, description="Of the certificate.")

    @property
    def finds(self) -> bool:
        """Whether hidden targets are to be found too."""
        return self.data.hidden == FOUND

    @model_validator(mode="after")
    def _held(self) -> Any:
        if self.certificate is None:
            if self.margin is not None:
                raise wrong_inside([(("margin",), "belongs to a certificate: say certificate, or leave it out")])
            return self
        findings: list[Any] = [
            (("layers", i, key), "does not go with a certificate, which holds the weights of dense layers itself")
            for i, layer in enumerate(self.layers)
            for key in ("bound", "mask", "convolution")
            if getattr(layer, key) is not None
        ]
        if findings:
            raise wrong_inside(findings)
        return self

    @model_validator(mode="after")
    def _hidden_targets(self) -> Any:
        if self.finds:
            self._check_widths()
            return self
        findings: list[Any] = [
            (("layers", i, key), f"belongs to hidden targets that are found; say data: hidden: {FOUND}")
            for i, layer in enumerate(self.layers)
            for key in ("width", "share")
            if getattr(layer, key) is not None
        ]
        if findings:
            raise wrong_inside(findings)
        needed, given = len(self.layers) - 1, len(self.data.hidden)
        if needed != given:
            raise wrong_inside(
                [
                    (
                        ("data", "hidden"),
                        f"has {given} arrays; {len(self.layers)} layers need {needed}, one for each but the last; "
                        f"or say {FOUND}, to find them too",
                    )
                ]
            )
        return self

    def _check_widths(self) -> None:
        last = len(self.layers) - 1
        findings: list[Any] = []
        if not last:
            findings.append((("data", "hidden"), "is for two layers or more: a single layer has the targets alone"))
        for i, layer in enumerate(self.layers):
            place = ("layers", i)
            if i < last and layer.width is None:
                findings.append(((*place, "width"), "is missing: how many numbers the layer answers"))
            if i == last and layer.width is not None:
                findings.append(((*place, "width"), "the last layer has the targets' width; leave it out"))
            findings += [
                ((*place, key), "is for layers whose targets are given; where they are found, layers are dense")
                for key in ("mask", "convolution")
                if getattr(layer, key) is not None
            ]
        if findings:
            raise wrong_inside(findings)
