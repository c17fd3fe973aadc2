"""The other groups, and the whole configuration."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pandas as pd
from pydantic import Field, ValidationInfo, model_validator

from daycast.config.alert import Alert
from daycast.config.dataset import Dataset
from daycast.config.family import Family
from daycast.config.models import Blend, DayTypeNaive, Model
from daycast.config.monitoring import Monitoring
from daycast.config.per_series import Sarima
from daycast.config.promotion import Promotion
from daycast.config.recurrent import Recurrent
from daycast.config.runner import Runner as Runner
from daycast.config.search import Searchable
from daycast.config.section import Section
from daycast.config.trainer import Trainer as Trainer
from daycast.core import conformal
from daycast.core.calendar import fourier_names
from daycast.core.split import Plan

Metric = Literal["mae", "rmse", "mape", "smape", "mase"]


class Intervals(Section):
    """How wide forecasts are taken to be, from what the model missed by where no fit had seen the target."""

    method: Literal["adaptive", "split"] = Field(
        description="adaptive: follow errors as they come in, origin by origin; split: those of the validation folds"
    )
    source: Literal["head", "point"] = Field(
        description="head: calibrate the quantiles that a model has learned itself (losses pinball, gaussian, "
        "student_t), where it has them at every step of the horizon; point, and all others: around its point forecast"
    )
    scale: Literal["additive", "relative"] = Field(
        description="around points: residuals in units of y, or in shares of the forecast (errors that grow with the "
        "level); learned quantiles are moved in units of y"
    )
    levels: tuple[float, ...] = Field(
        description="quantile levels in (0, 1), ascending: 0.5, and pairs around it, 0.1 and 0.9 among them"
    )
    rate: float = Field(ge=0, lt=1, description="adaptive: what a miss moves a level by; 0: a rolling window alone")
    window: int = Field(ge=1, description="adaptive: newest residuals (origins) per step that quantiles are taken of")

    @model_validator(mode="after")
    def _levels_that_make_intervals(self) -> Intervals:
        told, faults = list(self.levels), []
        if any(not 0 < level < 1 or level != round(level, 4) for level in told):
            faults.append(f"levels {told} must lie in (0, 1), with four decimals at most")
        if told != sorted(set(told)):
            faults.append(f"levels {told} must ascend")
        if not {0.1, 0.5, 0.9} <= set(told):
            faults.append(f"levels {told} must hold 0.1, 0.5 and 0.9: tables and pictures show the 80 % interval")
        lonely = [level for level in told if round(1 - level, 9) not in told]
        if lonely:
            faults.append(f"levels {told} must pair: there is no other end to {lonely}")
        if not faults and self.window < (needed := conformal.enough(conformal.checked(told))[1]):
            faults.append(f"window {self.window} is below the {needed} residuals that levels {told} need")
        if faults:
            raise ValueError("\n".join(faults))
        return self


class Backtest(Section):
    """Which cutoffs are forecast from, and how the forecasts are judged."""

    name: str = Field(description="name, as in conf/backtest/<name>.yaml")
    horizon: int = Field(ge=1, le=1000, description="steps ahead")
    step_size: int = Field(ge=1, description="timestamps between origins")
    n_targets: int | None = Field(ge=1, description="timestamps in the test window, by count; null if by date")
    first_target: date | None = Field(description="first test target, ISO date; null if by count")
    last_target: date | None = Field(description="last test target, ISO date; null for the end of the data")
    fit_cutoff: date | None = Field(description="last date of the final fit; null for the one before the first target")
    start: date | None = Field(description="first date that any fit may use; null for all history")
    n_folds: int = Field(ge=1, le=20, description="validation folds before fit_cutoff, on which everything is chosen")
    fold_targets: int = Field(ge=1, description="timestamps in each validation fold")
    series: tuple[str, ...] | None = Field(description="series that are scored; null for all")
    metric: Metric = Field(description="what the leaderboard sorts by, lower is better")
    intervals: Intervals = Field(description="the quantiles of forecasts, here and of the versions that come of it")

    @model_validator(mode="after")
    def _one_way_to_say_the_window(self) -> Backtest:
        faults = []
        if (self.n_targets is None) == (self.first_target is None):
            faults.append("give either n_targets (by count) or first_target (by date)")
        if self.n_targets is not None and self.n_targets < self.horizon:
            faults.append(f"n_targets {self.n_targets} is below horizon {self.horizon}: no origin fits")
        if self.fold_targets < self.horizon:
            faults.append(f"fold_targets {self.fold_targets} is below horizon {self.horizon}: no origin fits")
        if self.first_target and self.last_target and self.first_target > self.last_target:
            faults.append(f"first_target {self.first_target} is after last_target {self.last_target}")
        if self.fit_cutoff and self.first_target and self.fit_cutoff >= self.first_target:
            faults.append(f"fit_cutoff {self.fit_cutoff} must be before first_target {self.first_target}")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def plan(self) -> Plan:
        """These values in the terms of ``core.split``."""

        def stamp(value: date | None) -> pd.Timestamp | None:
            return None if value is None else pd.Timestamp(value)

        return Plan(
            self.horizon,
            self.step_size,
            self.n_targets,
            stamp(self.first_target),
            stamp(self.last_target),
            stamp(self.fit_cutoff),
            stamp(self.start),
            self.n_folds,
            self.fold_targets,
        )


class Tuning(Section):
    """How hyperparameters are searched."""

    name: str = Field(description="name, as in conf/tuning/<name>.yaml")
    n_trials: int = Field(
        ge=0, description="finished trials per model (pruned ones count); 0 keeps the configured values"
    )
    n_startup_trials: int = Field(ge=1, description="random trials before TPE sets in")
    pruner: Literal["halving", "none"] = Field(
        description="halving: at each rung (some epochs of the first fold, and each fold's end) the best trials go on, "
        "by the backtest's metric on the folds up to there; none: every trial is completed"
    )
    workers: int = Field(
        ge=1,
        le=64,
        description="who search a model at once, sharing its study; with more than one the draws hang on time",
    )
    keep: float = Field(gt=0, le=1, description="halving: share of the trials that reached a rung which goes on")
    warmup_epochs: int = Field(ge=1, description="halving: epochs of the first rung; the next ones at double that, ...")
    seeds: int = Field(
        ge=1, le=50, description="networks fitted with the best parameters; their forecasts are averaged"
    )


class Config(Section):
    """The whole configuration of a run."""

    seed: int = Field(ge=0, description="seed of everything random")
    dataset: Dataset = Field(description="the data")
    model: dict[str, Model] = Field(min_length=1, description="name -> model")
    backtest: Backtest = Field(description="origins and judgement")
    tuning: Tuning = Field(description="hyperparameter search")
    trainer: Trainer = Field(description="training loop")
    promotion: Promotion = Field(description="the gate")
    alert: Alert = Field(description="probabilities of exceptionally low days (`daycast alerts`)")
    monitoring: Monitoring = Field(description="how forecasts are judged once their days have come")
    runner: Runner = Field(description="where tasks run")

    @model_validator(mode="after")
    def _sections_fit_together(self, info: ValidationInfo) -> Config:
        if not (info.context or {}).get("together", True):
            return self
        faults: list[str] = []
        series = tuple(self.dataset.read.series or ())
        suiting = []
        for name, model in self.model.items():
            before = len(faults)
            faults += self._misfits(name, model)
            suiting += [name] if len(faults) == before else []
            if isinstance(model, Blend) and (misfit := model.misfit(self.model)):
                faults.append(f"model.{name}.members: {misfit}")
            faults += self._network_faults(name, model) if isinstance(model, Recurrent) else []
        if 0 < len(suiting) < len(self.model):
            faults.append(f"model: of those chosen, these suit the dataset: model=[{','.join(suiting)}]")
        if self.backtest.series and series:
            faults += [f"backtest.series: `{s}` is not among {series}" for s in self.backtest.series if s not in series]
        if not any(m.baseline for m in self.model.values()):
            faults.append("model: name at least one naive baseline, as nothing is promoted without beating one")
        if faults:
            raise ValueError("\n".join(dict.fromkeys(faults)))
        return self

    def suiting(self) -> tuple[str, ...]:
        """Names of the models that suit the dataset."""
        return tuple(name for name, model in self.model.items() if not self._misfits(name, model))

    def _network_faults(self, name: str, model: Recurrent) -> list[str]:
        """Where a network does not suit the backtest and the training loop."""
        judged, faults = self.backtest, []
        if self.trainer.validation_steps <= model.steps(judged.horizon):
            whose = "backtest.horizon for" if model.horizon is None else "the horizon of"
            faults.append(f"trainer.validation_steps: must exceed {whose} model.{name}")
        missing = model.unlearned(judged.intervals.levels) if judged.intervals.source == "head" else []
        if missing and model.distributional(judged.horizon):
            faults.append(
                f"model.{name}.quantiles: expected all of backtest.intervals.levels, without {missing}: add them, or "
                "take bands around the point forecast with backtest.intervals.source=point"
            )
        return faults

    def _misfits(self, name: str, model: Family) -> list[str]:
        """What a model, or anything that its search may try, asks of the dataset in vain."""
        spec, faults = self.dataset.spec(), []
        known = spec.known
        waves = fourier_names(self.dataset.calendar.fourier)
        tried = [model]
        if isinstance(model, Searchable):
            faults += [f"model.{name}.{fault}" for fault in model.value_faults(self.tuning.n_trials)]
            tried += [] if faults else model.alternatives(self.tuning.n_trials)
        for one in tried:
            faults += [
                f"model.{name}: column `{c}` is neither in dataset.covariates.known {sorted(known)} "
                f"nor one of its {len(waves)} Fourier terms"
                for c in getattr(one, "known", None) or ()
                if c not in known and c not in waves
            ]
            categories = [*one.columns] if isinstance(one, DayTypeNaive) else []
            if (profile := getattr(one, "profile", None)) is not None:
                categories += profile.by
            faults += [
                f"model.{name}: `{c}` is no categorical column of dataset.covariates.known"
                for c in categories
                if known.get(c) is None
            ]
            faults += [
                f"model.{name}: profile.by: `{c}` is not known ahead, so no class of days can be told by it"
                for c in getattr(profile, "by", ())
                if c in spec.held
            ]
            if isinstance(one, Sarima) and one.misfit(self.dataset.season_length):
                faults.append(f"model.{name}: expected {one.misfit(self.dataset.season_length)}")
        return faults
