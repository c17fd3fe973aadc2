"""Forecasts as pictures: of the past against what came, and of what is to come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from daycast.adapters.report.style import BLUE, GREY, MOST_SERIES, ORANGE, band, figure, thousands

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forecast_against_actual(rows: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """The backtest's forecasts and what came, a panel per series (the first few by name).

    Where there is an origin at nearly every timestamp: the forecasts at the first and at the last horizon step. Else
    whole forecasts, one after the other, as far as they don't overlap.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat, y`` and maybe ``q0.1, q0.9``, raw units.
    """
    ids = sorted(rows["unique_id"].unique())[:MOST_SERIES]
    with figure(file, title, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            own = rows[rows["unique_id"] == name].sort_values("ds")
            actual = own.drop_duplicates("ds")
            ax.plot(actual["ds"], actual["y"], color=GREY, linewidth=1.6, label="actual")
            if own["cutoff"].nunique() > len(actual) / 2:
                _by_step(ax, own)
            else:
                _by_origin(ax, own)
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel(unit)
            thousands(ax.yaxis)
    return file


def _by_step(ax: Axes, rows: pd.DataFrame) -> None:
    for step, color in zip(sorted({rows["step"].min(), rows["step"].max()}), (BLUE, ORANGE), strict=False):
        at = rows[rows["step"] == step]
        ax.plot(at["ds"], at["y_hat"], color=color, linewidth=1.1, label=f"{step} ahead")
        if color == BLUE:
            band(ax, at, "80 % band")


def _by_origin(ax: Axes, rows: pd.DataFrame) -> None:
    shown, end = f"forecast, 1 to {rows['step'].max()} ahead", None
    for _, path in rows.groupby("cutoff"):
        if end is not None and path["ds"].min() <= end:
            continue
        first, end = end is None, path["ds"].max()
        ax.plot(path["ds"], path["y_hat"], color=BLUE, linewidth=1.1, label=shown if first else None)
        band(ax, path, "80 % band" if first else None)


def next_horizon(history: pd.DataFrame, forecast: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """The newest history and the forecast after it with its band, a panel per series (the first few by name).

    Args:
        history: ``unique_id, ds, y``, the rows to show.
        forecast: ``unique_id, ds, y_hat`` and maybe ``q0.1, q0.9``.
    """
    ids = sorted(forecast["unique_id"].unique())[:MOST_SERIES]
    with figure(file, title, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            past, ahead = (f[f["unique_id"] == name].sort_values("ds") for f in (history, forecast))
            ax.plot(past["ds"], past["y"], color=GREY, linewidth=1.4, label="observed")
            ax.plot(ahead["ds"], ahead["y_hat"], color=BLUE, linewidth=1.8, label="forecast")
            band(ax, ahead, "80 % band")
            ax.axvline(history["ds"].max(), color=GREY, linewidth=0.8, linestyle=":", label="cutoff")
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel(unit)
            thousands(ax.yaxis)
    return file
