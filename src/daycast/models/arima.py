"""Seasonal ARIMA with known regressors, one model per series. Letters of ``core.frame``; K regressors.

Both families are filtered by the same code (``models.statespace``); they differ in how they are estimated. The filter
starts where the fit's data started, whichever origins are asked for, so a forecast is the same to the bit asked alone
or together with others, and whatever came after its cutoff.

A series without a sound model (too few observations, constant, no optimum) gets the seasonal naive forecast.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from daycast.core.forecast import Arrays, FitReport, OnEpoch, Origin
from daycast.core.frame import Float, Panel
from daycast.errors import ConfigError, ModelError
from daycast.models.baselines import ANY_HORIZON, seasonal_naive
from daycast.models.statespace import Fitted, Orders, estimate, forecasts, least, search

if TYPE_CHECKING:
    from daycast import config
    from daycast.core.windows import Windows
    from daycast.models.context import BuildContext

Models = dict[str, Fitted | None]
"""Series -> its model, or None where the seasonal naive forecast stands in."""


class _PerSeries:
    """What both families share."""

    horizon = ANY_HORIZON
    recurrent = False

    def __init__(self, config: config.Sarima | config.AutoArima, context: BuildContext) -> None:
        """The season is ``context.season_length``; the rest is documented in the configuration."""
        self._config, self._season = config, context.season_length
        self.min_history = 3 * self._season  # with less, forecasts are seasonal naive
        self._first = self._start = pd.Timestamp.min
        self._regressors: tuple[str, ...] = ()
        self._models: Models = {}

    def _learn(self, y: Float, x: Float) -> Fitted | None:
        """A model of one series ``y (T,)`` with regressors ``x (T, K)``; None if there is no sound one."""
        raise NotImplementedError

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:  # noqa: ARG002
        """Estimate every series on the last ``train_steps`` rows; facts tell fallbacks, convergence and orders.

        Raises:
            ConfigError: a regressor is not among the known columns.
        """
        self._regressors = _regressors(history.known_names, self._config.known)
        recent = self._recent(history)
        self._first, self._start = history.ds[0], recent.ds[0]
        self._models = self._estimated(recent)
        found = [m for m in self._models.values() if m]
        return FitReport(
            facts={
                "series": len(self._models),
                "fallback": len(self._models) - len(found),
                "converged": int(all(m.converged for m in found)),
                "not_converged": sum(not m.converged for m in found),
                "orders": ", ".join(f"{name} x{n}" for name, n in Counter(m.name for m in found).most_common(5)),
            }
        )

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Forecasts ``(O, N, H)`` in raw units for any H; NaN only for a series without a single observation.

        Series that the fit has not seen, and those with less than ``min_history`` observations at the cutoff, get the
        seasonal naive forecast.

        Raises:
            ModelError: the model was never fitted, or the history lacks a regressor.
        """
        self._require_fit()
        horizon = len(origins[0].future.ds)
        out = np.full((len(origins), len(origins[0].history.ids), horizon), np.nan)
        for members, seen, models in self._passes(origins):
            x = _columns(seen.known, seen.known_names, self._regressors)
            futures = [origins[m].future for m in members]
            ahead = [_columns(f.known, f.known_names, self._regressors) for f in futures]
            cutoffs = seen.ds.get_indexer(pd.DatetimeIndex([origins[m].cutoff for m in members])).tolist()
            enough = np.isfinite(seen.y).cumsum(axis=1)[:, cutoffs] >= self.min_history
            for n, name in enumerate(seen.ids):
                model = models.get(name)
                if model is not None:
                    answers = forecasts(model, seen.y[n], x, cutoffs, ahead)
                    out[members, n] = np.where(enough[n][:, None], answers, np.nan)
        for o, origin in enumerate(origins):
            gaps = ~np.isfinite(out[o]).all(axis=1)
            out[o, gaps] = seasonal_naive(origin.history.y[gaps], self._season, horizon)
        return out

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Orders and dates as JSON; ``parameters`` ``(N, the most of any)``, NaN at the end; and ``scale`` ``(N,)``."""
        self._require_fit()
        models = list(self._models.values())
        parameters = np.full((len(models), max([len(m.parameters) for m in models if m], default=0)), np.nan)
        for row, model in zip(parameters, models, strict=True):
            if model:
                row[: len(model.parameters)] = model.parameters
        values = {
            "first": self._first.isoformat(),
            "start": self._start.isoformat(),
            "regressors": list(self._regressors),
            "series": [
                {"id": name, "orders": m and [list(order) for order in m.orders], "converged": m and m.converged}
                for name, m in self._models.items()
            ],
        }
        return values, {"parameters": parameters, "scale": np.asarray([m.scale if m else np.nan for m in models])}

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave; the filter is built anew on the histories that come."""
        self._first, self._start = pd.Timestamp(values["first"]), pd.Timestamp(values["start"])
        self._regressors = tuple(values["regressors"])
        self._models = {}
        for one, row, scale in zip(values["series"], arrays["parameters"], arrays["scale"], strict=True):
            if one["orders"] is None:
                self._models[one["id"]] = None
                continue
            orders = (tuple(one["orders"][0]), tuple(one["orders"][1]))
            parameters = row[~np.isnan(row)]
            self._models[one["id"]] = Fitted(orders, self._season, float(scale), parameters, one["converged"])

    def _require_fit(self) -> None:
        if not self._models:
            raise ModelError("a fitted model", "one that was never fitted", "call fit or restore first")

    def _recent(self, history: Panel) -> Panel:
        """The last ``train_steps`` rows, as views."""
        return history.since(history.ds[-min(self._config.train_steps or len(history.ds), len(history.ds))])

    def _from(self, history: Panel, when: pd.Timestamp) -> int:
        """The row of ``when``; 0 where too few would be left, or none."""
        row = int(history.ds.searchsorted(when))
        return row if len(history.ds) - row >= self.min_history else 0

    def _passes(self, origins: Sequence[Origin]) -> Iterator[tuple[list[int], Panel, Models]]:
        """Which origins one filter serves (their places), the rows it runs over, and the models it runs with."""
        if getattr(self._config, "update", "filter") == "refit":
            for o, origin in enumerate(origins):
                history = origin.history
                recent = self._recent(history.since(history.ds[self._from(history, self._first)]))
                again = self._estimated(recent)
                yield [o], recent, {name: m or self._models.get(name) for name, m in again.items()}
            return
        together: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for o, origin in enumerate(origins):
            h = origin.history
            # Histories that begin in the same memory are views of one another: the longest holds them all.
            memory = (h.y.__array_interface__["data"][0], h.y.strides, h.known.__array_interface__["data"][0])
            together[*memory, h.known.strides, h.ds[0], self._from(h, self._start)].append(o)
        for (*_, row), members in together.items():
            longest = max((origins[o].history for o in members), key=lambda h: len(h.ds))
            yield members, longest.since(longest.ds[row]), self._models

    def _estimated(self, seen: Panel) -> Models:
        x = _columns(seen.known, seen.known_names, self._regressors)
        models: Models = {}
        for name, y in zip(seen.ids, seen.y, strict=True):
            observed = y[np.isfinite(y)]
            enough = len(observed) >= least(self._season, x.shape[1]) and np.ptp(observed) > 0
            models[name] = self._learn(y, x) if enough else None
        return models


