"""The ``alert`` group: what an exceptionally low day is, and the models that tell its probability ahead."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from daycast.config.dataset import Dataset
from daycast.config.recurrent import Recurrent
from daycast.config.section import Section
from daycast.config.tabular import Tabular
from daycast.core.calendar import fourier_names
from daycast.core.lows import Rule


class Low(Section):
    """When a day is exceptionally low: measured against the usual level of its class of day, known at the cutoff."""

    drop: float = Field(gt=0, lt=1, description="share of the usual level that a low day lacks at least, in (0, 1)")
    by: tuple[str, ...] = Field(description="known categorical columns whose combinations are the classes of days")
    window: int = Field(
        ge=1, description="last normal timestamps of a class, those without an event, that make a level"
    )
    statistic: Literal["median", "mean"] = Field(description="of these timestamps")

    def rule(self) -> Rule:
        """As ``core.lows`` takes it."""
        return Rule(**self.model_dump())


class AlertNetwork(Recurrent):
    """A recurrent network whose one number for each target is the logarithm of the odds of a low day."""

    loss: Literal["cross_entropy"] = Field(description="training loss, nats")  # type: ignore[assignment]

    @model_validator(mode="after")
    def _suits_alerts(self) -> AlertNetwork:
        faults = []
        if self.output == "seq2seq":
            faults.append(
                "output: expected direct, dense, every_step or heads: a decoder would be fed probabilities as values"
            )
        if self.horizon is not None:
            faults.append(f"horizon: expected null, as probabilities can't be iterated, found {self.horizon}")
        if self.search:
            faults.append("search: expected {}, as alerts are not tuned")
        if faults:
            raise ValueError("\n".join(faults))
        return self


class Logistic(Tabular):
    """Logistic regression on signals and calendar, one for each step ahead: the bar for a network."""

    baseline: ClassVar[bool] = True
    family: Literal["logistic"] = Field(description="kind of model")
    penalty: float = Field(gt=0, description="weight of the squared coefficients, per row, features scaled to 1")


class Alert(Section):
    """Probabilities of exceptionally low days, and when they raise an alert."""

    name: str = Field(description="name, as in conf/alert/<name>.yaml")
    low: Low = Field(description="what is foretold")
    model: Literal["network", "logistic", "base_rate"] = Field(description="whose probabilities raise alerts")
    threshold: float = Field(ge=0, le=1, description="probability from which on an alert is raised, in [0, 1]")
    seeds: int = Field(ge=1, le=50, description="networks fitted, whose probabilities are averaged")
    logistic: Logistic = Field(description="the linear model")
    network: AlertNetwork = Field(description="the network")

    def misfits(self, dataset: Dataset, horizon: int, validation_steps: int) -> list[str]:
        """What of these values does not suit a dataset, a backtest's horizon and a trainer, a line each."""
        spec = dataset.spec()
        known = spec.known
        waves = fourier_names(dataset.calendar.fourier)
        by = {"low.by": self.low.by, "logistic.profile.by": self.logistic.profile.by}
        if self.network.profile is not None:
            by["network.profile.by"] = self.network.profile.by
        faults = [
            f"alert.{place}: `{c}` is no categorical column of dataset.covariates.known"
            for place, columns in by.items()
            for c in columns
            if known.get(c) is None
        ]
        faults += [
            f"alert.{place}: `{c}` is not known ahead, so no class of days can be told by it"
            for place, columns in by.items()
            for c in columns
            if c in spec.held
        ]
        faults += [
            f"alert.{place}.known: `{c}` is neither in dataset.covariates.known {sorted(known)} nor a Fourier term"
            for place, columns in (("logistic", self.logistic.known), ("network", self.network.known))
            for c in columns or ()
            if c not in known and c not in waves
        ]
        if validation_steps <= horizon:
            faults.append(f"trainer.validation_steps: must exceed backtest.horizon {horizon}, found {validation_steps}")
        return faults
