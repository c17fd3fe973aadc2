"""Logs probabilities of low days as an MLflow run of their own, apart from the runs that have a leaderboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from daycast.adapters import report, tracking, versioning
from daycast.config import Config, config_hash
from daycast.core import content
from daycast.core.lineage import Lineage
from daycast.core.probabilities import SCORES
from daycast.models.alerts import MODELS
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.record import FEW, tracker
from daycast.steps.reference import DataRef

UNUSED = ("runner", "model", "tuning", "promotion")  # sections that probabilities of low days don't hang on
ALL = "all"  # in the place of a series: every one


@dataclass(frozen=True)
class Found:
    """What is logged.

    Attributes:
        rows: the test fold's probabilities, of ``core.probabilities.comparable``.
        scores: of ``core.probabilities.score``, by series and over all of them (``ALL``).
        steps: the same by step ahead.
        coming: probabilities of the coming days.
        fitting: ``curves`` and ``facts`` of the network's fit.
    """

    rows: pd.DataFrame
    scores: pd.DataFrame
    steps: pd.DataFrame
    coming: pd.DataFrame
    fitting: Mapping[str, Any]


def record_alerts(settings: Settings, config: Config, data: DataRef, found: Found) -> str:
    """Log it; the id of the run. Of the same data, code and configuration it is the same run."""
    where, alert = tracker(settings), config.alert
    hashed = config_hash(config, without=UNUSED)
    key = content.key("alert run", [keys.alerts(config, data, name) for name in MODELS], hashed)
    tags = {"daycast.dataset": data.dataset, "daycast.backtest": config.backtest.name, "daycast.alert": alert.name}
    tags |= Lineage(data.version, versioning.commit(settings.root), hashed, "").tags()
    del tags["daycast.run_id"]  # set when the run is opened
    params = {"backtest": config.backtest.name, "horizon": config.backtest.horizon, "seed": config.seed}
    params |= alert.model_dump(mode="json", include={"name", "low", "model", "threshold", "seeds"})
    name = f"alerts-{alert.name}-{config.backtest.name}-{data.version[:6]}-{hashed[:4]}"
    run_id = tracking.open_run(where, data.dataset, key, name, tags, params)
    results = tracking.Results(
        params={f"network.{fact}": value for fact, value in found.fitting["facts"].items()},
        metrics=_metrics(found.scores),
        curves=found.fitting["curves"],
        by_step=_by_step(found.steps),
        artifacts={
            "config.yaml": yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
            "data_pointers.json": json.dumps(data.pointers, indent=1),
            **_pictures(config, found, settings.cache("record", key)),
        },
        tables={"scores": found.scores, "scores_by_step": found.steps, "coming": found.coming},
    )
    tracking.record(where, run_id, results)
    tracking.use_data(where, [run_id], data.dataset, data.version, versioning.materialise(settings.root, data.version))
    tracking.close_run(where, run_id)
    return run_id


def _metrics(scores: pd.DataFrame) -> dict[str, float]:
    """``<model>.<series>.<score>``; of many series, only what all of them come to."""
    many = scores["unique_id"].nunique() > FEW + 1
    shown = scores[scores["unique_id"] == ALL] if many else scores
    return {
        f"{line['model']}.{line['unique_id']}.{score}": line[score]
        for line in shown.to_dict("records")
        for score in ("share", *SCORES)
    }


def _by_step(steps: pd.DataFrame) -> dict[str, dict[int, float]]:
    if steps["step"].nunique() < 2:
        return {}
    return {
        f"{model}.{score}": dict(zip(own["step"], own[score], strict=True))
        for model, own in steps.groupby("model")
        for score in ("brier", "skill", "average_precision")
    }


def _pictures(config: Config, found: Found, folder: Path) -> dict[str, Path | str]:
    title = f"{config.dataset.name}, backtest {config.backtest.name}: days that lack {config.alert.low.drop:.0%}"
    files = [
        report.reliability(found.rows, title, folder / "reliability.png"),
        report.precision_recall(found.rows, title, folder / "precision_recall.png"),
        report.curves(found.fitting["curves"], f"{title}; network", folder / "training_curves.png"),
    ]
    return {f"plots/{file.name}": file for file in files}