class Sarima(_PerSeries):
    """Seasonal ARIMA of the configured orders.

    ``update: filter`` keeps the fitted parameters and lets the filter see the newer data; ``update: refit`` estimates
    again at every origin, on the last ``train_steps`` rows up to it, none older than the fit's first. Each estimate
    starts afresh: from the parameters at hand it is no faster on three years of days, and a moving average near 1,
    where the likelihood is flat, would stay there.

    Raises:
        ConfigError: the orders can't be combined with the dataset's season length.
    """

    def __init__(self, config: config.Sarima, context: BuildContext) -> None:
        """See ``_PerSeries``; the orders are checked against the season."""
        super().__init__(config, context)
        misfit = config.misfit(context.season_length)
        if misfit:
            raise ConfigError(
                misfit,
                f"order {list(config.order)}, seasonal_order {list(config.seasonal_order)}",
                "change order or seasonal_order in conf/model/",
            )
        self._scaled = config.scale
        self._orders: Orders = (config.order, config.seasonal_order)

    def _learn(self, y: Float, x: Float) -> Fitted | None:
        scale = float(np.nanstd(y)) if self._scaled else 1.0
        return estimate(y, x, self._season, scale, self._orders)


class AutoArima(_PerSeries):
    """Seasonal ARIMA that statsforecast's stepwise search finds, per series, on scaled values.

    Its orders and estimates are taken as they are; the filter is that of ``Sarima``, which forecasts the same (one day
    ahead on Chicago's rail in 2019, MAE 25,424 by both) from a vector of parameters
    instead of its whole fitted dictionary, in one pass instead of one for each origin. Estimating again by statsmodels
    gained nothing and took longer than the search.
    """

    def _learn(self, y: Float, x: Float) -> Fitted | None:
        return search(y, x, self._season, float(np.nanstd(y)))


def _regressors(names: tuple[str, ...], columns: Sequence[str]) -> tuple[str, ...]:
    """The features of ``columns``: numeric ones by name; categorical ones one-hot, the first level left out."""
    chosen: list[str] = []
    for column in columns:
        levels = [name for name in names if name.startswith(f"{column}=")]
        if column not in names and not levels:
            plain = sorted({name.split("=", 1)[0] for name in names})
            raise ConfigError(f"known columns among {plain}", f"`{column}`", "change `known` in conf/model/")
        chosen += levels[1:] if levels else [column]
    return tuple(chosen)


def _columns(known: Float, names: tuple[str, ...], regressors: tuple[str, ...]) -> Float:
    missing = [r for r in regressors if r not in names]
    if missing:
        raise ModelError(
            f"the features the model was fitted with, {list(regressors)}",
            f"data without {missing}",
            "forecast with the dataset's configuration of the fit, or train again",
        )
    return known[:, [names.index(r) for r in regressors]]
