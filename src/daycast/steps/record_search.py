"""What a search leaves for MLflow: its pictures, a table of all trials, and the share of the work that pruning left."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pandas as pd

from daycast.adapters import report
from daycast.config import Config, Recurrent
from daycast.settings import Settings
from daycast.steps import tune
from daycast.steps.reference import TunedRef


def pictures(settings: Settings, config: Config, tuned: TunedRef, folder: Path) -> list[Path]:
    """Value by trial, value by steps done, and the parameters' importances where they can be told."""
    found = [report.Tried(t.number, t.state, t.value, t.curve) for t in tune.trials(settings, tuned)]
    title, metric = f"{tuned.model}: search", config.backtest.metric
    unit = "epochs" if isinstance(config.model[tuned.model], Recurrent) else "folds"
    files = [
        report.tuning_history(found, metric, title, folder / "tuning_history.png"),
        report.tuning_curves(found, metric, unit, title, folder / "tuning_curves.png"),
    ]
    shares = json.loads((settings.cache("tune", tuned.key) / tune.IMPORTANCES).read_text())
    return [*files, report.importances(shares, title, folder / "tuning_importance.png")] if shares else files


def table(settings: Settings, tuned: TunedRef) -> pd.DataFrame:
    """A row per trial: ``trial`` (from 0), ``state``, ``value``, ``work`` (share of a whole trial), ``reason``, and its
    parameters, a variant by its name."""
    found = tune.trials(settings, tuned)
    told = [{"trial": t.number, "state": t.state, "value": t.value, "work": t.share, "reason": t.reason} for t in found]
    drawn = pd.DataFrame([{name: str(value) for name, value in t.parameters.items()} for t in found])
    return pd.concat([pd.DataFrame(told), drawn.add_prefix("search.")], axis=1)


def work(settings: Settings, tuned: TunedRef) -> float:
    """Share of the work of the search without pruning that was done, in epochs (of families without them, folds)."""
    return statistics.fmean(t.share for t in tune.trials(settings, tuned) if t.state != "failed")
