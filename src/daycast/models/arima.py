"""Seasonal ARIMA with known regressors, one model per series. Letters of ``core.frame``; K regressors.

Both families are filtered by the same code (``models.statespace``); they differ in how they are estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daycast.core.forecast import Origin
from daycast.core.frame import Float, Panel
from daycast.errors import ConfigError
from daycast.models.budget import Clock
from daycast.models.per_series import PerSeries
from daycast.models.statespace import Fitted, Orders, estimate, forecasts, search

if TYPE_CHECKING:
    from daycast import config
    from daycast.models.context import BuildContext


class _Arima(PerSeries[Fitted]):
    kinds, values, numbers = "orders", ("orders", "converged"), ("scale",)

    def _answers(
        self, model: Fitted, seen: tuple[Float, Float, bool], cutoffs: Sequence[int], ahead: Sequence[Float]
    ) -> Float:
        return forecasts(model, seen[0], seen[1], cutoffs, ahead)

    def _rebuilt(self, one: Mapping[str, Any], parameters: Float, numbers: Mapping[str, float]) -> Fitted:
        orders = (tuple(one["orders"][0]), tuple(one["orders"][1]))
        return Fitted(orders, self._season, numbers["scale"], parameters, one["converged"])


class Sarima(_Arima):
    """Seasonal ARIMA of the configured orders.

    ``update: filter`` keeps the fitted parameters and lets the filter see the newer data; ``update: refit`` estimates
    again at every origin, on the last ``train_steps`` rows up to it, none older than the fit's first. Each estimate
    starts afresh: from the parameters at hand it is no faster on three years of days, and a moving average near 1,
    where the likelihood is flat, would stay there. One that finds no sound model, or not within the budget, keeps the
    fit's parameters at that origin.

    Raises:
        ConfigError: the orders can't be combined with the dataset's season length.
    """

    def __init__(self, config: config.Sarima, context: BuildContext) -> None:
        """See ``PerSeries``; the orders are checked against the season."""
        super().__init__(config, context)
        misfit = config.misfit(context.season_length)
        if misfit:
            raise ConfigError(
                misfit,
                f"order {list(config.order)}, seasonal_order {list(config.seasonal_order)}",
                "change order or seasonal_order in conf/model/",
            )
        self._scaled, self._refits = config.scale, config.update == "refit"
        self._orders: Orders = (config.order, config.seasonal_order)

    def _learn(self, y: Float, x: Float, clock: Clock) -> Fitted | None:
        scale = float(np.nanstd(y)) if self._scaled else 1.0
        return estimate(y, x, self._season, scale, self._orders, clock)

    def _passes(self, origins: Sequence[Origin]) -> Iterator[tuple[list[int], Panel, dict[str, Fitted | None]]]:
        if not self._refits:
            yield from super()._passes(origins)
            return
        for o, origin in enumerate(origins):
            history = origin.history
            recent = self._recent(history.since(history.ds[self._from(history, self._first)]))
            again, _ = self._estimated(recent)
            yield [o], recent, {name: m or self._models.get(name) for name, m in again.items()}


class AutoArima(_Arima):
    """Seasonal ARIMA that statsforecast's stepwise search finds, per series, on scaled values.

    Its orders and estimates are taken as they are; the filter is that of ``Sarima``, which forecasts the same (one day
    ahead on Chicago's rail in 2019, MAE 25,424 by both) from a vector of parameters
    instead of its whole fitted dictionary, in one pass instead of one for each origin. Estimating again by statsmodels
    gained nothing and took longer than the search.
    """

    def _learn(self, y: Float, x: Float, clock: Clock) -> Fitted | None:
        return search(y, x, self._season, float(np.nanstd(y)), clock)
