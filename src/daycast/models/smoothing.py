"""Exponential smoothing per series: with one season in the model, or with several taken out before.

Letters of ``core.frame``. Gaps are filled from the season (``core.fill``), never with a later value: these methods,
unlike a Kalman filter, take no holes. What comes before a series' first observation is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from daycast.core.fill import seasonal_fill
from daycast.core.frame import Float
from daycast.models.budget import UNLIMITED, Clock
from daycast.models.exponential import Smoothed, carried, decomposed, repeated, search, started, states, within
from daycast.models.per_series import PerSeries, keeps_up

if TYPE_CHECKING:
    from daycast import config
    from daycast.models.context import BuildContext


class _Smoothing(PerSeries[Smoothed]):
    kinds, values = "forms", ("form", "season", "begin", "converged", "seasons")

    def _rebuilt(self, one: Mapping[str, Any], parameters: Float, numbers: Mapping[str, float]) -> Smoothed:  # noqa: ARG002
        seasons = tuple(one["seasons"])
        return Smoothed(one["form"], one["season"], one["begin"], parameters, one["converged"], seasons)

    def _filled(self, y: Float) -> tuple[Float, int]:
        """``y (T,)`` from its first observation on, without gaps, and how many rows come before."""
        begin = int(np.isfinite(y).argmax())
        return np.ascontiguousarray(seasonal_fill(y, self._season)[begin:]), begin

    def _checked(self, model: Smoothed | None, y: Float, filled: Float, begin: int) -> Smoothed | None:
        """The model fitted on ``filled``, the last rows of ``y``, if it is sound."""
        if model is None:
            return None
        _, errors = states(model, filled)
        if model.form.startswith("M"):
            errors = filled - filled / (1 + errors)
        sound = np.isfinite(model.parameters).all() and np.isfinite(errors).all()
        model = replace(model, begin=begin)
        return model if sound and keeps_up(errors, y[begin:], self._season) else None


class AutoEts(_Smoothing):
    """Exponential smoothing whose error, trend and season statsforecast's AutoETS chooses, per series.

    At a later origin the recursion runs on over the newer values with the fitted weights. ``budget_s`` is looked at
    before each of up to 15 candidates; one takes about 0.3 s on 6,500 days.
    """

    def _learn(self, y: Float, x: Float, clock: Clock) -> Smoothed | None:  # noqa: ARG002
        filled, begin = self._filled(y)
        return self._checked(search(filled, self._season, clock), y, filled, begin)

    def _answers(
        self, model: Smoothed, seen: tuple[Float, Float, bool], cutoffs: Sequence[int], ahead: Sequence[Float]
    ) -> Float:
        filled, begin = self._filled(seen[0])
        own = model if seen[2] and begin == model.begin else started(model, filled)
        horizon = len(ahead[0])
        if own is None:
            return np.full((len(cutoffs), horizon), np.nan)
        after, _ = states(own, filled)
        return np.stack([carried(own, after[cutoff - begin + 1], horizon) for cutoff in cutoffs])


class Mstl(_Smoothing):
    """Several seasons taken out by STL, one after the other, and AutoETS without a season on the rest.

    Seasons of which less than two fit into the data are left out. A forecast adds the last cycle of each to that of the
    rest. At each origin the data up to it are decomposed anew, as the pattern of the fit's last cycle is a poor one for
    later (a Christmas week repeated: MAE 51,604 instead of 41,015 on Chicago's rail); the weights of the rest's model
    stay. That takes 0.04 s for an origin of a series with seasons 7 and 364 on four years of days.

    ``budget_s`` is looked at before each smoothing of a season and each of up to 6 candidates.
    """

    def __init__(self, config: config.Mstl, context: BuildContext) -> None:
        """``config.season_lengths`` in steps, or the dataset's where it is None."""
        super().__init__(config, context)
        self._seasons = tuple(sorted(s for s in config.season_lengths or (self._season,) if s > 1))

    def _learn(self, y: Float, x: Float, clock: Clock) -> Smoothed | None:  # noqa: ARG002
        filled, begin = self._filled(y)
        seasons = within(self._seasons, len(filled))
        _, rest = decomposed(filled, seasons, clock)
        model = search(rest, 1, clock)
        return self._checked(model and replace(model, seasons=seasons), y, rest, begin)

    def _answers(
        self, model: Smoothed, seen: tuple[Float, Float, bool], cutoffs: Sequence[int], ahead: Sequence[Float]
    ) -> Float:
        filled, begin = self._filled(seen[0])
        horizon = len(ahead[0])
        out = np.full((len(cutoffs), horizon), np.nan)
        for row, cutoff in zip(out, cutoffs, strict=True):
            known = filled[: cutoff - begin + 1]
            seasons = within(model.seasons, len(known))
            parts, rest = decomposed(known, seasons, UNLIMITED)
            own = model if seen[2] and begin == model.begin else started(model, rest)
            if own:
                row[:] = carried(own, states(own, rest)[0][-1], horizon) + repeated(parts, seasons, horizon)
        return out
