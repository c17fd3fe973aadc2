"""The figures of a raw batch for its report: of parts of it, one after the other; pure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from daycast.core.batch import ABSENT, TIME, Batch, number
from daycast.core.layout import Layout

HOLES = 20  # that are listed


class Figures:
    """Adds up what is told of a batch.

    Args:
        layout: what the columns mean.
        flag_below: flag values below this share of the median of their series; ``None`` for no flags.
    """

    def __init__(self, layout: Layout, flag_below: float | None) -> None:
        self._layout, self._below = layout, flag_below
        self._rows = self._duplicates = self._series = self._gaps = 0
        self._when = pd.DatetimeIndex([])
        self._holes: list[pd.DataFrame] = []
        self._flagged: dict[str, list[dict[str, Any]]] = {}

    def add(self, part: Batch) -> None:
        """One more part; all rows of a series are in one."""
        frame = part.frame
        values = _values(frame, self._layout)
        self._rows += len(frame) + part.duplicates
        self._duplicates += part.duplicates
        self._series += int(values["series"].nunique())
        self._gaps += int(frame[ABSENT].sum())
        self._when = self._when.union(pd.DatetimeIndex(frame[TIME].dropna().unique()))
        self._holes.append(_longest(frame[frame[ABSENT] > 0]))
        if self._below is not None:
            self._flagged |= _flagged(values, self._below)

    def told(self) -> dict[str, Any]:
        """Figures of the batch, JSON-able: rows, series, timestamps, first, last, gaps and holes, flagged extremes.

        ``gaps`` counts the timestamps absent inside series, ``holes`` lists the longest 20 runs of them. ``flagged``
        lists, per series, every value below ``flag_below`` of the series' median: such days can be true, so they are
        told and kept.
        """
        when = self._when
        return {
            "rows": self._rows,
            "exact_duplicates": self._duplicates,
            "series": self._series,
            "timestamps": len(when),
            "first": None if when.empty else when.min().isoformat(),
            "last": None if when.empty else when.max().isoformat(),
            "gaps": self._gaps,
            "holes": _holes(_longest(pd.concat(self._holes)), self._layout) if self._holes else [],
            "flagged": dict(sorted(self._flagged.items())),
        }


def _values(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """``series, time, y``, one row per row and series."""
    if layout.series is None:
        return pd.DataFrame(
            {"series": frame[layout.id].astype(str), "time": frame[TIME], "y": frame[number(str(layout.value))]}
        )
    parts = [
        pd.DataFrame({"series": name, "time": frame[TIME], "y": frame[number(column)]})
        for name, column in layout.series.items()
    ]
    return pd.concat(parts)


def _longest(holes: pd.DataFrame) -> pd.DataFrame:
    """The first of them, the longest first, and of equal ones the earliest, and then the first in the file."""
    by = holes.sort_index().sort_values([ABSENT, TIME], ascending=[False, True], kind="stable")
    return by.head(HOLES)


def _holes(holes: pd.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    names = holes[layout.id].astype(str) if layout.id else pd.Series("all", index=holes.index)
    return [
        {"series": name, "before": when.isoformat(), "timestamps": int(count)}
        for name, when, count in zip(names, holes[TIME], holes[ABSENT], strict=True)
    ]


def _flagged(values: pd.DataFrame, below: float) -> dict[str, list[dict[str, Any]]]:
    share = values["y"] / values.groupby("series")["y"].transform("median")
    low = values.assign(share=share.round(4))[(share < below).to_numpy() & values["time"].notna().to_numpy()]
    low = low.sort_values(["series", "time"], kind="stable")
    flagged: dict[str, list[dict[str, Any]]] = {}
    for name, when, y, part in zip(low["series"], low["time"], low["y"], low["share"], strict=True):
        flagged.setdefault(str(name), []).append({"time": when.isoformat(), "value": y, "share": part})
    return flagged
