"""How good probabilities of an event are, beside its base rate; scores by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from daycast.errors import HistoryError

SCORES = ("brier", "skill", "average_precision", "log_loss", "accuracy", "precision", "recall")
"""See ``score``."""


def score(rows: pd.DataFrame, threshold: float, by: Sequence[str] = ("unique_id",)) -> pd.DataFrame:
    """Scores of each model at identical rows: those that are known, and for which every model has a probability.

    Args:
        rows: ``unique_id, cutoff, ds, step, model, probability, low``; low is 1, 0 or NaN where unknown. One of the
            models is ``base_rate``.
        threshold: probability from which on an alert is raised.
        by: columns of which each combination is scored by itself.

    Returns:
        A row per combination and model: the columns of ``by``, ``model``, ``n`` (rows), ``share`` (of low ones, in the
        rows), and ``SCORES``. ``brier``: mean squared error of the probability, lower is better. ``skill``: the part of
        the base rate's Brier score that is saved, 0 for the base rate, negative for worse. ``average_precision``: its
        bar is ``share``, which any constant reaches. ``log_loss``: mean cross-entropy, nats. ``accuracy``,
        ``precision`` (of alerts, the right ones) and ``recall`` (of low days, those with an alert): of alerts at the
        threshold. NaN where there is nothing to divide by.

    Raises:
        HistoryError: no row is known.
    """
    at = [*dict.fromkeys([*by, "unique_id", "cutoff", "step"])]
    whole = rows.dropna(subset=["low", "probability"])
    complete = whole.groupby(at)["model"].transform("nunique") == rows["model"].nunique()
    known = whole[complete]
    if known.empty:
        raise HistoryError(
            "observed days in the test window whose usual level is known",
            "none",
            "move the backtest's window to observed dates, or set backtest.series to series that are observed there",
        )
    lines = []
    for group, part in known.groupby(list(by), sort=True):
        told = dict(zip(by, group, strict=True))
        lines += [{**told, "model": m, **_scores(own, threshold)} for m, own in part.groupby("model", sort=False)]
    found = pd.DataFrame(lines)
    base = found[found["model"] == "base_rate"].set_index(list(by))["brier"]
    bar = base.reindex(pd.MultiIndex.from_frame(found[list(by)]) if len(by) > 1 else found[by[0]]).to_numpy()
    found["skill"] = np.where(bar > 0, 1 - found["brier"] / np.where(bar > 0, bar, 1.0), np.nan)
    return found[[*by, "model", "n", "share", *SCORES]]


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
