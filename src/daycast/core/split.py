"""Rolling origins: which cutoffs a model is fitted at, and which it forecasts from.

A cutoff is the last timestamp that may be seen, inclusive. Every fold fits once, at ``fit_cutoff``, and forecasts from
each of its ``cutoffs``, none of which lies before ``fit_cutoff``; validation folds end where the final fit's data end,
so nothing chosen on them has seen a test target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from daycast.core.forecast import Origin
from daycast.core.frame import Float, Panel, Table
from daycast.errors import HistoryError


@dataclass(frozen=True)
class Fold:
    """One (fit, forecast) pair.

    Attributes:
        name: ``validation-1`` … (oldest first), or ``test``.
        start: first timestamp a model may be fitted on, or ``None`` for all there is.
        fit_cutoff: last timestamp a model is fitted on.
        cutoffs: origins to forecast from, ascending.
        horizon: steps ahead, from each origin.
    """

    name: str
    start: pd.Timestamp | None
    fit_cutoff: pd.Timestamp
    cutoffs: pd.DatetimeIndex
    horizon: int


@dataclass(frozen=True)
class Split:
    """Validation folds (for choosing) and the test fold (for judging)."""

    validation: tuple[Fold, ...]
    test: Fold


@dataclass(frozen=True)
class Plan:
    """How to split; see ``conf/backtest``. Sizes count timestamps of the grid.

    Attributes:
        horizon: steps ahead.
        step_size: timestamps between origins.
        n_targets: timestamps in the test window, used where ``first_target`` is not given.
        first_target, last_target: the test window by date, inclusive; the last defaults to the end of the data.
        fit_cutoff: last timestamp of the final fit; by default the one before the first target.
        start: first timestamp of any fit.
        n_folds: validation folds, stacked back to back and ending at ``fit_cutoff``.
        fold_targets: timestamps in each validation fold.
    """

    horizon: int
    step_size: int
    n_targets: int | None
    first_target: pd.Timestamp | None
    last_target: pd.Timestamp | None
    fit_cutoff: pd.Timestamp | None
    start: pd.Timestamp | None
    n_folds: int
    fold_targets: int


def origins_between(panel: Panel, first: int, last: int, plan: Plan) -> pd.DatetimeIndex:
    """Cutoffs such that every target of every origin lies in positions ``first .. last``, every ``step_size``-th."""
    positions = np.arange(first - 1, last - plan.horizon + 1, plan.step_size)
    if first < 1 or len(positions) == 0:
        raise HistoryError(
            f"room for at least one origin with {plan.horizon} targets",
            f"{max(last - first + 1, 0)} timestamps from position {first} of {len(panel.ds)}",
            "shorten backtest.horizon or the windows, or bring more history",
        )
    return panel.ds[positions]


def split(panel: Panel, plan: Plan) -> Split:
    """Lay the folds out on the panel's grid.

    Raises:
        HistoryError: the windows don't fit the data, or a fit would have no data.
    """
    last = len(panel.ds) - 1 if plan.last_target is None else panel.position(plan.last_target)
    if plan.first_target is not None:
        first = panel.position(plan.first_target)
    else:
        first = last - int(plan.n_targets or plan.horizon) + 1
    cutoffs = origins_between(panel, first, last, plan)
    fit_at = first - 1 if plan.fit_cutoff is None else panel.position(plan.fit_cutoff)
    if fit_at >= first:
        raise HistoryError(
            f"backtest.fit_cutoff before the first target {panel.ds[first].date()}",
            str(panel.ds[fit_at].date()),
            "set backtest.fit_cutoff to an earlier date, or to null",
        )
    start = plan.start
    earliest = fit_at - plan.n_folds * plan.fold_targets
    begin = 0 if start is None else panel.position(start)
    if earliest <= begin:
        raise HistoryError(
            f"history before the {plan.n_folds} validation folds of {plan.fold_targets} timestamps",
            f"{fit_at - begin + 1} timestamps up to the final fit's cutoff {panel.ds[fit_at].date()}",
            "lower backtest.n_folds or backtest.fold_targets, or bring more history",
        )
    folds = []
    for k in range(plan.n_folds):
        at = earliest + k * plan.fold_targets
        inner = origins_between(panel, at + 1, at + plan.fold_targets, plan)
        folds.append(Fold(f"validation-{k + 1}", start, panel.ds[at], inner, plan.horizon))
    return Split(tuple(folds), Fold("test", start, panel.ds[fit_at], cutoffs, plan.horizon))


def history(table: Table, fold: Fold) -> Panel:
    """What a model is fitted on in this fold: from ``start`` up to and including ``fit_cutoff``."""
    seen = table.panel.until(fold.fit_cutoff)
    return seen if fold.start is None else seen.since(fold.start)


def origins(table: Table, cutoffs: pd.DatetimeIndex, horizon: int) -> list[Origin]:
    """The origins at ``cutoffs``: history up to each, and the known future of ``horizon`` steps after it."""
    return [Origin(table.panel.until(c), table.future(c, horizon)) for c in cutoffs]


def actuals(table: Table, cutoffs: Sequence[pd.Timestamp] | pd.DatetimeIndex, horizon: int) -> Float:
    """What came, for the scorer alone: ``(O, N, H)`` in raw units, NaN where nothing was observed."""
    panel = table.panel
    out = np.full((len(cutoffs), len(panel.ids), horizon), np.nan)
    for i, cutoff in enumerate(cutoffs):
        at = panel.position(cutoff) + 1
        got = panel.y[:, at : at + horizon]
        out[i, :, : got.shape[1]] = got
    return out
