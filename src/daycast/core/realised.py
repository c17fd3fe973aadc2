"""What forecasts came to once their days had come: several forecasters side by side at the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from daycast.core import ledger
from daycast.core.frame import Panel

Rows = pd.DataFrame


def matured(rows: Rows, panel: Panel) -> Rows:
    """Forecast rows whose values have come, each beside the seasonal naive forecast of its own cutoff.

    Args:
        rows: ``unique_id, cutoff, ds, step`` and more.
        panel: what came, up to now.

    Returns:
        Those of them that can be judged, with ``y`` and ``naive``, the newest value of the same season up to the
        cutoff, raw units; by series, cutoff and ``ds``.
    """
    series = pd.Index(panel.ids).get_indexer(pd.Index(rows["unique_id"].astype(str)))
    at = panel.ds.get_indexer(pd.DatetimeIndex(rows["ds"]))
    before = at - ledger.back(rows["step"].to_numpy(), panel.spec.season_length)
    here = (series >= 0) & (at >= 0) & (before >= 0)
    values = (panel.y[series[here], where[here]] for where in (at, before))
    found = rows[here].assign(**dict(zip(("y", "naive"), values, strict=True)))
    return found.dropna(subset=["y", "naive"]).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)


def errors(rows: Rows, names: Sequence[str]) -> Rows:
    """Mean absolute errors, raw units: one line ``all``, one of each series, of each month of the days forecast.

    Args:
        rows: ``unique_id, ds, y`` and a column of forecasts for each of ``names``, raw units, none missing; the first
            name is what the others are compared with.

    Returns:
        ``of`` (``all``, ``series`` or ``month``), ``name``, ``n_rows``, an error per name, and ``skill_<other>`` of
        the first against each other one: 1 - error / error, 0 as good, 1 perfect, below 0 worse.
    """
    told = rows[["unique_id"]].assign(month=rows["ds"].dt.strftime("%Y-%m"), whole="all")
    told = told.assign(**{name: (rows[name] - rows["y"]).abs() for name in names})
    parts = []
    for of, by in (("all", "whole"), ("series", "unique_id"), ("month", "month")):
        groups = told.groupby(by)
        part = groups[list(names)].mean().assign(n_rows=groups.size()).rename_axis("name").reset_index()
        parts.append(part.assign(of=of))
    out = pd.concat(parts, ignore_index=True)
    own, *others = names
    for other in others:
        with np.errstate(divide="ignore", invalid="ignore"):
            skill = 1 - out[own] / out[other]
        out[f"skill_{other}"] = skill.where(out[other] > 0)
    return out[["of", "name", "n_rows", *names, *(f"skill_{other}" for other in others)]]


def by_day(rows: Rows, names: Sequence[str], days: int) -> Rows:
    """Level and errors over time: means over all rows of each day forecast, and over so many days up to it.

    Args:
        rows: as ``errors`` takes them.

    Returns:
        ``ds``, ``y``, and an error per name, raw units, oldest first.
    """
    told = rows[["ds", "y"]].assign(**{name: (rows[name] - rows["y"]).abs() for name in names})
    return told.groupby("ds")[["y", *names]].mean().rolling(days, min_periods=1).mean().reset_index()
