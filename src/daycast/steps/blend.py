"""A blend's two steps, in place of the search and the fit that other models have: its weights, and its members joined.

Members are models of the same run. Weights come of their forecasts of the validation folds, so nothing that the test
is about has a say in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from daycast import models
from daycast.adapters.search import TrialRecord
from daycast.config import Blend, Config
from daycast.core import blending
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps import judge, keys, tune
from daycast.steps.data import table
from daycast.steps.fit import MODEL, REPORT
from daycast.steps.forecaster import context
from daycast.steps.reference import DataRef, FittedRef, FoldsRef, TunedRef

WEIGHTS = "weights.json"  # member -> weight of each horizon step
ROW = ["unique_id", "cutoff", "ds", "step"]


def members(config: Config, name: str) -> tuple[str, ...]:
    """Models that ``name`` is made of; none unless it is a blend."""
    model = config.model[name]
    return model.members if isinstance(model, Blend) else ()


def last(config: Config) -> list[str]:
    """The models of a run, blends after all that they are made of."""
    return sorted(config.model, key=lambda name: bool(members(config, name)))


def weigh(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, name: str, tuned: Sequence[TunedRef]
) -> TunedRef:
    """Find the weights on the members' rows of the validation folds.

    Leaves what a search leaves, and ``weights.json``. The rows that it leaves, by which the blend is judged and its
    intervals are calibrated, are mixed fold by fold with weights from the other folds, if there are others: weights
    look too good on the rows that they were found on.

    Args:
        tuned: of the members, in their order.

    Raises:
        DataError: members have no row in common.
        ModelError: the metric has no value on a fold.
    """
    whole = table(settings, config, data)
    rows = _side_by_side([tune.calibration(settings, member) for member in tuned])
    scale, fold_of = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.intp)
    for k, fold in enumerate(folds.validation):
        own = rows["cutoff"].isin(fold.fold().cutoffs).to_numpy()
        fold_of[own] = k
        scale[own] = (
            judge.scored(config, rows[own])["unique_id"].map(judge.scales(config, whole, fold)).reindex(rows.index[own])
        )
    given = (rows[[*range(len(tuned))]].to_numpy().T, rows["y"].to_numpy(), scale, rows["step"].to_numpy())
    horizon = config.backtest.horizon
    mixed = rows[[*ROW, "y"]].assign(y_hat=blending.cross_fitted(*given, horizon, fold_of))
    values = [judge.value(config, whole, fold, mixed[fold_of == k]) for k, fold in enumerate(folds.validation)]
    found = blending.by_step(*given, horizon)
    weights = {member.model: list(map(float, own)) for member, own in zip(tuned, found, strict=True)}
    mean = {f"weight.{member}": round(float(np.mean(own)), 4) for member, own in weights.items()}
    key = keys.tune(config, data, name)
    made = TunedRef(
        model=name, key=key, study=None, trial=0, parameters=mean, value=float(np.mean(values)), n_trials=1, n_pruned=0
    )

    def make(into: Path) -> None:
        mixed[[*ROW, "y_hat", "y"]].to_parquet(into / tune.CHOSEN)
        (into / WEIGHTS).write_text(json.dumps(weights, indent=1))
        (into / tune.IMPORTANCES).write_text("{}")
        (into / tune.TRIALS).write_text(json.dumps([asdict(TrialRecord(0, "complete", mean, made.value))], indent=1))

    kept(settings.cache("tune", key), make)
    return made


def join(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, tuned: TunedRef, fitted: Sequence[FittedRef]
) -> FittedRef:
    """One model of the fitted members with the blend's weights; leaves what a fit leaves.

    Args:
        tuned: of the blend.
        fitted: of the members, in their order.
    """
    weights = json.loads((settings.cache("tune", tuned.key) / WEIGHTS).read_text())

    def make(into: Path) -> None:
        forecaster = models.build(config.model[tuned.model], context(config, config.seed))
        parts = [models.load(settings.cache("fit", member.key) / MODEL) for member in fitted]
        report = forecaster.join(parts, np.asarray([weights[member.model] for member in fitted]))
        models.save(forecaster, into / MODEL)
        (into / REPORT).write_text(json.dumps({"curves": {}, "facts": dict(report.facts)}, indent=1))

    key = keys.fit(config, data, tuned.model)
    kept(settings.cache("fit", key), make)
    return FittedRef(model=tuned.model, key=key, fit_cutoff=folds.test.fit_cutoff)


def _side_by_side(rows: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """``unique_id, cutoff, ds, step, y`` and each member's forecast under its number."""
    first = rows[0][[*ROW, "y"]]
    for m, own in enumerate(rows):
        first = first.merge(own[[*ROW, "y_hat"]].rename(columns={"y_hat": m}), on=ROW, how="left", validate="1:1")
    return first
