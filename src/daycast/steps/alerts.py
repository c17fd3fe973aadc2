"""Probabilities of exceptionally low days: fitted, scored on the backtest's test fold, and told of the coming days.

They are no forecasts of y, so they stand on no leaderboard and pass no gate; their bars are the base rate and a
logistic regression, in one table with the network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from daycast.config import Config
from daycast.core import lows, probabilities
from daycast.core import split as folds
from daycast.core.forecast import Origin
from daycast.core.frame import Table
from daycast.core.split import Fold
from daycast.errors import ConfigError, HistoryError
from daycast.folders import kept
from daycast.models import alerts as models
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.data import in_force, table
from daycast.steps.forecaster import context
from daycast.steps.progress import emit
from daycast.steps.record_alerts import ALL, Found, record_alerts
from daycast.steps.reference import DataRef
from daycast.steps.split import split

TESTED, COMING, REPORT = "tested.parquet", "coming.parquet", "report.json"


@dataclass(frozen=True)
class Alerts:
    """What came of it.

    Attributes:
        run_id: of the MLflow run.
        cutoff: last timestamp observed, from which the coming days are told.
        model, threshold: whose probability raises an alert from where on.
        scores: of ``core.probabilities.score``, a row per series and model, and per model over all series.
        coming: ``unique_id, ds, step, probability, alert, below``: the coming days, and the values in raw units below
            which they would be low.
    """

    run_id: str
    cutoff: pd.Timestamp
    model: str
    threshold: float
    scores: pd.DataFrame
    coming: pd.DataFrame


def alerts(settings: Settings, config: Config) -> Alerts:
    """Fit the models on the test fold's history, score them on its origins, and look ahead from the newest data.

    Raises:
        ConfigError: the alert's section does not suit the dataset.
        DataError: the dataset has no prepared data yet.
        HistoryError: there is no low day to learn from, or none in the test fold is known.
    """
    misfits = config.alert.misfits(config.dataset, config.backtest.horizon, config.trainer.validation_steps)
    if misfits:
        found = "".join(f"\n  {misfit}" for misfit in misfits)
        raise ConfigError(f"an alert that suits the dataset {config.dataset.name}", found, "change conf/alert/")
    data = in_force(settings, config.dataset.name)
    whole, fold = table(settings, config, data), split(settings, config, data).test.fold()
    _check_lows(config, whole, fold)
    places = {name: _probabilities(settings, config, data, (whole, fold), name) for name in models.MODELS}
    rows = _chosen(config, _read(places, TESTED))
    known = probabilities.comparable(rows)
    threshold = config.alert.threshold
    scores = probabilities.score(known, threshold)
    if scores["unique_id"].nunique() > 1:
        everyone = probabilities.score(known.assign(unique_id=ALL), threshold)
        scores = pd.concat([scores, everyone], ignore_index=True)
    coming = _chosen(config, _read(places, COMING))
    coming = coming[(coming["model"] == config.alert.model) & coming["probability"].notna()].drop(columns="model")
    coming.insert(4, "alert", coming["probability"] >= threshold)
    steps = probabilities.score(known, threshold, ("step",))
    report = json.loads((places["network"] / REPORT).read_text())
    run_id = record_alerts(settings, config, data, Found(known, scores, steps, coming, report))
    told = (config.alert.model, threshold)
    return Alerts(run_id, whole.panel.cutoff, *told, scores, coming.reset_index(drop=True))


def _check_lows(config: Config, whole: Table, fold: Fold) -> None:
    history = folds.history(whole, fold)
    rates = models.rates(history, config.alert.low.rule(), fold.horizon)
    if not (rates > 0).any():
        raise HistoryError(
            f"days up to {fold.fit_cutoff.date()} that lack {config.alert.low.drop:.0%} of their usual level, to learn "
            "from",
            f"none in {len(history.ds)} timestamps of {len(history.ids)} series",
            "lower alert.low.drop, or bring more history",
        )


def _probabilities(settings: Settings, config: Config, data: DataRef, on: tuple[Table, Fold], name: str) -> Path:
    """The folder of one model's probabilities, made unless it is there.

    It holds ``tested.parquet`` (``unique_id, cutoff, ds, step, probability, low``), ``coming.parquet`` (the same with
    ``below``, without ``cutoff`` and ``low``) and the fit's ``report.json``.
    """
    whole, fold = on
    panel, rule = whole.panel, config.alert.low.rule()

    def on_epoch(epoch: int, epochs: int, values: object) -> None:  # noqa: ARG001 - the protocol's third argument
        emit("alerts", name, epoch, epochs, f"epoch {epoch} of {epochs}")

    def make(into: Path) -> None:
        emit("alerts", name, 0, 0, "running")
        model = models.build(name, config.alert, context(config, config.seed))
        report = model.fit(folds.history(whole, fold), None, on_epoch)
        origins = folds.origins(whole, fold.cutoffs, fold.horizon)
        at = np.array([panel.position(cutoff) for cutoff in fold.cutoffs])
        low = lows.known(panel, None, rule).ahead(at, fold.horizon)
        _rows(origins, probability=model.predict(origins), low=low).to_parquet(into / TESTED)
        newest = folds.origins(whole, panel.ds[-1:], fold.horizon)
        ahead = np.arange(len(panel.ds), len(panel.ds) + fold.horizon)
        below = lows.known(panel, newest[0].future, rule).below(np.full(fold.horizon, len(panel.ds) - 1), ahead)
        told = _rows(newest, probability=model.predict(newest), below=below[None])
        told.drop(columns="cutoff").to_parquet(into / COMING)
        facts = {"curves": {k: list(v) for k, v in report.curves.items()}, "facts": dict(report.facts)}
        (into / REPORT).write_text(json.dumps(facts, indent=1))

    folder = settings.cache("alerts", keys.alerts(config, data, name))
    kept(folder, make)
    emit("alerts", name, 1, 1, "done")
    return folder


def _rows(origins: list[Origin], **values: np.ndarray) -> pd.DataFrame:
    """Arrays ``(O, N, H)`` as columns beside ``unique_id, cutoff, ds, step``."""
    ids, cutoffs = origins[0].history.ids, pd.DatetimeIndex([o.cutoff for o in origins])
    ds = np.stack([o.future.ds.to_numpy() for o in origins])
    o, n, h = (index.ravel() for index in np.indices(next(iter(values.values())).shape))
    told = {"unique_id": np.array(ids, dtype=object)[n], "cutoff": cutoffs[o], "ds": ds[o, h], "step": h + 1}
    return pd.DataFrame({**told, **{name: array.ravel() for name, array in values.items()}})


def _read(places: dict[str, Path], file: str) -> pd.DataFrame:
    parts = [pd.read_parquet(folder / file).assign(model=name) for name, folder in places.items()]
    return pd.concat(parts, ignore_index=True)


def _chosen(config: Config, rows: pd.DataFrame) -> pd.DataFrame:
    chosen = config.backtest.series
    return rows if chosen is None else rows[rows["unique_id"].isin(chosen)]
