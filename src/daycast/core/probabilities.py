"""How good probabilities of an event are, beside its base rate; scores by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from daycast.errors import HistoryError

SCORES = ("brier", "skill", "average_precision", "log_loss", "accuracy", "precision", "recall")
"""See ``score``."""


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows to score: those of days that are known, and of which every model tells a probability.

    Args:
        rows: ``unique_id, cutoff, step, model, probability, low``; low is 1, 0 or NaN where unknown.

    Raises:
        HistoryError: there is none.
    """
    told = rows.dropna(subset=["low", "probability"])
    everyone = told.groupby(["unique_id", "cutoff", "step"])["model"].transform("nunique") == rows["model"].nunique()
    if not everyone.any():
        raise HistoryError(
            "observed days in the test window whose usual level is known",
            "none",
            "move the backtest's window to observed dates, or set backtest.series to series that are observed there",
        )
    return told[everyone].reset_index(drop=True)


def score(rows: pd.DataFrame, threshold: float, by: Sequence[str] = ("unique_id",)) -> pd.DataFrame:
    """Scores of each model.

    Args:
        rows: of ``comparable``; one of the models is ``base_rate``.
        threshold: probability from which on an alert is raised.
        by: columns of which each combination is scored by itself.

    Returns:
        A row per combination and model: the columns of ``by``, ``model``, ``n`` (rows), ``share`` (of low ones, in the
        rows), and ``SCORES``. ``brier``: mean squared error of the probability, lower is better. ``skill``: the part of
        the base rate's Brier score that is saved, 0 for the base rate, negative for worse. ``average_precision``: its
        bar is ``share``, which any constant reaches. ``log_loss``: mean cross-entropy, nats. ``accuracy``,
        ``precision`` (of alerts, the right ones) and ``recall`` (of low days, those with an alert): of alerts at the
        threshold. NaN where there is nothing to divide by.
    """
    lines: list[dict[str, Any]] = []
    for group, part in rows.groupby(list(by), sort=True):
        found = {model: _scores(own, threshold) for model, own in part.groupby("model", sort=False)}
        bar = found["base_rate"]["brier"]
        for model, values in found.items():
            skill = 1 - values["brier"] / bar if bar > 0 else np.nan
            lines.append({**dict(zip(by, group, strict=True)), "model": model, **values, "skill": skill})
    return pd.DataFrame(lines)[[*by, "model", "n", "share", *SCORES]]


def _scores(rows: pd.DataFrame, threshold: float) -> dict[str, Any]:
    from sklearn import metrics

    low, told = rows["low"].to_numpy(dtype=np.int64), rows["probability"].to_numpy()
    raised = told >= threshold
    return {
        "n": len(rows),
        "share": float(low.mean()),
        "brier": float(metrics.brier_score_loss(low, told)),
        "average_precision": float(metrics.average_precision_score(low, told)) if low.any() else np.nan,
        "log_loss": float(metrics.log_loss(low, told, labels=[0, 1])),
        "accuracy": float(metrics.accuracy_score(low, raised)),
        "precision": float(metrics.precision_score(low, raised, zero_division=np.nan)),
        "recall": float(metrics.recall_score(low, raised, zero_division=np.nan)),
    }
