"""How forecasts turned out, and which alarms that raised, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from daycast.adapters.report.style import BLUE, COLORS, GREY, ORANGE, figure, thousands, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMOOTH = 7  # target days of a drawn mean


def turned_out(days: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """Skill, coverage and bias of the forecasts by target day: each day, and seven together.

    Args:
        days: ``ds, skill, mae, naive_mae, coverage_80, coverage_95, bias``, ascending; errors and bias in ``unit``.
    """
    with figure(file, title, rows=3) as axes:
        skill, inside, bias = axes
        skill.plot(days["ds"], days["skill"].clip(lower=-1), ".", color=GREY, markersize=3, label="a day")
        weekly = 1 - _mean(days["mae"]) / _mean(days["naive_mae"])
        skill.plot(days["ds"], weekly.clip(lower=-1), color=BLUE, label=f"of {SMOOTH} days together")
        skill.axhline(0, color=ORANGE, linewidth=1, linestyle="--", label="as good as the seasonal naive")
        skill.set_ylabel("skill, from -1 up")
        for percent, color in (("80", BLUE), ("95", COLORS[2])):
            inside.plot(days["ds"], _mean(days[f"coverage_{percent}"]), color=color)
            inside.axhline(int(percent) / 100, color=color, linewidth=1, linestyle="--")
            inside.annotate(f"{percent} %", (1, int(percent) / 100), xycoords=("axes fraction", "data"), color=color)
        inside.set_ylabel("share inside")
        inside.set_ylim(0, 1.04)
        bias.plot(days["ds"], days["bias"], ".", color=GREY, markersize=3)
        bias.plot(days["ds"], _mean(days["bias"]), color=BLUE)
        bias.axhline(0, color=ORANGE, linewidth=1, linestyle="--")
        bias.set_ylabel(f"forecast less value,\n{unit}")
        bias.set_xlabel("target day")
        thousands(bias.yaxis)
    return file


def errors_by_step(steps: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """Mean absolute error by horizon step, against the seasonal naive's.

    Args:
        steps: ``step, mae, naive_mae``, raw units, ascending.
    """
    with figure(file, title) as (ax,):
        ax.plot(steps["step"], steps["naive_mae"], "o-", color=GREY, markersize=4, label="seasonal naive")
        ax.plot(steps["step"], steps["mae"], "o-", color=BLUE, markersize=4, label="forecast")
        ax.set_ylim(bottom=0)
        ax.set_ylabel(f"mean absolute error, {unit}")
        ax.set_xlabel("steps ahead")
        whole_numbers(ax.xaxis)
        thousands(ax.yaxis)
    return file


def raised(days: pd.DataFrame, figures: dict[str, tuple[pd.Series, float]], title: str, file: Path) -> Path:
    """What each alarm's chart said on each day, and the stretches in which one was raised.

    Args:
        days: ``began, last`` of each stretch.
        figures: name of an alarm -> its figure by day, and the threshold at which it is raised.
    """
    with figure(file, title, rows=len(figures)) as axes:
        for ax, (name, (values, threshold)) in zip(axes, figures.items(), strict=True):
            ax.plot(values.index, values, color=BLUE, linewidth=1.2, label="figure" if ax is axes[0] else None)
            ax.axhline(threshold, color=ORANGE, linewidth=1, linestyle="--", label="raised" if ax is axes[0] else None)
            _stretches(ax, days, "an alarm goes on" if ax is axes[0] else None)
            ax.set_ylabel(name)
        axes[-1].set_xlabel("day")
    return file


def _stretches(ax: Axes, days: pd.DataFrame, label: str | None) -> None:
    for number, (began, last) in enumerate(zip(days["began"], days["last"], strict=True)):
        told = label if number == 0 else None
        ax.axvspan(began, last + pd.Timedelta(days=1), color=ORANGE, alpha=0.15, linewidth=0, label=told)


def _mean(values: pd.Series) -> pd.Series:
    return values.rolling(SMOOTH, min_periods=1).mean()
