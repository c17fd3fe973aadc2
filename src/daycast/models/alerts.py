"""Models of the probability that a day will be exceptionally low: the base rate, logistic regression, and a network.

Each is fitted on a history once and then told origins, as a forecaster is; what it predicts are probabilities in
[0, 1]. Letters of ``core.frame``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from daycast import config
from daycast.core import lows
from daycast.core.forecast import FitReport, OnEpoch, Origin
from daycast.core.frame import Float, Panel
from daycast.core.lows import Lows, Rule
from daycast.core.tabular import Rows, Source
from daycast.core.transform import Fitted
from daycast.core.windows import Windows
from daycast.errors import ModelError
from daycast.models.context import BuildContext
from daycast.models.ensemble import Ensemble
from daycast.models.neural import NeuralForecaster
from daycast.models.tabular import Tabular

MODELS = ("base_rate", "logistic", "network")
"""Their names, the plainest first."""


class Alerter(Protocol):
    """A model of the probability of low days."""

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:
        """Learn from everything in ``history``; its last timestamp is the cutoff of all that is fitted."""
        ...

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Probabilities ``(O, N, H)`` of the H timestamps after each origin; NaN for a series never observed."""
        ...


class BaseRate:
    """The share of low days in each series' own past: what anybody knows without a model."""

    takes_new_series = False

    def __init__(self, rule: Rule, context: BuildContext) -> None:
        self._rule, self.horizon, self.min_history = rule, context.horizon, 1
        self._rate: Float | None = None

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:  # noqa: ARG002
        """Count, over all origins and steps of the history."""
        self._rate = rates(history, self._rule, self.horizon)
        return FitReport()

    def predict(self, origins: Sequence[Origin]) -> Float:
        """As ``Alerter``. Raises ``ModelError`` before ``fit``."""
        if self._rate is None:
            raise ModelError("a fitted model", "one that was never fitted", "call fit first")
        shape = (len(origins), len(self._rate), len(origins[0].future.ds))
        return np.broadcast_to(self._rate[None, :, None], shape).copy()


class Logistic(Tabular):
    """Logistic regression on the signals that tabular models have; NaN for a series that it could not learn from."""

    unlearned = float("nan")

    def __init__(self, config: config.Logistic, rule: Rule, context: BuildContext) -> None:
        super().__init__(config, context)
        self._rule = rule
        self._lows: Lows

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:
        """As ``Tabular``, of days that are low or not."""
        self._lows = lows.known(history, None, self._rule)
        return super().fit(history, windows, on_epoch)

    def _targets(self, source: Source, series: int, z: Float, origin: Rows, days: Rows) -> Float:  # noqa: ARG002
        return self._lows.at(origin, days)[series]

    def _start(self, source: Source, origin: Rows, days: Rows) -> Float:
        return np.where(np.isnan(source.signals.base(origin, days)), np.nan, 0.0)

    def _raw(self, out: Float, fitted: Fitted) -> Float:  # noqa: ARG002
        return out


class AlertNetwork(NeuralForecaster):
    """A network whose targets are whether days are low."""

    def __init__(self, config: config.AlertNetwork, rule: Rule, context: BuildContext) -> None:
        super().__init__(config, context)
        self.recipe = replace(self.recipe, low=rule)


def rates(history: Panel, rule: Rule, horizon: int) -> Float:
    """Share of low days among all that were seen from an origin of the history up to a horizon before, ``(N,)``;
    NaN for a series without any."""
    found = lows.known(history, None, rule).ahead(np.arange(len(history.ds)), horizon)
    seen = np.isfinite(found).sum(axis=(0, 2))
    return np.where(seen > 0, np.nansum(found, axis=(0, 2)) / np.maximum(seen, 1), np.nan)


def build(name: str, alert: config.Alert, context: BuildContext) -> Alerter:
    """The model of this name, not fitted yet.

    Raises:
        ModelError: there is none.
    """
    rule = alert.low.rule()
    if name == "base_rate":
        return BaseRate(rule, context)
    if name == "logistic":
        return Logistic(alert.logistic, rule, context)
    if name == "network":
        contexts = [replace(context, seed=context.seed + i) for i in range(alert.seeds)]
        members = [AlertNetwork(alert.network, rule, own) for own in contexts]
        return Ensemble(members) if len(members) > 1 else members[0]
    raise ModelError(f"a model of alerts among {', '.join(MODELS)}", f"`{name}`", "name one of them")
