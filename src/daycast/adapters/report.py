"""Pictures of results, as PNG files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from daycast.core.diagnostics import autocorrelation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLUE, ORANGE, GREY = "#1f5fa8", "#d9701a", "#8a8f98"
COLORS = (ORANGE, BLUE, "#3a8f5c", "#8a5fa8", "#b8445a", "#5c6b2f")  # members of an ensemble
TITLE = 110  # characters of a line
MOST_SERIES = 4  # panels in one figure; more can't be read


@contextmanager
def _figure(file: Path, title: str, rows: int = 1, height: float = 4.2) -> Iterator[list[Axes]]:
    """Axes of a figure without any global state (fits run in threads), written to ``file`` at the end.

    Title and legend, that of the first axes, stand above all axes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height if rows == 1 else 2.6 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, 1, squeeze=False)[:, 0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#e4e6ea", linewidth=0.8)
        ax.set_axisbelow(True)
    yield axes
    # As the title of the legend, also of an empty one: the layout would let a title of the figure overlap it.
    lines, labels = axes[0].get_legend_handles_labels()
    shown = {"title": textwrap.fill(title, TITLE), "title_fontsize": 11, "alignment": "left", "frameon": False}
    figure.legend(lines, labels, loc="outside upper left", ncols=4, **shown)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _thousands(axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))


