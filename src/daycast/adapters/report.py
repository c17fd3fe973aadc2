"""Pictures of results, as PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from daycast.core.diagnostics import autocorrelation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#1f5fa8", "#d9701a", "#8a8f98"
MOST_SERIES = 4  # panels in one figure; more can't be read


@contextmanager
def _figure(file: Path, rows: int = 1, height: float = 4.2) -> Iterator[Sequence[Axes]]:
    """Axes of a figure without any global state (fits run in threads), written to ``file`` at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height if rows == 1 else 2.6 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#e4e6ea", linewidth=0.8)
        ax.set_axisbelow(True)
    yield list(axes)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _thousands(ax: Any) -> None:
    from matplotlib.ticker import FuncFormatter

    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))


def forecast_against_actual(rows: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """The backtest at its first and at its last horizon step, a panel per series (the first few by name).

    Args:
        rows: ``unique_id, ds, step, y_hat, y`` and maybe ``q0.1, q0.9``, raw units.
    """
    ids = sorted(rows["unique_id"].unique())[:MOST_SERIES]
    steps = sorted({int(rows["step"].min()), int(rows["step"].max())})
    with _figure(file, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            own = rows[rows["unique_id"] == name]
            actual = own.drop_duplicates("ds").sort_values("ds")
            ax.plot(actual["ds"], actual["y"], color=GREY, linewidth=1.6, label="actual")
            for step, color in zip(steps, (BLUE, ORANGE), strict=False):
                at = own[own["step"] == step].sort_values("ds")
                few = len(at) < len(actual) / 2  # origins far apart: points, as a line would invent days in between
                style: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linestyle": "none"} if few else {}
                ax.plot(at["ds"], at["y_hat"], color=color, linewidth=1.1, label=f"{step} ahead", **style)
                if step == steps[0] and "q0.1" in own and not few:
                    ax.fill_between(at["ds"], at["q0.1"], at["q0.9"], color=color, alpha=0.15, label="80 % band")
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel(unit)
            _thousands(ax)
        axes[0].legend(loc="upper left", bbox_to_anchor=(0, 1.28), ncols=4, frameon=False)
        axes[0].figure.suptitle(title, x=0.99, ha="right", fontsize=11)
    return file


def residual_autocorrelation(rows: pd.DataFrame, title: str, file: Path, lags: int = 28) -> Path:
    """Autocorrelation of the first step's residuals, a panel per series, with the band of white noise (95 %)."""
    first = rows[rows["step"] == rows["step"].min()]
    ids = sorted(first["unique_id"].unique())[:MOST_SERIES]
    with _figure(file, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            own = first[first["unique_id"] == name].sort_values("ds")
            residuals = (own["y"] - own["y_hat"]).dropna().to_numpy()
            values = autocorrelation(residuals, min(lags, max(len(residuals) - 2, 1)))
            limit = 1.96 / np.sqrt(max(len(residuals), 1))
            ax.axhspan(-limit, limit, color=BLUE, alpha=0.1)
            ax.vlines(np.arange(len(values)), 0, values, color=BLUE, linewidth=2)
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylim(-1.05, 1.05)
        axes[-1].set_xlabel("lag, origins")
        axes[0].figure.suptitle(title, x=0.99, ha="right", fontsize=11)
    return file


def curves(values: Mapping[str, Sequence[float]], title: str, file: Path) -> Path:
    """Training curves: one line per name, an epoch per value."""
    with _figure(file) as (ax,):
        for name, line in values.items():
            ax.plot(range(1, len(line) + 1), line, label=name, linewidth=1.3)
        ax.set_yscale("log")
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss, transformed units")
        ax.set_title(title, loc="left", fontsize=11)
        ax.legend(frameon=False)
    return file


def tuning_history(trials: Sequence[tuple[int, float | None]], metric: str, title: str, file: Path) -> Path:
    """Value by trial with the best so far; pruned and failed trials, which have none, as ticks below.

    Args:
        trials: (number from 0, value or ``None``) in the order they ran.
    """
    from matplotlib.ticker import MaxNLocator

    values = [(number + 1, value) for number, value in trials if value is not None]
    with _figure(file) as (ax,):
        numbers, found = [n for n, _ in values], [v for _, v in values]
        ax.plot(numbers, found, marker="o", linestyle="none", color=GREY, label="finished trial")
        ax.step(numbers, np.minimum.accumulate(found), where="post", color=BLUE, label="best so far")
        without = [number + 1 for number, value in trials if value is None]
        if without:
            ax.plot(
                without, [ax.get_ylim()[0]] * len(without), marker="|", linestyle="none", color=ORANGE, label="pruned"
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("trial")
        ax.set_ylabel(f"{metric} on the validation folds")
        ax.set_title(title, loc="left", fontsize=11)
        if max(found) >= 1000:
            _thousands(ax)
        ax.legend(frameon=False)
    return file


def importances(shares: Mapping[str, float], title: str, file: Path) -> Path:
    """A bar per hyperparameter: its share in the variance of the value."""
    with _figure(file, height=0.9 + 0.45 * len(shares)) as (ax,):
        names = list(shares)[::-1]
        bars = ax.barh(names, [shares[name] for name in names], color=BLUE)
        ax.bar_label(bars, fmt=lambda v: f" {v:.0%}", fontsize=9)
        ax.set_xlabel("share in the variance of the value")
        ax.set_title(title, loc="left", fontsize=11)
        ax.margins(x=0.1)
    return file


def leaderboard(board: pd.DataFrame, metric: str, winner: str, title: str, file: Path) -> Path:
    """A bar per model, best on top, the winner in colour."""
    with _figure(file, height=0.8 + 0.45 * len(board)) as (ax,):
        ranked = board.sort_values(metric, ascending=False)
        colors = [BLUE if name == winner else GREY for name in ranked["model"]]
        bars = ax.barh(ranked["model"], ranked[metric], color=colors)
        ax.bar_label(bars, fmt=lambda v: f" {v:,.0f}" if v >= 1000 else f" {v:.3f}", fontsize=9)
        ax.set_xlabel(f"{metric}, lower is better")
        ax.set_title(title, loc="left", fontsize=11)
        ax.margins(x=0.12)
    return file


def next_horizon(history: pd.DataFrame, forecast: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """The newest history and the forecast after it with its band, a panel per series (the first few by name).

    Args:
        history: ``unique_id, ds, y``, the rows to show.
        forecast: ``unique_id, ds, y_hat`` and maybe ``q0.1, q0.9``.
    """
    ids = sorted(forecast["unique_id"].unique())[:MOST_SERIES]
    with _figure(file, len(ids)) as axes:
        for ax, name in zip(axes, ids, strict=True):
            past, ahead = (f[f["unique_id"] == name].sort_values("ds") for f in (history, forecast))
            ax.plot(past["ds"], past["y"], color=GREY, linewidth=1.4, label="observed")
            ax.plot(ahead["ds"], ahead["y_hat"], color=BLUE, linewidth=1.8, label="forecast")
            if "q0.1" in ahead:
                ax.fill_between(ahead["ds"], ahead["q0.1"], ahead["q0.9"], color=BLUE, alpha=0.18, label="80 % band")
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel(unit)
            _thousands(ax)
        axes[0].legend(loc="upper left", bbox_to_anchor=(0, 1.28), ncols=3, frameon=False)
        axes[0].figure.suptitle(title, x=0.99, ha="right", fontsize=11)
    return file
