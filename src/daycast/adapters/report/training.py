"""How a model came about: training curves and the search for its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from daycast.adapters.report.style import BLUE, COLORS, GREY, ORANGE, bars_grid, figure, thousands, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY = 60  # trials, from which on marks and lines are small


class Tried(NamedTuple):
    """A trial: its number from 0, state (``complete``, ``pruned`` or ``failed``), value, and value by steps done."""

    number: int
    state: str
    value: float | None
    curve: Mapping[int, float]


def curves(values: Mapping[str, Sequence[float]], title: str, file: Path) -> Path:
    """Training curves, an epoch per value: ``train_loss`` dashed, ``val_loss`` solid, a colour per member ``_<i>``."""
    from matplotlib.ticker import ScalarFormatter

    with figure(file, title) as (ax,):
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
        whole_numbers(ax.xaxis)
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss, transformed units")
    return file


def tuning_history(trials: Sequence[Tried], metric: str, title: str, file: Path) -> Path:
    """Value by trial, numbered from 0 as their runs are, with the best so far; of a pruned one, its last value.

    Values far above most, which would press all others into a line, are drawn at the upper edge.
    """
    with figure(file, title) as (ax,):
        done = [(t.number, t.value) for t in trials if t.value is not None]
        numbers, found = [n for n, _ in done], [v for _, v in done]
        pruned = [(t.number, t.curve[max(t.curve)]) for t in trials if t.state == "pruned" and t.curve]
        without = [t.number for t in trials if t.value is None and not (t.state == "pruned" and t.curve)]
        ceiling = _ceiling([*found, *(v for _, v in pruned)])
        size = _marker(len(trials))
        ax.plot(numbers, np.minimum(found, ceiling), "o", color=GREY, markersize=size, label="completed")
        if pruned:
            shown = np.minimum([v for _, v in pruned], ceiling)
            ax.plot([n for n, _ in pruned], shown, "x", color=ORANGE, markersize=size, label="pruned, value then")
        ax.step(numbers, np.minimum.accumulate(found), where="post", color=BLUE, label="best so far")
        if without:
            low = [ax.get_ylim()[0]] * len(without)
            ax.plot(without, low, "|", color=ORANGE, markersize=8, label="refused or failed")
        whole_numbers(ax.xaxis)
        ax.set_xlabel("trial")
        _value_axis(ax, metric, ceiling)
    return file


def tuning_curves(trials: Sequence[Tried], metric: str, unit: str, title: str, file: Path) -> Path:
    """Value so far by steps done, a line a trial: the best one in colour, pruned ones up to where they ended.

    Args:
        unit: what a step is, such as ``epochs``.
    """
    with figure(file, title) as (ax,):
        best = min((t for t in trials if t.value is not None), key=lambda t: t.value or 0.0)
        ceiling = _ceiling([v for t in trials for v in t.curve.values()])
        width = 1.2 if len(trials) <= MANY else 0.5
        shown = {"complete": "completed", "pruned": "pruned"}
        for trial in sorted((t for t in trials if t.state != "failed"), key=lambda t: t is best):
            steps = sorted(trial.curve)
            color = BLUE if trial is best else ORANGE if trial.state == "pruned" else GREY
            label = f"best, trial {best.number}" if trial is best else shown.pop(trial.state, None)
            values = np.minimum([trial.curve[s] for s in steps], ceiling)
            wide = 2.2 if trial is best else width
            ax.plot(steps, values, "o-", color=color, markersize=3 * wide, linewidth=wide, label=label)
        whole_numbers(ax.xaxis)
        ax.set_xlabel(f"{unit}, over all folds")
        _value_axis(ax, metric, ceiling)
    return file


def _ceiling(values: Sequence[float]) -> float:
    """Up to where values are drawn: the largest, unless that is far above three quarters of them."""
    low, upper = np.min(values), np.quantile(values, 0.75)
    return float(min(np.max(values), upper + 2 * (upper - low) + 0.05 * abs(upper)))


def _marker(count: int) -> float:
    return 6.0 if count <= MANY else 3.0


def _value_axis(ax: Axes, metric: str, ceiling: float) -> None:
    ax.set_ylabel(f"{metric} on the validation folds")
    if ceiling >= 1000:
        thousands(ax.yaxis)


def importances(shares: Mapping[str, float], title: str, file: Path) -> Path:
    """A bar per hyperparameter: its share in the variance of the value."""
    with figure(file, title, height=1.2 + 0.45 * len(shares)) as (ax,):
        names = list(shares)[::-1]
        bars = ax.barh(names, [shares[name] for name in names], color=BLUE)
        ax.bar_label(bars, fmt=lambda v: f" {v:.0%}", fontsize=9)
        bars_grid(ax)
        ax.set_xlabel("share in the variance of the value of completed trials")
        ax.margins(x=0.1)
    return file
