"""The published figures and how each was made: ``conf/reproduce/<name>.yaml``, checked like the rest of ``conf/``."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from daycast.config.models import Model
from daycast.config.recurrent import Cell, Front, PerLayer, Units
from daycast.config.section import Section
from daycast.errors import ConfigError


class Window(Section):
    """The targets that forecasts are scored at: all origins whose targets lie in it, one a day."""

    first: date = Field(description="first target")
    last: date = Field(description="last target")
    horizon: int = Field(ge=1, description="steps ahead from each origin")


class Figure(Section):
    """One number of a row, what was published for it, and what was measured before."""

    series: str = Field(description="series that is scored")
    step: int | None = Field(ge=1, description="horizon step that is scored; null for the mean over all steps")
    metric: Literal["mae", "mape", "rmse"] = Field(description="mape is a fraction")
    published: float | None = Field(description="as published, units of y or a fraction; null if nothing was")
    measured: float | None = Field(
        description="measured for this project before, with other code (docs/reproduction.md), units as of published; "
        "null if it was not"
    )


class Stacked(Section):
    """An encoder and a linear map of its outputs, in the terms of ``config.Recurrent``."""

    kind: Literal["network"] = Field(description="kind of architecture")
    cell: PerLayer[Cell] = Field(description="recurrent layer: one kind, or a list with one per layer")
    hidden: PerLayer[Units] = Field(description="units: of every layer, or a list with one per layer")
    layers: int = Field(ge=0, le=8, description="stacked recurrent layers; 0 with a dilated front: no recurrence")
    front: Front | None = Field(description="convolutions between the inputs and the recurrence; null for none")
    dropout: float = Field(ge=0, lt=1, description="share of units dropped after each layer")
    output: Literal["dense", "every_step"] = Field(
        description="dense: one linear map of the last state; every_step: the same map at every step of the lookback"
    )


class Lags(Section):
    """A linear map of the whole lookback, without any recurrence."""

    kind: Literal["lags"] = Field(description="kind of architecture")


class Bare(Section):
    """A recurrent layer of which the last state is the forecast itself, without an output layer."""

    kind: Literal["bare"] = Field(description="kind of architecture")
    cell: Cell = Field(description="recurrent layer; its units are the targets")


Architecture = Annotated[Stacked | Lags | Bare, Field(discriminator="kind")]


class Recipe(Section):
    """How a network was trained."""

    optimizer: Literal["sgd", "adam"] = Field(description="plain stochastic gradient descent, or Adam")
    momentum: float = Field(ge=0, lt=1, description="of sgd; 0 with adam")
    learning_rate: float = Field(gt=0, description="constant step size")
    loss: Literal["huber", "mse", "mape"] = Field(description="training loss, in scaled units")
    batch_size: int = Field(ge=1, description="windows per training step")
    buffer: int | None = Field(
        ge=1,
        description="windows that the next one of a batch is drawn from, the oldest that are left, so that an epoch "
        "walks through time; null for all, in any order",
    )
    max_epochs: int = Field(ge=1, description="most epochs")
    patience: int | None = Field(
        ge=1,
        description="epochs without a lower MAE on the scored window itself before stopping, and the best epoch's "
        "weights are kept (optimistic); null for all epochs and the last weights",
    )


class _Row(Section):
    title: str = Field(description="what it is, for people")
    note: str | None = Field(description="what differs from the publication, or how it is to be read")
    tuned: str | None = Field(description="model of conf/model/ scored beside it; null for none")
    window: str = Field(description="name of the window")
    figures: tuple[Figure, ...] = Field(min_length=1, description="the numbers")


class FittedRow(_Row):
    """A model of the pipeline with the published settings, no seed in it."""

    kind: Literal["model"] = Field(description="kind of row")
    start: date = Field(description="first day of the fit's data")
    fit_cutoff: date = Field(description="last day of the fit's data")
    model: Model = Field(description="as an entry of conf/model/")


class Training(Section):
    """A network, what it reads, and how it is trained."""

    inputs: tuple[str, ...] = Field(min_length=1, description="series that it reads")
    targets: tuple[str, ...] = Field(min_length=1, description="series that it forecasts, the first of its inputs")
    known: tuple[str, ...] = Field(description="known columns that it reads, those of the day after each step")
    lags: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="days back of earlier observations of its inputs that it reads beside each step"
    )
    lookback: int = Field(ge=1, description="input steps")
    scale: Literal["millions", "minmax"] = Field(description="divided by 1e6, or to 0..1 by the training data")
    architecture: Architecture = Field(description="the network")
    recipe: Recipe = Field(description="its training")

    @model_validator(mode="after")
    def _targets_come_first(self) -> Self:
        if self.inputs[: len(self.targets)] != self.targets:
            raise ValueError(f"targets: expected the first of the inputs {self.inputs}, found {self.targets}")
        return self


class NetworkRow(Training, _Row):
    """A network with the published architecture and recipe, trained from several seeds."""

    kind: Literal["network"] = Field(description="kind of row")


class ShippedRow(_Row):
    """A model of the pipeline alone: nothing is to be made as published."""

    kind: Literal["shipped"] = Field(description="kind of row")


class ControlRow(Training):
    """White noise, on which nothing may win over the mean."""

    kind: Literal["control"] = Field(description="kind of row")
    title: str = Field(description="what it is, for people")
    note: str | None = Field(description="how it is to be read")
    seed: int = Field(ge=0, description="of the integers")
    values: int = Field(ge=2, description="how many integers, uniform from 0 to 9")
    train: int = Field(ge=1, description="how many of them are learned from; the rest are forecast one step ahead")
    models: dict[str, Model] = Field(description="further models of the pipeline that compete")


Row = Annotated[FittedRow | NetworkRow | ShippedRow | ControlRow, Field(discriminator="kind")]


class Quick(Section):
    """What ``--quick`` runs."""

    rows: tuple[str, ...] = Field(min_length=1, description="names of rows")
    max_epochs: int = Field(ge=1, description="most epochs of every training")


class Publication(Section):
    """Published figures, and the protocol of each."""

    dataset: str = Field(description="name of the dataset")
    source: str = Field(description="where the published figures stand")
    first: date = Field(description="first day that networks are trained on")
    last: date = Field(description="last day that networks are trained on")
    seeds: int = Field(ge=1, le=50, description="trainings of each network")
    windows: dict[str, Window] = Field(min_length=1, description="name -> window")
    backtests: dict[str, str] = Field(
        description="window -> protocol of conf/backtest/ by which the pipeline's own models are chosen and fitted "
        "for it; its targets and horizon are the window's"
    )
    quick: Quick = Field(description="a check of the machinery in a minute")
    rows: dict[str, Row] = Field(min_length=1, description="name -> row, in the order of the table")

    @model_validator(mode="after")
    def _names_exist(self) -> Publication:
        rows = {name: row for name, row in self.rows.items() if not isinstance(row, ControlRow)}
        faults = [
            f"rows.{name}.window: expected one of {sorted(self.windows)}, found {row.window}"
            for name, row in rows.items()
            if row.window not in self.windows
        ]
        faults += [
            f"rows.{name}.fit_cutoff: expected a day before the first target {self.windows[row.window].first}, "
            f"found {row.fit_cutoff}"
            for name, row in rows.items()
            if isinstance(row, FittedRow)
            and row.window in self.windows
            and row.fit_cutoff >= self.windows[row.window].first
        ]
        faults += [
            f"quick.rows: expected names of rows, found {name}" for name in self.quick.rows if name not in self.rows
        ]
        if set(self.backtests) != set(self.windows):
            faults.append(f"backtests: expected one of each window, found {sorted(self.backtests)}")
        if faults:
            raise ValueError("\n".join(faults))
        return self


def publication(root: Path, name: str = "published") -> Publication:
    """The published figures of ``conf/reproduce/<name>.yaml``.

    Raises:
        ConfigError: there is no such file, it is no YAML, or values are wrong (all of them are told).
    """
    import yaml

    place = f"conf/reproduce/{name}.yaml"
    try:
        plain = yaml.safe_load((root / place).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"YAML in {place}", " ".join(str(error).split()), "restore or mend the file") from error
    if isinstance(plain, dict):
        plain.pop("recipes", None)  # a place for what rows share by YAML's own anchors
    try:  # strict by way of JSON, as for the other files of conf/
        return Publication.model_validate_json(json.dumps(plain, default=str))
    except ValidationError as error:
        from daycast.config.faults import faults

        raise ConfigError(
            f"values that fit the schema of {place}",
            "".join(f"\n  {fault}" for fault in faults(Publication, error, {"": place})),
            "change these values where they stand",
        ) from error
