"""Small synthetic tables, and forecasters simple enough to be checked by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from daycast.core import adaptive, calendar, conformal, frame
from daycast.core.forecast import Arrays, FitReport, OnEpoch, Origin, band
from daycast.core.frame import Float, FrameSpec, Panel, Table
from daycast.core.windows import Windows

START = "2024-01-01"  # a Monday


def long_frame(series: Mapping[str, Sequence[float]], start: str = START, ahead: int = 30) -> pd.DataFrame:
    """A canonical daily frame: the series given (of one length), then ``ahead`` future rows; with ``day_of_week``."""
    blocks = []
    for name, values in series.items():
        ds = pd.date_range(start, periods=len(values) + ahead)
        y = np.concatenate([np.asarray(values, dtype=float), np.full(ahead, np.nan)])
        blocks.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": y, "day_of_week": calendar.day_of_week(ds)}))
    return pd.concat(blocks, ignore_index=True)


def daily_spec(**changes: Any) -> FrameSpec:
    return FrameSpec(**{"freq": "D", "season_length": 7, "known": {"day_of_week": calendar.DAYS}, **changes})


def daily_table(series: Mapping[str, Sequence[float]], start: str = START, ahead: int = 30, **spec: Any) -> Table:
    return frame.table(long_frame(series, start, ahead), daily_spec(**spec))


def noise_table(steps: int = 120, names: Sequence[str] = ("a", "b", "c"), seed: int = 0, **spec: Any) -> Table:
    """Series of very different levels, all noise: any future value that leaks shows."""
    rng = np.random.default_rng(seed)
    return daily_table({n: 10.0**k * (2 + rng.random(steps)) for k, n in enumerate(names)}, **spec)


def count_up(steps: int = 60, **spec: Any) -> Table:
    """``a`` is 0, 1, 2, ... and ``b`` is 100, 101, ...: a value tells its own position."""
    return daily_table({"a": np.arange(steps), "b": 100.0 + np.arange(steps)}, **spec)


class SeasonalNaive:
    """Repeats the last ``lag`` values. Fitting keeps only how many rows it saw."""

    takes_new_series = False

    def __init__(self, lag: int = 7, horizon: int = 1000) -> None:
        self.lag, self.horizon, self.min_history = lag, horizon, lag
        self.fitted_on = 0
        self.calls: list[list[Origin]] = []

    def fit(
        self,
        history: Panel,
        windows: Windows | None = None,  # noqa: ARG002
        on_epoch: OnEpoch | None = None,  # noqa: ARG002
    ) -> FitReport:
        self.learn(history)
        return FitReport()

    def learn(self, history: Panel) -> None:
        self.fitted_on = len(history.ds)

    def predict(self, origins: Sequence[Origin]) -> Float:
        self.calls.append(list(origins))
        return np.stack([self.one(o) for o in origins])

    def one(self, origin: Origin) -> Float:
        steps = np.arange(len(origin.future.ds)) % self.lag
        return origin.history.y[:, -self.lag :][:, steps]

    def state(self) -> tuple[dict[str, Any], Arrays]:
        return {"fitted_on": self.fitted_on}, {}

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:  # noqa: ARG002
        self.fitted_on = values["fitted_on"]


class Headed(SeasonalNaive):
    """With a normal distribution around each value, one unit of y wide a step ahead, two at the second, ..."""

    def quantiles(self, origins: Sequence[Origin], levels: Sequence[float]) -> Float:
        z = np.array([NormalDist().inv_cdf(level) for level in levels])
        return np.stack([self.one(o)[..., None] + self.spread(o)[..., None] * z for o in origins])

    def spread(self, origin: Origin) -> Float:
        return np.tile(1.0 + np.arange(len(origin.future.ds)), (len(origin.history.ids), 1))


def issued_both_ways(test: pd.DataFrame, calibration: pd.DataFrame, method: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with their own quantiles calibrated, and with bands around their point forecasts instead."""
    if method == "split":
        own = conformal.calibrated(test, conformal.head_offsets(calibration))
        return own, band(test, conformal.offsets(calibration))
    return adaptive.adaptive_head(test, calibration), adaptive.adaptive(test, calibration)
