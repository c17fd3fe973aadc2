"""Forecasters that fit a model of its own to each series. Letters of ``core.frame``; K regressors.

A model is estimated once and kept as data; a forecast from a later origin lets it see the newer values without
estimating again. It looks from where the fit's data started, whichever origins are asked for, so a forecast is the same
to the bit asked alone or together with others, and whatever came after its cutoff.

A series without a sound model (too few observations, constant, no optimum, over its time budget) gets the seasonal
naive forecast. A fit's facts count these as ``fallback``, and those over budget as ``over_budget`` too: with them, what
is forecast depends on how fast the machine was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd

from daycast.core.forecast import Arrays, FitReport, OnEpoch, Origin
from daycast.core.frame import Float, Panel
from daycast.errors import ModelError
from daycast.models.baselines import ANY_HORIZON, seasonal_naive
from daycast.models.budget import Clock, OverBudgetError
from daycast.models.regressors import columns, regressors

if TYPE_CHECKING:
    from daycast.core.windows import Windows
    from daycast.models.context import BuildContext


class Learned(Protocol):
    """What there is to say of any series' model: a name to count, whether the optimiser converged, and numbers."""

    name: str
    converged: bool
    parameters: Float


M = TypeVar("M", bound=Learned)


class PerSeries(Generic[M]):
    """What the families share. They give ``_learn``, ``_answers``, ``_rebuilt`` and the two lists of names."""

    horizon = ANY_HORIZON
    takes_new_series = True  # they get the fallback's forecast until the next fit
    kinds: ClassVar[str]
    """The fact that counts the models' names."""
    values: ClassVar[tuple[str, ...]]
    """Attributes of a model that are kept as JSON, none of them None."""
    numbers: ClassVar[tuple[str, ...]] = ()
    """Attributes of a model that are kept as arrays ``(N,)``."""

    def __init__(self, config: Any, context: BuildContext) -> None:
        """The season is ``context.season_length``; the rest is documented in the configuration."""
        self._config, self._season = config, context.season_length
        self.min_history = 3 * self._season  # with less, forecasts are seasonal naive
        self._first = self._start = pd.Timestamp.min
        self._regressors: tuple[str, ...] = ()
        self._models: dict[str, M | None] = {}

    def _learn(self, y: Float, x: Float, clock: Clock) -> M | None:
        """A model of one series ``y (T,)`` with regressors ``x (T, K)``; None if there is no sound one.

        Raises:
            OverBudgetError: the clock ran out.
        """
        raise NotImplementedError

    def _answers(
        self, model: M, seen: tuple[Float, Float, bool], cutoffs: Sequence[int], ahead: Sequence[Float]
    ) -> Float:
        """Forecasts ``(O, H)`` in raw units from each of the rows ``cutoffs``, seeing rows up to and including it.

        Args:
            seen: ``y (T,)``, regressors ``(T, K)``, and whether they begin where the fit's data did.
            ahead: the regressors ``(H, K)`` of the H steps after each cutoff.
        """
        raise NotImplementedError

    def _rebuilt(self, one: Mapping[str, Any], parameters: Float, numbers: Mapping[str, float]) -> M:
        """The model that ``state`` wrote as ``one``, ``parameters`` and ``numbers``."""
        raise NotImplementedError

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:  # noqa: ARG002
        """Estimate every series on the last ``train_steps`` rows; facts tell fallbacks, convergence and models.

        Raises:
            ConfigError: a regressor is not among the known columns.
        """
        recent = self._recent(history)
        self._regressors = regressors(recent, getattr(self._config, "known", ()))
        self._first, self._start = history.ds[0], recent.ds[0]
        self._models, late = self._estimated(recent)
        return self._told(late)

    def join(self, parts: Sequence[PerSeries[M]], reports: Sequence[FitReport]) -> FitReport:
        """Take the models of parts that were fitted elsewhere, each on some of the series, and what their fits told."""
        self._regressors, self._first, self._start = parts[0]._regressors, parts[0]._first, parts[0]._start
        self._models = {name: model for part in parts for name, model in part._models.items()}
        return self._told(sum(int(report.facts["over_budget"]) for report in reports))

    def _told(self, late: int) -> FitReport:
        """Of a fit in which so many series were over their budget."""
        found = [m for m in self._models.values() if m]
        return FitReport(
            facts={
                "series": len(self._models),
                "fallback": len(self._models) - len(found),
                "over_budget": late,
                "converged": int(all(m.converged for m in found)),
                "not_converged": sum(not m.converged for m in found),
                self.kinds: ", ".join(f"{name} x{n}" for name, n in Counter(m.name for m in found).most_common(5)),
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
            x = columns(seen.known, seen.known_names, self._regressors)
            futures = [origins[m].future for m in members]
            ahead = [columns(f.known, f.known_names, self._regressors) for f in futures]
            cutoffs = seen.ds.get_indexer(pd.DatetimeIndex([origins[m].cutoff for m in members]))
            enough = np.isfinite(seen.y).cumsum(axis=1)[:, cutoffs] >= self.min_history
            for n, name in enumerate(seen.ids):
                model, some = models.get(name), np.flatnonzero(enough[n])
                if model is not None and len(some):
                    one = seen.y[n], x, seen.ds[0] == self._start
                    answers = self._answers(model, one, cutoffs[some].tolist(), [ahead[k] for k in some])
                    out[np.asarray(members)[some], n] = answers
        for o, origin in enumerate(origins):
            gaps = ~np.isfinite(out[o]).all(axis=1)
            out[o, gaps] = seasonal_naive(origin.history.y[gaps], self._season, horizon)
        return out

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Dates and ``values`` as JSON; ``parameters`` ``(N, most of any)``, NaN at the end; ``numbers`` ``(N,)``."""
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
                {"id": name, **{v: m and getattr(m, v) for v in self.values}} for name, m in self._models.items()
            ],
        }
        numbers = {n: np.asarray([getattr(m, n) if m else np.nan for m in models]) for n in self.numbers}
        return values, {"parameters": parameters, **numbers}

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave; what is seen is computed anew on the histories that come."""
        self._first, self._start = pd.Timestamp(values["first"]), pd.Timestamp(values["start"])
        self._regressors = tuple(values["regressors"])
        self._models = {}
        for n, (one, row) in enumerate(zip(values["series"], arrays["parameters"], strict=True)):
            numbers = {name: float(arrays[name][n]) for name in self.numbers}
            known = one[self.values[0]] is not None
            self._models[one["id"]] = self._rebuilt(one, row[~np.isnan(row)], numbers) if known else None

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

    def _passes(self, origins: Sequence[Origin]) -> Iterator[tuple[list[int], Panel, dict[str, M | None]]]:
        """Which origins are answered together (their places), the rows that are seen, and the models that see them."""
        together: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for o, origin in enumerate(origins):
            h = origin.history
            # Histories that begin in the same memory are views of one another: the longest holds them all.
            memory = (h.y.__array_interface__["data"][0], h.y.strides, h.known.__array_interface__["data"][0])
            together[*memory, h.known.strides, h.ds[0], self._from(h, self._start)].append(o)
        for (*_, row), members in together.items():
            longest = max((origins[o].history for o in members), key=lambda h: len(h.ds))
            yield members, longest.since(longest.ds[row]), self._models

    def _estimated(self, seen: Panel) -> tuple[dict[str, M | None], int]:
        """A model per series, and how many have none as their time was up."""
        x = columns(seen.known, seen.known_names, self._regressors)
        models: dict[str, M | None] = {}
        late = 0
        for name, y in zip(seen.ids, seen.y, strict=True):
            models[name] = None
            observed = y[np.isfinite(y)]
            if len(observed) >= _least(self._season, x.shape[1]) and np.ptp(observed) > 0:
                try:
                    models[name] = self._learn(y, x, Clock(self._config.budget_s))
                except OverBudgetError:
                    late += 1
        return models, late


def keeps_up(errors: Float, y: Float, season: int) -> bool:
    """Whether one-step errors ``(T,)`` on a model's own data ``y (T,)`` are about as small as the season before's.

    A model may have a splendid likelihood and forecast thousands of times too much; this one has not learned its data.
    """
    naive = y[season:] - y[:-season]
    both = np.isfinite(y[season:]) & np.isfinite(naive)
    return bool(both.any() and np.mean(errors[season:][both] ** 2) <= 4 * np.mean(naive[both] ** 2))


def _least(season: int, regressors: int) -> int:
    """Observations below which nothing is estimated: three seasons, and two for each of about K + 6 parameters."""
    return 3 * season + 2 * (regressors + 6)
