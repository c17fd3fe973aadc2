"""Probabilities of an event as pictures: whether they can be taken at their word, and what alerts they make."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from daycast.adapters.report.style import COLORS, GREY, MOST_SERIES, figure

BINS = 10  # of the probability, equally wide


def reliability(rows: pd.DataFrame, title: str, file: Path) -> Path:
    """How often the event came, by the probability that was told; a panel per series. On the diagonal is right.

    Args:
        rows: ``unique_id, model, probability, low``, the last 1 or 0.
    """
    from sklearn.calibration import calibration_curve

    ids = sorted(rows["unique_id"].unique())[:MOST_SERIES]
    with figure(file, title, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            ax.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="right")
            for (model, own), color in zip(_models(rows, name), COLORS, strict=False):
                came, told = calibration_curve(own["low"], own["probability"].clip(0, 1), n_bins=BINS)
                ax.plot(told, came, "o-", color=color, markersize=4, linewidth=1.2, label=model)
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel("share of low days")
            ax.set_xlim(-0.02, 1.02)
            ax.set_ylim(-0.05, 1.05)
        axes[-1].set_xlabel("probability told, mean of each tenth")
    return file


def precision_recall(rows: pd.DataFrame, title: str, file: Path) -> Path:
    """Share of alerts that are right by share of low days that get one, over all thresholds; a panel per series.

    The base rate is a line: any alerts made without knowledge are right so often. A series without a low day has no
    curve. Arguments as of ``reliability``.
    """
    from sklearn.metrics import precision_recall_curve

    ids = sorted(rows["unique_id"].unique())[:MOST_SERIES]
    with figure(file, title, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            for (model, own), color in zip(_models(rows, name), COLORS, strict=False):
                if model == "base_rate":
                    ax.axhline(own["low"].mean(), color=color, linestyle="--", linewidth=1, label="share of low days")
                elif own["low"].any():
                    precision, recall, _ = precision_recall_curve(own["low"], own["probability"])
                    ax.step(recall, precision, where="post", color=color, linewidth=1.4, label=model)
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel("precision")
            ax.set_xlim(-0.02, 1.02)
            ax.set_ylim(-0.05, 1.05)
        axes[-1].set_xlabel("recall")
    return file


def _models(rows: pd.DataFrame, name: str) -> list[tuple[str, pd.DataFrame]]:
    return [(str(model), own) for model, own in rows[rows["unique_id"] == name].groupby("model", sort=True)]
