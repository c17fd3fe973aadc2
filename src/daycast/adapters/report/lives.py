"""A pipeline's replayed life as one picture: the level, the errors, and what happened when."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from daycast.adapters.report.style import BLUE, GREY, ORANGE, figure, thousands

LINES = {"living": (BLUE, 1.8), "frozen": (ORANGE, 1.2), "naive": (GREY, 1.2)}
LABELS = {"living": "living pipeline", "frozen": "first champion, frozen", "naive": "seasonal naive"}
MARKS = {
    "alarm": ("v", "#b8445a", "alarm"),
    "promotion": ("^", "#3a8f5c", "promoted"),
    "refusal": ("x", "#8a5fa8", "refused"),
    "rollback": ("<", "#d9701a", "rolled back"),
}  # kind of event -> marker, colour, label, from the top line of marks to the lowest


def life(by_day: pd.DataFrame, events: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """Level, errors of the three over time, and marks of events; a log scale, as errors of a break dwarf all others.

    Args:
        by_day: ``ds, y, living, frozen, naive``, raw units, smoothed as they shall be shown, oldest first.
        events: ``day``, ``kind`` as in ``MARKS``.
    """
    with figure(file, title, 3) as (errors, level, marks):
        for name, (color, width) in LINES.items():
            errors.plot(by_day["ds"], by_day[name], color=color, linewidth=width, label=LABELS[name])
        errors.set_yscale("log")
        thousands(errors.yaxis)
        errors.set_ylabel(f"mean absolute error,\n{unit}")
        level.plot(by_day["ds"], by_day["y"], color=GREY, linewidth=1.4)
        level.set_ylim(bottom=0)
        level.set_ylabel(f"level, {unit}")
        thousands(level.yaxis)
        for line, (kind, (marker, color, _)) in enumerate(MARKS.items()):
            days = pd.to_datetime(events.loc[events["kind"] == kind, "day"])
            marks.plot(days, [-line] * len(days), linestyle="", marker=marker, color=color, markersize=6)
            if kind in ("alarm", "promotion"):
                where = errors.get_xaxis_transform()
                errors.vlines(days, 0, 1, color, linewidth=0.6, alpha=0.5, transform=where)
        marks.set_yticks([-line for line in range(len(MARKS))], [label for _, _, label in MARKS.values()])
        marks.set_ylim(-len(MARKS) + 0.5, 0.5)
        for ax in (level, marks):
            ax.set_xlim(errors.get_xlim())
    return file
