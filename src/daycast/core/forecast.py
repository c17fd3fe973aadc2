"""The forecaster protocol, and forecasts as arrays and as rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.frame import Float, Future, Panel
from daycast.core.windows import Windows
from daycast.errors import HistoryError, OutputError

Arrays = dict[str, NDArray[Any]]
LEAST = "least"
"""Column of relative quantile offsets: the least size of a forecast that they are a share of."""
OnEpoch = Callable[[int, int, Mapping[str, float]], None]
"""Called after each epoch with (epoch from 1, most epochs, metrics); may raise to stop a pruned trial."""


@dataclass(frozen=True)
class Origin:
    """All that a model may see when it forecasts: the history up to the cutoff, and the known future after it."""

    history: Panel
    future: Future

    @property
    def cutoff(self) -> pd.Timestamp:
        return self.history.cutoff


@dataclass(frozen=True)
class FitReport:
    """What a fit tells: curves by epoch (name → one value an epoch) and flat facts (parameters, epochs, ...)."""

    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    facts: Mapping[str, float | int | str] = field(default_factory=dict)


@runtime_checkable
class Forecaster(Protocol):
    """Fit once up to a cutoff, then predict from any later history that is long enough, without refitting.

    Attributes:
        horizon: the most steps one ``predict`` gives; ``core.forecast.predict`` iterates beyond it.
        min_history: rows of history that ``predict`` needs.
        takes_new_series: whether series may have come or gone since the fit.
    """

    horizon: int
    min_history: int
    takes_new_series: bool

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:
        """Learn from everything in ``history``; its last timestamp is the fit's cutoff."""
        ...

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Point forecasts ``(O, N, H)`` in raw units, H the length of the (equal) futures, at most ``horizon``."""
        ...

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All that was fitted: JSON-able values, and arrays for safetensors."""
        ...

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave."""
        ...


ITERATED = 32
"""Origins iterated at once: each needs a history of its own to take up its forecasts, and a backtest has hundreds."""


def predict(model: Forecaster, origins: Sequence[Origin]) -> Float:
    """Forecasts ``(O, N, H)`` over the whole of each origin's future, iterating where H exceeds the model's horizon.

    Iteration feeds forecasts back as history (known as the recursive or iterated strategy), in blocks of
    ``model.horizon`` steps. Forecasts are held at the dataset's declared floor (a count can't be negative) here, for
    every model alike, so that a backtest scores exactly what a forecast delivers.

    Raises:
        HistoryError: an origin has fewer rows than ``model.min_history``.
        OutputError: the model's array has another shape than the origins ask for.
    """
    horizon = len(origins[0].future.ds)
    block = min(model.horizon, horizon)
    shortest = min(origins, key=lambda o: len(o.history.ds)).history
    if len(shortest.ds) < model.min_history:
        raise HistoryError(
            f"at least {model.min_history} timestamps of history",
            f"{len(shortest.ds)} up to {shortest.cutoff.date()}",
            "forecast from a later date, or use a model with a shorter memory",
        )
    first = _block(model, [Origin(o.history, o.future.head(block)) for o in origins])
    if block == horizon:
        return first
    parts = range(0, len(origins), ITERATED)
    return np.concatenate([_iterated(model, origins[i : i + ITERATED], first[i : i + ITERATED]) for i in parts])


def _block(model: Forecaster, origins: Sequence[Origin]) -> Float:
    """Forecasts over futures that the model can see to the end of, held at the floor."""
    made = model.predict(origins)
    history, future = origins[0].history, origins[0].future
    shape = (len(origins), len(history.ids), len(future.ds))
    if made.shape != shape:
        raise OutputError(f"forecasts of shape (origins, series, steps) {shape}", f"{made.shape}", "mend the model")
    return made if history.spec.floor is None else np.maximum(made, history.spec.floor)  # NaN stays NaN


def _iterated(model: Forecaster, origins: Sequence[Origin], made: Float) -> Float:
    """Go on from the first block ``made`` to the end of the futures, forecasts taking the place of history."""
    horizon = len(origins[0].future.ds)
    unknown = np.full((made.shape[1], horizon), np.nan)
    whole = [o.history.extended(unknown, o.future) for o in origins]  # one copy each; what is seen are views of it
    while (done := made.shape[2]) < horizon:
        block, seen = min(model.horizon, horizon - done), []
        for origin, panel, values in zip(origins, whole, made, strict=True):
            start = len(origin.history.ds)
            panel.y[:, start : start + done] = values
            seen.append(Origin(panel.until(panel.ds[start + done - 1]), origin.future.tail(done).head(block)))
        made = np.concatenate([made, _block(model, seen)], axis=2)
    return made


def together(origins: Sequence[Origin]) -> list[tuple[list[int], Origin]]:
    """The origins in groups whose histories are views of one another, so that work on the longest serves them all.

    Each group is the places of its members among ``origins`` and the one with the longest history, which ends in the
    others' futures.
    """
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for o, origin in enumerate(origins):
        h = origin.history
        memory = (array.__array_interface__["data"][0] for array in (h.y, h.known))
        groups[*memory, h.y.strides, h.known.strides, h.ds[0]].append(o)
    return [
        (members, max((origins[o] for o in members), key=lambda o: len(o.history.ds))) for members in groups.values()
    ]


def rows(forecast: Float, origins: Sequence[Origin]) -> pd.DataFrame:
    """Forecasts ``(O, N, H)`` as rows ``unique_id, cutoff, ds, step, y_hat``; step counts from 1."""
    ids = np.asarray(origins[0].history.ids, dtype=object)
    n, h = len(ids), forecast.shape[2]
    return pd.DataFrame(
        {
            "unique_id": np.tile(np.repeat(ids, h), len(origins)),
            "cutoff": np.repeat(pd.DatetimeIndex([o.cutoff for o in origins]), n * h),
            "ds": np.concatenate([np.tile(o.future.ds.to_numpy(), n) for o in origins]),
            "step": np.tile(np.arange(1, h + 1), n * len(origins)),
            "y_hat": forecast.reshape(-1),
        }
    )


def band(forecasts: pd.DataFrame, offsets: pd.DataFrame, floor: float | None = None) -> pd.DataFrame:
    """Add quantile columns ``q0.1`` … to forecast rows from raw-unit residual offsets.

    Args:
        forecasts: rows of ``rows``.
        offsets: indexed by (``unique_id``, ``step``), a column per quantile, in units of y; or, with a column ``least``
            in units of y, in shares of |y_hat|, and of ``least`` where that is larger.
        floor: the least value that can exist, or ``None``.

    A series or step without offsets gets missing quantiles: how wide the errors of an iterated forecast are beyond the
    validated horizon has not been measured, and another step's width would pass for it.
    """
    spread = offsets.reindex(pd.MultiIndex.from_arrays([forecasts["unique_id"], forecasts["step"]]))
    unit = units(forecasts["y_hat"], spread[LEAST]) if LEAST in spread else 1.0
    point = forecasts["y_hat"].to_numpy()
    levels = {c: point + unit * spread[c].to_numpy() for c in quantile_columns(offsets)}
    if floor is not None:
        levels = {c: np.maximum(v, floor) for c, v in levels.items()}
    return forecasts.assign(**levels)


def units(point: pd.Series[float], least: pd.Series[float]) -> Float:
    """What a relative offset is a share of: the size of the forecast, or the least size that counts."""
    return np.maximum(np.abs(point.to_numpy(np.float64)), least.to_numpy(np.float64))


def check(forecasts: pd.DataFrame, expected_rows: int, floor: float | None) -> pd.DataFrame:
    """Return the rows if they keep the output contract: complete, finite, and not below ``floor``.

    A row may lack its quantiles, all of them, as a series too new for validation has none.

    Raises:
        OutputError: what is wrong, and where.
    """
    fix = "look at the model's backtest, or promote another version"
    if len(forecasts) != expected_rows:
        raise OutputError(f"{expected_rows} rows (series by steps)", f"{len(forecasts)}", fix)
    bad = unusable(forecasts)
    if bad.any():
        first = forecasts.loc[bad].iloc[0]
        raise OutputError(
            "finite values", f"{int(bad.sum())} rows that are not, first {first['unique_id']} at {first['ds']}", fix
        )
    if floor is not None and (forecasts["y_hat"] < floor).any():
        worst = forecasts.sort_values("y_hat").iloc[0]
        raise OutputError(
            f"forecasts of at least {floor:g}", f"{worst['y_hat']:g} for {worst['unique_id']} at {worst['ds']}", fix
        )
    return forecasts


def unusable(forecasts: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose ``y_hat`` is not finite, or whose quantiles are neither all finite nor all missing."""
    point = forecasts["y_hat"].to_numpy(dtype=np.float64)
    levels = forecasts[quantile_columns(forecasts)].to_numpy(dtype=np.float64)
    banded = np.isfinite(levels).all(axis=1) | np.isnan(levels).all(axis=1)
    return ~(np.isfinite(point) & banded)


def quantile_columns(forecasts: pd.DataFrame) -> list[str]:
    """The columns ``q0.1`` … of forecast rows, in ascending order of their level."""
    return sorted(forecasts.filter(regex=r"^q0\.\d+$").columns, key=lambda name: float(name[1:]))
