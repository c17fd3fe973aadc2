import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pydantic import ValidationError
from synthetic import context, origin, table, weekly

from daycast import config, models
from daycast.models.baselines import seasonal_naive
from daycast.models.budget import UNLIMITED, Clock, OverBudgetError, watched
from daycast.models.exponential import decomposed

HARD = {
    "sarima": config.Sarima(
        family="sarima",
        order=(3, 1, 3),
        seasonal_order=(1, 1, 1),
        known=(),
        scale=True,
        update="filter",
        train_steps=None,
        budget_s=0.3,
    ),
    "auto_arima": config.AutoArima(family="auto_arima", known=(), train_steps=None, budget_s=0.3),
    "auto_ets": config.AutoEts(family="auto_ets", train_steps=None, budget_s=0.3),
    "mstl": config.Mstl(family="mstl", season_lengths=(7, 364), train_steps=None, budget_s=0.001),
}
EASY = {name: section.model_copy(update={"budget_s": None}) for name, section in HARD.items()}


@pytest.fixture(scope="module", autouse=True)
def libraries():
    """Imported, so that the clock measures fits."""
    for section in EASY.values():
        models.build(section, context()).fit(table(weekly(1, 100)).panel)


@pytest.fixture(scope="module")
def long():
    """Three series that take each family much longer than its budget."""
    return table(weekly(3, 8000))


@pytest.mark.parametrize("name", HARD)
def test_a_series_over_budget_gets_the_seasonal_naive_forecast_soon_and_is_counted(long, name):
    model = models.build(HARD[name], context())
    before, started = threading.active_count(), time.monotonic()
    facts = model.fit(long.panel).facts
    took = time.monotonic() - started
    assert (facts["series"], facts["fallback"], facts["over_budget"]) == (3, 3, 3)
    assert took < 15  # some seconds for what isn't interrupted, on a busy machine
    assert threading.active_count() == before
    one = origin(long)
    np.testing.assert_array_equal(model.predict([one])[0], seasonal_naive(one.history.y, 7, 7))


def test_budgets_hold_in_worker_threads(long):
    def fit(name):
        return models.build(HARD[name], context()).fit(long.panel.only(("s0",))).facts["over_budget"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fit, HARD)) == [1, 1, 1, 1]


@pytest.mark.parametrize("name", HARD)
def test_a_budget_that_is_kept_changes_no_bit(name):
    made = table(weekly(2, 200))
    states = []
    for budget in (None, 600.0):
        model = models.build(HARD[name].model_copy(update={"budget_s": budget}), context())
        assert model.fit(made.panel).facts["over_budget"] == 0
        states.append(model.state()[1])
    assert states[0].keys() == states[1].keys()
    for key, values in states[0].items():
        np.testing.assert_array_equal(values, states[1][key])


def test_only_the_series_that_takes_too_long_is_given_up():
    made = table(weekly(2, 8000))
    y = made.panel.y.copy()
    y[1, :-150] = np.nan  # a short one
    panel = made.panel.__class__(**{**made.panel.__dict__, "y": y})
    section = HARD["auto_ets"].model_copy(update={"budget_s": 1.0, "train_steps": None})
    facts = models.build(section, context()).fit(panel).facts
    assert (facts["fallback"], facts["over_budget"]) == (1, 1)


def test_a_refit_over_budget_keeps_the_parameters_of_the_fit():
    made = table(weekly(1, 400))
    refit = models.build(HARD["sarima"].model_copy(update={"update": "refit", "budget_s": 600.0}), context())
    refit.fit(made.panel.until(made.panel.ds[300]))
    kept = models.build(HARD["sarima"].model_copy(update={"budget_s": 600.0}), context())
    kept.fit(made.panel.until(made.panel.ds[300]))
    refit._config = refit._config.model_copy(update={"budget_s": 1e-6})
    np.testing.assert_array_equal(refit.predict([origin(made)]), kept.predict([origin(made)]))


def test_a_clock_that_ran_out_says_so_and_one_without_a_limit_never_does():
    UNLIMITED.check()
    Clock(60).check()
    with pytest.raises(OverBudgetError):
        Clock(0).check()


def test_a_decomposition_asks_the_clock_before_each_season():
    with pytest.raises(OverBudgetError):
        decomposed(weekly(1, 100)[0], (7,), Clock(0))


def test_a_watched_array_is_the_same_values_and_asks_whenever_it_or_a_part_of_it_is_copied():
    y = weekly(1, 50)[0]
    np.testing.assert_array_equal(watched(y, UNLIMITED), y)
    out = watched(y, Clock(0))
    for one in (out, out[3:], out.astype(np.float64), out * 2):
        with pytest.raises(OverBudgetError):
            one.copy()
    y.copy()  # the array itself is left alone


@pytest.mark.parametrize("budget", [0, -1.0, float("nan")])
def test_a_budget_is_a_positive_number_of_seconds(budget):
    with pytest.raises(ValidationError):
        config.AutoEts.model_validate({"family": "auto_ets", "train_steps": None, "budget_s": budget})