def _whole_numbers(axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def _bars_grid(ax: Axes) -> None:
    ax.grid(visible=False, axis="y")
    ax.grid(axis="x", color="#e4e6ea", linewidth=0.8)


def _band(ax: Axes, rows: pd.DataFrame, label: str | None) -> None:
    if "q0.1" in rows:
        ax.fill_between(rows["ds"], rows["q0.1"], rows["q0.9"], color=BLUE, alpha=0.18, linewidth=0, label=label)


def forecast_against_actual(rows: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """The backtest's forecasts and what came, a panel per series (the first few by name).

    Where there is an origin at nearly every timestamp: the forecasts at the first and at the last horizon step. Else
    whole forecasts, one after the other, as far as they don't overlap.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat, y`` and maybe ``q0.1, q0.9``, raw units.
    """
    ids = sorted(rows["unique_id"].unique())[:MOST_SERIES]
    with _figure(file, title, len(ids)) as axes:
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
            _thousands(ax.yaxis)
    return file


def _by_step(ax: Axes, rows: pd.DataFrame) -> None:
    for step, color in zip(sorted({rows["step"].min(), rows["step"].max()}), (BLUE, ORANGE), strict=False):
        at = rows[rows["step"] == step]
        ax.plot(at["ds"], at["y_hat"], color=color, linewidth=1.1, label=f"{step} ahead")
        if color == BLUE:
            _band(ax, at, "80 % band")


def _by_origin(ax: Axes, rows: pd.DataFrame) -> None:
    shown, end = f"forecast, 1 to {rows['step'].max()} ahead", None
    for _, path in rows.groupby("cutoff"):
        if end is not None and path["ds"].min() <= end:
            continue
        first, end = end is None, path["ds"].max()
        ax.plot(path["ds"], path["y_hat"], color=BLUE, linewidth=1.1, label=shown if first else None)
        _band(ax, path, "80 % band" if first else None)


def residual_autocorrelation(rows: pd.DataFrame, title: str, file: Path, lags: int = 28) -> Path:
    """Autocorrelation of the first step's residuals, a panel per series, with the band of white noise (95 %)."""
    first = rows[rows["step"] == rows["step"].min()]
    ids = sorted(first["unique_id"].unique())[:MOST_SERIES]
    with _figure(file, title, len(ids)) as axes:
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
            _whole_numbers(ax.xaxis)
        axes[-1].set_xlabel("lag, origins")
    return file


def curves(values: Mapping[str, Sequence[float]], title: str, file: Path) -> Path:
    """Training curves, an epoch per value: ``train_loss`` dashed, ``val_loss`` solid, a colour per member ``_<i>``."""
    from matplotlib.ticker import ScalarFormatter

    with _figure(file, title) as (ax,):
        for name, line in values.items():
            member = name.rpartition("_")[2]
            color = COLORS[int(member) % len(COLORS)] if member.isdigit() else BLUE
            style = "--" if name.startswith("train") else "-"
            marker = "o" if len(line) == 1 else None
            ax.plot(range(1, len(line) + 1), line, style, color=color, marker=marker, label=name, linewidth=1.3)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(ScalarFormatter())
        ax.set_xlim(0.5, max(map(len, values.values())) + 0.5)
        _whole_numbers(ax.xaxis)
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss, transformed units")
    return file


def tuning_history(trials: Sequence[tuple[int, float | None]], metric: str, title: str, file: Path) -> Path:
    """Value by trial with the best so far; pruned and failed trials, which have none, as ticks below.

    Args:
        trials: (number from 0, value or ``None``) in the order they ran.
    """
    from matplotlib.ticker import MaxNLocator

    values = [(number + 1, value) for number, value in trials if value is not None]
    with _figure(file, title) as (ax,):
        numbers, found = [n for n, _ in values], [v for _, v in values]
        ax.plot(numbers, found, marker="o", linestyle="none", color=GREY, label="finished trial")
        ax.step(numbers, np.minimum.accumulate(found), where="post", color=BLUE, label="best so far")
        without = [number + 1 for number, value in trials if value is None]
        if without:
            ax.plot(
                without, [ax.get_ylim()[0]] * len(without), marker="|", linestyle="none", color=ORANGE, label="pruned"
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _whole_numbers(ax.xaxis)
        ax.set_xlabel("trial")
        ax.set_ylabel(f"{metric} on the validation folds")
        if max(found) >= 1000:
            _thousands(ax.yaxis)
    return file


def importances(shares: Mapping[str, float], title: str, file: Path) -> Path:
    """A bar per hyperparameter: its share in the variance of the value."""
    with _figure(file, title, height=1.2 + 0.45 * len(shares)) as (ax,):
        names = list(shares)[::-1]
        bars = ax.barh(names, [shares[name] for name in names], color=BLUE)
        ax.bar_label(bars, fmt=lambda v: f" {v:.0%}", fontsize=9)
        _bars_grid(ax)
        ax.set_xlabel("share in the variance of the value")
        ax.margins(x=0.1)
    return file


def leaderboard(board: pd.DataFrame, metric: str, winner: str, title: str, file: Path) -> Path:
    """A bar per model, best on top, the winner in colour."""
    with _figure(file, title, height=1.1 + 0.45 * len(board)) as (ax,):
        ranked = board.sort_values(metric, ascending=False)
        colors = [BLUE if name == winner else GREY for name in ranked["model"]]
        bars = ax.barh(ranked["model"], ranked[metric], color=colors)
        ax.bar_label(bars, fmt=lambda v: f" {v:,.0f}" if v >= 1000 else f" {v:.3f}", fontsize=9)
        _bars_grid(ax)
        if ranked[metric].max() >= 1000:
            _thousands(ax.xaxis)
        ax.set_xlabel(f"{metric}, lower is better")
        ax.margins(x=0.12)
    return file


def reproduction(lines: pd.DataFrame, title: str, file: Path) -> Path:
    """Published, ours as published (from the lowest to the highest seed) and ours tuned, as shares of the published.

    Figures without a published one are shown against ours; ``lines`` are those of ``core.reproduce.Line``.
    """
    with _figure(file, title, height=1.6 + 0.3 * len(lines)) as (ax,):
        unit = lines["published"].fillna(lines["mean"]).fillna(lines["tuned"])
        at = np.arange(len(lines))[::-1]
        for name, color, marker in (("published", GREY, "|"), ("mean", BLUE, "o"), ("tuned", ORANGE, "x")):
            label = {"mean": "ours as published"}.get(name, name if name == "published" else "ours tuned")
            ax.plot(lines[name] / unit, at, marker=marker, linestyle="none", color=color, label=label)
        ax.hlines(at, lines["low"] / unit, lines["high"] / unit, color=BLUE, linewidth=2, alpha=0.5)
        ax.set_yticks(at, lines["row"] + ", " + lines["figure"], fontsize=8)
        _bars_grid(ax)
        ax.set_xlabel("error as a share of the published one, or of ours where none was published")
    return file


def next_horizon(history: pd.DataFrame, forecast: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """The newest history and the forecast after it with its band, a panel per series (the first few by name).

    Args:
        history: ``unique_id, ds, y``, the rows to show.
        forecast: ``unique_id, ds, y_hat`` and maybe ``q0.1, q0.9``.
    """
    ids = sorted(forecast["unique_id"].unique())[:MOST_SERIES]
    with _figure(file, title, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            past, ahead = (f[f["unique_id"] == name].sort_values("ds") for f in (history, forecast))
            ax.plot(past["ds"], past["y"], color=GREY, linewidth=1.4, label="observed")
            ax.plot(ahead["ds"], ahead["y_hat"], color=BLUE, linewidth=1.8, label="forecast")
            _band(ax, ahead, "80 % band")
            ax.axvline(history["ds"].max(), color=GREY, linewidth=0.8, linestyle=":", label="cutoff")
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel(unit)
            _thousands(ax.yaxis)
    return file
