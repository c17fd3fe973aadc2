"""Scores as pictures: the leaderboard, how intervals cover, and what residuals still hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from daycast.adapters.report.style import (
    BLUE,
    COLORS,
    GREY,
    MOST_SERIES,
    ORANGE,
    bars_grid,
    figure,
    thousands,
    whole_numbers,
)
from daycast.core.diagnostics import autocorrelation


def leaderboard(board: pd.DataFrame, metric: str, winner: str, title: str, file: Path) -> Path:
    """A bar per model, best on top, the winner in colour."""
    with figure(file, title, height=1.1 + 0.45 * len(board)) as (ax,):
        ranked = board.sort_values(metric, ascending=False)
        colors = [BLUE if name == winner else GREY for name in ranked["model"]]
        bars = ax.barh(ranked["model"], ranked[metric], color=colors)
        ax.bar_label(bars, fmt=lambda v: f" {v:,.0f}" if v >= 1000 else f" {v:.3f}", fontsize=9)
        bars_grid(ax)
        if ranked[metric].max() >= 1000:
            thousands(ax.xaxis)
        ax.set_xlabel(f"{metric}, lower is better")
        ax.margins(x=0.12)
    return file


def coverage(scores: pd.DataFrame, title: str, file: Path) -> Path:
    """Share of what came that lay inside each interval, by horizon step: observed solid, nominal dashed.

    Args:
        scores: ``step`` and ``coverage_80`` …, shares, one row a step.
    """
    inside = scores.filter(regex=r"^coverage_")
    with figure(file, title) as (ax,):
        for name, color in zip(inside, COLORS, strict=False):
            percent = str(name).removeprefix("coverage_")
            ax.plot(scores["step"], inside[name], "o-", color=color, markersize=4, label=f"in {percent} %")
            ax.axhline(float(percent) / 100, color=color, linestyle="--", linewidth=1, label=f"nominal {percent} %")
        lowest = float(np.nanmin([0.75, *inside.to_numpy().ravel()]))
        ax.set_ylim(max(0.0, lowest - 0.05), 1.02)
        ax.set_xlim(scores["step"].min() - 0.5, scores["step"].max() + 0.5)
        whole_numbers(ax.xaxis)
        ax.set_xlabel("steps ahead")
        ax.set_ylabel("share of actuals inside")
    return file


def residual_autocorrelation(rows: pd.DataFrame, title: str, file: Path, lags: int = 28) -> Path:
    """Autocorrelation of the first step's residuals, a panel per series, with the band of white noise (95 %)."""
    first = rows[rows["step"] == rows["step"].min()]
    ids = sorted(first["unique_id"].unique())[:MOST_SERIES]
    with figure(file, title, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            own = first[first["unique_id"] == name].sort_values("ds")
            residuals = (own["y"] - own["y_hat"]).dropna().to_numpy()
            values = autocorrelation(residuals, min(lags, max(len(residuals) - 2, 1)))[1:]  # lag 0 is 1 by definition
            limit = 1.96 / np.sqrt(max(len(residuals), 1))
            ax.axhspan(-limit, limit, color=BLUE, alpha=0.1, linewidth=0, label="95 % of white noise")
            ax.vlines(np.arange(1, len(values) + 1), 0, values, color=BLUE, linewidth=2)
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel("autocorrelation")
            ax.set_ylim(-1.05, 1.05)
            whole_numbers(ax.xaxis)
        axes[-1].set_xlabel("lag, origins")
    return file


def reproduction(lines: pd.DataFrame, title: str, file: Path) -> Path:
    """Published, measured before, ours as published (from the lowest to the highest seed) and ours tuned.

    They are shown as shares of the published figure, or else of that measured before, or else of ours; ``lines`` are
    those of ``core.reproduce.Line``.
    """
    shown = {
        "published": ("published", GREY, "|"),
        "measured": ("measured before", GREY, "D"),
        "mean": ("ours as published", BLUE, "o"),
        "tuned": ("ours tuned", ORANGE, "x"),
    }
    with figure(file, title, height=1.6 + 0.3 * len(lines)) as (ax,):
        unit = lines[list(shown)].bfill(axis=1).iloc[:, 0]
        at = np.arange(len(lines))[::-1]
        for name, (label, color, marker) in shown.items():
            if lines[name].notna().any():
                ax.plot(lines[name] / unit, at, marker=marker, linestyle="none", color=color, label=label)
        ax.hlines(at, lines["low"] / unit, lines["high"] / unit, color=BLUE, linewidth=2, alpha=0.5)
        ax.set_yticks(at, lines["row"] + ", " + lines["figure"], fontsize=8)
        bars_grid(ax)
        ax.set_xlabel("error as a share of the published one, else of that measured before, else of ours")
    return file
