"""What every family makes of a regime: nothing before it is known, and something once it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import context, network, weekly
from test_arima import sarima_config
from test_tabular import PROFILE, RIDGE, SHARED, TREES

from daycast import config, models
from daycast.core import calendar, frame, leakage
from daycast.core.forecast import predict
from daycast.core.frame import FrameSpec, Table
from daycast.core.layout import REGIME
from daycast.core.split import origins

STEPS, START, END, HORIZON = 420, 300, 380, 7
ANCHORED = {**PROFILE, "by": ("day",)}
DAY_AND_REGIME = ("day", REGIME)
FAMILIES: dict[str, Any] = {
    "sarima": sarima_config(known=DAY_AND_REGIME),
    "auto_arima": config.AutoArima.model_validate(
        {"family": "auto_arima", "known": DAY_AND_REGIME, "train_steps": None}
    ),
    "lightgbm": config.LightGbm.model_validate({**SHARED, **TREES, "known": DAY_AND_REGIME}),
    "linear": config.Linear.model_validate({**SHARED, **RIDGE, "known": DAY_AND_REGIME}),
    "day_type_naive": config.DayTypeNaive(family="day_type_naive", column=REGIME, window=4),
    "network": network(known=DAY_AND_REGIME),
    "network of all that is known": network(),
    "network of one step, iterated": network(horizon=1, known=DAY_AND_REGIME),
    "network that leads": network(output="every_step", lead=1, known=DAY_AND_REGIME),
    "network that decodes": network(output="seq2seq", known=DAY_AND_REGIME),
    "network of deviations": network(
        known=DAY_AND_REGIME, profile=ANCHORED, transforms=({"kind": "scale", "method": "none"},)
    ),
    "network of each series": network(inputs="each", known=DAY_AND_REGIME),
}


def made(start: int | None, end: int = END) -> Table:
    """Two weekly series, lower from row ``START`` to ``END``, in a dataset that declares a regime or none."""
    ds = pd.date_range("2015-01-01", periods=STEPS + 28)
    values = weekly(2, len(ds)) - 60.0 * ((np.arange(len(ds)) >= START) & (np.arange(len(ds)) < END))
    rows = pd.DataFrame({"ds": ds, "day": calendar.day_of_week(ds)})
    at = np.arange(len(ds))
    rows[REGIME] = "none" if start is None else np.where((at >= start) & (at < end), "strike", "none")
    y = np.where(at < STEPS, values, np.nan)
    whole = pd.concat([rows.assign(unique_id=f"s{n}", y=y[n]) for n in range(2)], ignore_index=True)
    known: dict[str, tuple[str, ...] | None] = {"day": calendar.DAYS, REGIME: ("none", "strike")}
    if start is None:
        del known[REGIME]
    return frame.table(whole, FrameSpec("D", 7, known, held=() if start is None else (REGIME,)))


def forecast(family: Any, table: Table, fit_at: int, cutoffs: list[int]) -> np.ndarray:
    model = models.build(family, context(HORIZON))
    model.fit(table.panel.until(table.panel.ds[fit_at]))
    return predict(model, origins(table, table.panel.ds[cutoffs], HORIZON))


@pytest.mark.parametrize("name", [n for n in FAMILIES if n not in ("day_type_naive", "network that decodes")])
def test_a_regime_that_begins_after_the_cutoff_changes_no_bit(name: str) -> None:
    family = FAMILIES[name]
    if hasattr(family, "known") and family.known:
        family = family.model_copy(update={"known": ("day", REGIME)})
    cutoffs = [START - 20, START - 1]
    later, much_later = (forecast(family, made(start), START - 20, cutoffs) for start in (START, START + 40))
    np.testing.assert_array_equal(later, much_later)
    if not getattr(family, "known", None):
        np.testing.assert_array_equal(later, forecast(family, made(None), START - 20, cutoffs))


@pytest.mark.parametrize("name", FAMILIES)
def test_no_forecast_moves_when_all_that_came_later_is_scrambled_the_regime_too(name: str) -> None:
    table, around = made(START), context(HORIZON, max_epochs=1)
    for fit_at, cutoffs in ((START - 1, [START - 1, START]), (START + 40, [START + 40, END - 1])):
        days = table.panel.ds
        found = leakage.audit(
            lambda _: models.build(FAMILIES[name], around), table, days[fit_at], days[cutoffs], HORIZON, 1
        )
        assert found.passed, found.summary()


def test_a_model_that_reads_the_regime_through_the_view_is_caught() -> None:
    class Peeks:
        horizon, min_history, takes_new_series = HORIZON, 1, False

        def fit(self, *_: object) -> None:
            """Nothing to learn."""

        def predict(self, asked: Any) -> np.ndarray:
            told = [o.history.known.base[len(o.history.ds) + 2, -1] for o in asked]
            return np.tile(np.asarray(told)[:, None, None], (1, 2, HORIZON))

    table = made(START)
    day = table.panel.ds[START - 1]
    assert not leakage.audit(lambda _: Peeks(), table, day, [day], HORIZON, 1, ("scaled",)).passed  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("name", ["sarima", "lightgbm", "network", "network that leads"])
def test_a_model_that_has_seen_the_regime_hears_of_it_at_the_cutoff(name: str) -> None:
    """The same history of values, and only the regime's declared end differs."""
    ends = [forecast(FAMILIES[name], made(START, end), START + 40, [START + 60]) for end in (START + 50, END)]
    assert not np.array_equal(*ends)
