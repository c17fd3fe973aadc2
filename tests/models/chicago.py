"""Chicago's daily boardings as a table, read directly from the real file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daycast.core import frame
from daycast.core.calendar import holiday_names
from daycast.core.forecast import Origin
from daycast.core.frame import Float, FrameSpec, Future, Table

FILE = "CTA_-_Ridership_-_Daily_Boarding_Totals.csv"


def ridership(folder: Path, start: str = "2001-01-01") -> Table:
    """Rail and bus from ``start`` to the end of 2019, with day type and holidays; skips where the file is absent."""
    if not (folder / FILE).is_file():
        pytest.skip(f"no {FILE} in {folder}")
    raw = pd.read_csv(folder / FILE).drop_duplicates()
    raw["ds"] = pd.to_datetime(raw["service_date"], format="%m/%d/%Y")
    raw = raw[(raw["ds"] >= start) & (raw["ds"] < "2020-01-01")].sort_values("ds")
    raw["holiday"] = (holiday_names(pd.DatetimeIndex(raw["ds"]), "US", "IL") != "").astype(float)
    series = [
        raw[["ds", "day_type", "holiday"]].assign(unique_id=name, y=raw[column].astype(float))
        for name, column in (("bus", "bus"), ("rail", "rail_boardings"))
    ]
    spec = FrameSpec("D", 7, {"day_type": ("W", "A", "U"), "holiday": None}, fourier=3, floor=0.0)
    return frame.table(pd.concat(series, ignore_index=True), spec)


def origins(table: Table, first: str, last: str, horizon: int = 1) -> list[Origin]:
    """One origin a day, such that all targets lie in ``first .. last``."""
    panel = table.panel
    begin, end = (panel.position(pd.Timestamp(day)) for day in (first, last))
    made = []
    for at in range(begin, end - horizon + 2):
        rows = slice(at, at + horizon)
        ahead = Future(panel.ds[rows], panel.known[rows], panel.known_names)
        made.append(Origin(panel.until(panel.ds[at - 1]), ahead))
    return made


def mae(table: Table, asked: Sequence[Origin], forecast: Float) -> dict[str, float]:
    """Mean absolute error of ``forecast (O, N, H)`` by series, rides per day."""
    panel, horizon = table.panel, forecast.shape[2]
    came = np.stack([panel.y[:, len(o.history.ds) : len(o.history.ds) + horizon] for o in asked])
    errors = np.abs(forecast - came).mean(axis=(0, 2))
    return {name: float(error) for name, error in zip(panel.ids, errors, strict=True)}
