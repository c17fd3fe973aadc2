"""Naive forecasts: the yardsticks every other model has to beat. Letters of ``core.frame``.

Nothing is learned: a forecast is a look-up in the history up to the cutoff, so any horizon is answered at once, and a
series without a single observation gets NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daycast.core.forecast import Arrays, FitReport, OnEpoch, Origin
from daycast.core.frame import Float, Future, Panel
from daycast.errors import ConfigError

if TYPE_CHECKING:
    from daycast import config
    from daycast.config import models
    from daycast.core.windows import Windows
    from daycast.models.context import BuildContext

ANY_HORIZON = 2**31 - 1
"""The ``horizon`` of a model that forecasts any number of steps directly, so that none is ever iterated."""


class _LookUp:
    """A forecaster without state; subclasses say how one origin is answered."""

    horizon = ANY_HORIZON
    min_history = 1
    takes_new_series = True

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:  # noqa: ARG002
        """Learn nothing; raise if ``history`` lacks what the look-up needs."""
        self._check(history)
        return FitReport()

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Forecasts ``(O, N, H)`` in raw units, for any H. Raises what ``fit`` raises."""
        self._check(origins[0].history)
        return np.stack([self._one(o) for o in origins])

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Nothing."""
        return {}, {}

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Nothing to take back."""

    def _check(self, history: Panel) -> None:
        """Raise if the history lacks a column that is needed."""

    def _one(self, origin: Origin) -> Float:
        """Forecasts ``(N, H)`` from one origin."""
        raise NotImplementedError


class Naive(_LookUp):
    """The last observed value, for every step."""

    def __init__(self, config: config.Naive, context: BuildContext) -> None:
        """Both arguments are taken for the common signature; neither changes anything."""

    def _one(self, origin: Origin) -> Float:
        return np.repeat(last_observed(origin.history.y)[:, None], len(origin.future.ds), axis=1)


class Mean(_LookUp):
    """The mean of the last ``window`` observed values, or of all, for every step.

    Fewer than ``window`` of them are averaged as they are.
    """

    def __init__(self, config: models.Mean, context: BuildContext) -> None:  # noqa: ARG002
        """``config.window`` counts the values averaged; None for all of the history."""
        self._window = config.window

    def _one(self, origin: Origin) -> Float:
        y = origin.history.y
        level = _mean_of_last(y, np.arange(y.shape[1]), self._window or y.shape[1])
        return np.repeat(level[:, None], len(origin.future.ds), axis=1)


class SeasonalNaive(_LookUp):
    """The newest observed value a whole number of lags before the target.

    Step h from cutoff c takes ``y[c + h - lag·⌈h/lag⌉]``. Where that is missing it goes back further, lag by lag; where
    no value of this phase was ever observed, it takes the last observed value of any phase.
    """

    def __init__(self, config: config.SeasonalNaive, context: BuildContext) -> None:
        """``config.lag`` in steps, or ``context.season_length`` where it is None."""
        self._lag = config.lag or context.season_length

    def _one(self, origin: Origin) -> Float:
        return seasonal_naive(origin.history.y, self._lag, len(origin.future.ds))


class DayTypeNaive(_LookUp):
    """The mean of the last ``window`` observed values at the same levels of known columns, such as the day type.

    Fewer than ``window`` of them are averaged as they are; where these levels were never observed together, the last
    observed value of any stands in.

    Raises:
        ConfigError: a column is not among the known categorical columns.
    """

    def __init__(self, config: config.DayTypeNaive, context: BuildContext) -> None:  # noqa: ARG002
        """``config.columns`` names the columns, ``config.window`` counts the values averaged."""
        self._columns, self._window = config.columns, config.window

    def _check(self, history: Panel) -> None:
        for column in self._columns:
            self._levels(history, column)

    def _levels(self, known: Panel | Future, column: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        found = known.levels(column)
        if found is None:
            categorical = sorted({name.split("=", 1)[0] for name in known.known_names if "=" in name})
            raise ConfigError(
                f"a categorical known column, of {categorical}",
                f"column: {column}",
                "name one of them in conf/model/, or declare this one in covariates.known of the dataset",
            )
        return found

    def _one(self, origin: Origin) -> Float:
        y = origin.history.y
        codes, ahead = (np.zeros(len(known.ds), dtype=np.int64) for known in (origin.history, origin.future))
        for column in self._columns:
            own, names = self._levels(origin.history, column)
            coming, coming_names = self._levels(origin.future, column)
            place = np.array([names.index(name) for name in coming_names])
            codes, ahead = codes * len(names) + own, ahead * len(names) + place[coming]
        out = np.empty((len(y), len(ahead)))
        for code in np.unique(ahead):
            same = np.flatnonzero(codes == code)
            out[:, ahead == code] = _mean_of_last(y, same, self._window)[:, None]
        gaps = np.isnan(out).any(axis=1)
        out[gaps] = np.where(np.isnan(out[gaps]), last_observed(y[gaps])[:, None], out[gaps])
        return out


def last_observed(y: Float) -> Float:
    """The last value of each row of ``y (N, T)`` that is not NaN, ``(N,)``; NaN where there is none."""
    out = y[:, -1].copy()
    gaps = np.isnan(out)
    if gaps.any():
        out[gaps] = _newest(y[gaps])
    return out


def seasonal_naive(y: Float, lag: int, horizon: int) -> Float:
    """``SeasonalNaive`` on plain values: ``y (N, T)`` to ``(N, horizon)``."""
    n, steps = y.shape
    phases = min(lag, horizon)
    first = steps - lag  # where the value for step 1 stands
    out = y[:, first : first + phases].copy() if first >= 0 else np.full((n, phases), np.nan)
    gaps = np.isnan(out).any(axis=1)
    if gaps.any():
        padded = np.pad(y[gaps], ((0, 0), (-steps % lag, 0)), constant_values=np.nan)
        by_lag = padded.reshape(len(padded), -1, lag)[:, :, :phases]
        found = _newest(by_lag)
        out[gaps] = np.where(np.isnan(found), last_observed(y[gaps])[:, None], found)
    return out[:, np.arange(horizon) % lag]


def _newest(y: Float) -> Float:
    """The last value along axis 1 of ``y (R, K, ...)`` that is not NaN, ``(R, ...)``; NaN where there is none."""
    back = (~np.isnan(y[:, ::-1])).argmax(axis=1)  # 0 where nothing is observed, and the last value is NaN then too
    return np.take_along_axis(y, y.shape[1] - 1 - back[:, None], axis=1)[:, 0]


def _mean_of_last(y: Float, columns: NDArray[np.int64], window: int) -> Float:
    """Mean of the last ``window`` observed values of ``y (N, T)`` in ``columns``, ``(N,)``; NaN where there is none."""
    out = np.full(len(y), np.nan)
    if len(columns) >= window:
        out = y[:, columns[-window:]].mean(axis=1)
    gaps = np.flatnonzero(np.isnan(out))
    if len(gaps) and len(columns):
        newest_first = y[np.ix_(gaps, columns[::-1])]
        seen = ~np.isnan(newest_first)
        used = seen & (seen.cumsum(axis=1) <= window)
        counts = used.sum(axis=1)
        sums = np.where(used, newest_first, 0.0).sum(axis=1)
        out[gaps] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return out
